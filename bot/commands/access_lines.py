"""How `countersign access` shows grants, holdings and audit entries: pure functions from records to lines.

Invariant: what people or targets wrote stands on one line, without control characters, as `terminal` prints it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from bot.commands.terminal import Cell, Ink, count_of
from core.access.cloudtrail import EVENT_DATA_STORE, TABLE, USER_NAME, CloudTrailQuery
from core.access.grant import Grant
from core.access.grant_status import AccessPhase
from core.access.holding import Holding
from core.access.summary import OVERDUE_AFTER, AccessSummary, summarize_each
from core.audit.trail import AuditEntry
from core.clock import format_time
from core.services.activity import GrantActivity
from core.targets.base import Absent, Answer, Held, InProgress, Later, TargetRefused, Unknown
from core.targets.words import one_line

_MAX_LENGTH: Final = 300
_WORDS: Final[Mapping[type[object], str]] = {Held: "held", Absent: "absent", InProgress: "in progress"}


def describe_live(grants: Sequence[Grant], now: datetime, ink: Ink) -> Iterator[str]:
    """Each decision with what it gave, the longest overdue first."""
    rows: list[list[Cell]] = []
    for access in summarize_each(grants, now):
        state: Cell = ("overdue", "bad") if access.is_overdue else access.phase.value
        is_over = access.phase in {AccessPhase.CLOSING, AccessPhase.CLOSED}
        opens = f"from {minute(access.starts_at)} " if access.phase is AccessPhase.SCHEDULED else ""
        until = f"{opens}{'ended' if is_over else 'until'} {minute(access.until)}"
        rights = ", ".join(str(each.right) for each in access.rights)
        who = f"by {access.decided_by}"
        rows.append([state, access.profile, access.grantee, until, who, access.source, rights])
    if rows:
        yield from ink.columns(rows, indent=0)


def is_overdue(grant: Grant, now: datetime) -> bool:
    """True when it should be gone by now."""
    return grant.is_live and now >= grant.ended_at + OVERDUE_AFTER


def write_grant(grant: Grant, now: datetime) -> str:
    """One grant as one line of JSON, for scripts."""
    state = grant.describe(now)
    ended = grant.ended_early
    return json.dumps(
        {
            "id": grant.id,
            "source": grant.source,
            "person": grant.grantee,
            "profile": grant.profile,
            **{name: getattr(grant.right, name) for name in ("target", "resource", "level", "principal")},
            "status": grant.status.value,
            "phase": state.phase.value,
            "starts_at": format_time(grant.starts_at),
            "ends_at": format_time(grant.ends_at),
            "ended_at": format_time(grant.ended_at),
            "ended_by": ended.by if ended is not None else None,
            "decided_by": grant.decided_by,
            "is_overdue": is_overdue(grant, now),
            "failure": grant.failure,
        },
        ensure_ascii=False,
    )


def describe_access(access: AccessSummary) -> Iterator[str]:
    """The first lines about one decision."""
    yield f"{access.source}: {access.profile} for {access.grantee}, decided by {access.decided_by}"
    yield f"  {access.phase.value}, from {minute(access.starts_at)} until {minute(access.until)}"
    if (early := access.ended_early) is not None:
        yield f"  ended early by {early.by} at {minute(early.at)}: {one_line(early.reason, _MAX_LENGTH)}"


def describe_grant(grant: Grant, now: datetime) -> Iterator[str]:
    """The window and the status of one grant."""
    state = grant.describe(now)
    yield f"grant {grant.id}: {grant.right}"
    yield f"  status: {grant.status.value}; {state.phase.value} until {minute(state.until)}"
    if grant.opened_at is not None:
        yield f"  opened at {minute(grant.opened_at)}" + (
            "; the person had it before, and keeps it" if grant.stood_before else ""
        )
    if grant.failure is not None:
        yield f"  failed: {one_line(grant.failure, _MAX_LENGTH)}"
    if grant.closed_at is not None:
        yield f"  over since {minute(grant.closed_at)}" + (
            "; the right stays, by another decision or from elsewhere" if grant.is_kept else ""
        )
    if grant.residual_until is not None:
        yield f"  a session that was open can live on until {minute(grant.residual_until)}"


def describe_activity(activity: Iterable[GrantActivity]) -> Iterator[str]:
    """How to find in AWS what was done: each query on lines of its own, to be copied."""
    for each in activity:
        yield f"what was done with {each.grant.right}:"
        if each.query is None:
            unused = "no credentials were issued" if each.grant.was_open else "it was never open"
            yield f"  nothing: {unused}"
            continue
        yield from _describe_query(each.query)


def _describe_query(query: CloudTrailQuery) -> Iterator[str]:
    where = f"account {query.account}" if query.account is not None else "every account"
    yield f"  CloudTrail of {where}, from {minute(query.since)} until {minute(query.until)}"
    yield f"  looks for: {query.looks_for}"
    if query.first is not None:
        yield from (f"  First find the user's name, and put it in the place of {USER_NAME}:", query.first)
    if query.lookup is not None:
        yield from ("  Event history, for a shell:", query.lookup)
    yield from (f"  Athena, on the table {TABLE} of its documentation:", query.athena)
    yield from (f"  CloudTrail Lake, with the id of your event data store for {EVENT_DATA_STORE}:", query.lake)
    yield from (f"  {note}" for note in query.notes)


def describe_holding(holding: Holding, now: datetime) -> Iterator[str]:
    """What is known of a right, and what is next."""
    seen = f"seen {minute(holding.seen_at)}" if holding.seen_at is not None else "never looked at"
    whose = "given by Countersign" if holding.is_ours else "given by others" if holding.standing else "not ours"
    yield f"  holding: {holding.observed.value}, {seen}; {whose}; generation {holding.generation}"
    if holding.operation is not None:
        yield f"  in progress: {holding.operation.kind.value} since {minute(holding.operation.since)}"
    if holding.lost is not None:
        yield f"  answer lost: {holding.lost.kind.value} of {minute(holding.lost.since)}"
    if holding.lease is not None and holding.is_leased(now):
        yield f"  another worker has it until {minute(holding.lease.until)}"
    if holding.overdue_since is not None:
        yield f"  should be gone since {minute(holding.overdue_since)}"
    if holding.problem is not None:
        often = f", {count_of(holding.failures, 'failure')} in a row" if holding.failures else ""
        yield f"  problem{often}: {one_line(holding.problem, _MAX_LENGTH)}"
    next_at = minute(holding.next_look_at) if holding.next_look_at is not None else "when somebody changes a grant"
    yield f"  next step: {next_at}"


def describe_chain(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """An audit chain in short: when, what, by whom."""
    for entry in entries:
        said = "; ".join(
            f"{name}: {one_line(str(entry.details[name]), _MAX_LENGTH)}"
            for name in ("reason", "problem", "drift", "kept_for", "failures")
            if name in entry.details
        )
        yield f"  {minute(entry.at)} {entry.event.value} by {entry.actor}" + (f" ({said})" if said else "")


def describe_answer(answer: Answer | None) -> str:
    """What a target said, in a few words."""
    match answer:
        case TargetRefused():
            return f"refused: {one_line(answer.reason, _MAX_LENGTH)}"
        case Later():
            why = f": {one_line(answer.problem, _MAX_LENGTH)}" if answer.problem else ""
            return f"try again later{why}"
        case Unknown():
            return f"unknown: {one_line(answer.problem, _MAX_LENGTH)}"
    return _WORDS.get(type(answer), "not asked, nothing was due")


def minute(moment: datetime) -> str:
    """A moment for people who compare it with logs: in UTC, to the second."""
    return f"{format_time(moment)[:19].replace('T', ' ')}Z"

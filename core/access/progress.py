"""What a holding means for the grants of its right: which of them opens, fails, ends or is reported, one at a time.

Invariant: level-triggered. A change follows from the holding and the grants as they are, so one that a crash prevented
is made by the next worker. A grant opens only on what the target confirmed and a look showed; it closes only when
the right is known to be absent, or another cause keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from core.access.grant import Grant, GrantStatus
from core.access.holding import Holding, Observation, OperationKind, UntoldStep
from core.access.rebuilding import is_unseen
from core.access.timing import ALERT_AFTER, ALERT_AFTER_FAILURES, ALERT_EVERY, TELL_DELAY, TELL_EMERGENCY_DELAY
from core.access.wanted import find_wanting, wanted_since
from core.actor import CLOCK
from core.audit.trail import AuditAction, EntryDraft
from core.clock import format_time


@dataclass(frozen=True, slots=True)
class GrantChange:
    """The next version of a grant, its audit entries, and the holding that moves with it."""

    grant: Grant
    entries: tuple[EntryDraft, ...]
    holding: Holding


def keep_books(holding: Holding, grants: Sequence[Grant], now: datetime) -> Holding:
    """The holding with what follows from the grants: since when it is overdue, and whose chain tells its steps."""
    wanting = find_wanting(grants, now)
    if wanting:
        return holding.change(last_grant=wanting[0].id, overdue_since=None, alerted_at=None)
    if holding.is_absence_proved or not holding.is_touched:
        return holding.change(overdue_since=None, alerted_at=None)
    return holding if holding.overdue_since is not None else holding.change(overdue_since=now)


def find_change(
    holding: Holding, grants: Sequence[Grant], now: datetime, residual: timedelta, *, is_clock_trusted: bool = True
) -> GrantChange | None:
    """The next change of a grant that is due; None if there is none. `residual`: how long sessions outlive a take."""
    for grant in grants:
        if grant.is_overdue(now) and is_clock_trusted:
            return _change(holding, grant.expire(now), AuditAction.GRANT_ENDING)
    for grant in grants:
        change = _advance(holding, grant, grants, now, residual)
        if change is not None:
            return change
    return _alert(holding, grants, now)


def tell_steps(holding: Holding, grants: Sequence[Grant]) -> GrantChange | None:
    """The entries of steps that no change of a grant carried yet; None if there are none."""
    for grant in grants:
        if _known_steps(holding, grant):
            return _change(holding, grant, None)
    return None


def _advance(
    holding: Holding, grant: Grant, grants: Sequence[Grant], now: datetime, residual: timedelta
) -> GrantChange | None:
    if grant.status is GrantStatus.ENDING:
        return _close(holding, grant, grants, now, residual)
    if grant.status is not GrantStatus.PENDING or not grant.is_wanted(now):
        return None
    if grant.is_understood and _is_confirmed_held(holding, now):
        opened = grant.open(now, stood_before=holding.standing)
        details: dict[str, JsonValue] = {"stood_before": True} if holding.standing else {}
        details["opened_at"] = format_time(now)
        return _change(holding, opened, AuditAction.GRANT_OPENED, details)
    refused = holding.refused
    if grant.is_understood and refused is not None and wanted_since(grant) <= refused.at and _is_surely_absent(holding):
        failed = grant.fail(now, refused.reason)
        return _close_as(holding, failed, AuditAction.GRANT_FAILED, {"reason": refused.reason})
    patience = TELL_EMERGENCY_DELAY if grant.is_emergency else TELL_DELAY
    if grant.delay_told_at is None and now >= grant.starts_at + patience:
        problem: dict[str, JsonValue] = {"problem": holding.problem} if holding.problem else {}
        return _change(holding, grant.tell_delay(now), AuditAction.GRANT_DELAYED, problem)
    return None


def _close(
    holding: Holding, grant: Grant, grants: Sequence[Grant], now: datetime, residual: timedelta
) -> GrantChange | None:
    wanting = find_wanting(grants, now)
    if wanting:
        closed = grant.close(now, is_kept=True)
        return _close_as(holding, closed, AuditAction.GRANT_CLOSED, {"kept_for": wanting[0].chain})
    if is_unseen(holding):
        return None
    if not holding.is_touched:
        is_kept = holding.standing
        details: dict[str, JsonValue] = {"stood_before": True} if is_kept else {}
        return _close_as(holding, grant.close(now, is_kept=is_kept), AuditAction.GRANT_CLOSED, details)
    if not _is_surely_absent(holding):
        return None
    # Also what nobody was told of could be used, from when it was given until it was taken.
    was_there = grant.opened_at is not None or (holding.taken_at is not None and holding.taken_at >= grant.starts_at)
    until = (holding.taken_at or now) + residual if was_there else None
    told: dict[str, JsonValue] = {"residual_until": format_time(until)} if until is not None else {}
    return _close_as(holding, grant.close(now, residual_until=until), AuditAction.GRANT_CLOSED, told)


def _close_as(holding: Holding, closed: Grant, action: AuditAction, details: dict[str, JsonValue]) -> GrantChange:
    at = closed.closed_at
    return _change(holding, closed, action, {**details, "closed_at": format_time(at)} if at is not None else details)


def _alert(holding: Holding, grants: Sequence[Grant], now: datetime) -> GrantChange | None:
    since = holding.overdue_since
    if since is None or (holding.failures < ALERT_AFTER_FAILURES and now < since + ALERT_AFTER):
        return None
    if holding.alerted_at is not None and now < holding.alerted_at + ALERT_EVERY:
        return None
    about = next((grant for grant in grants if grant.id == holding.last_grant), None)
    if about is None:
        return None
    details: dict[str, JsonValue] = {"failures": holding.failures, "due_since": format_time(since)}
    if holding.problem:
        details["problem"] = holding.problem
    return _change(holding.change(alerted_at=now), about, AuditAction.REVOKE_FAILING, details)


def _is_confirmed_held(holding: Holding, now: datetime) -> bool:
    """True when a look shows the right, and the target confirmed it, or it stood before us."""
    if holding.observed is not Observation.HELD or not holding.is_seen or holding.operation is not None:
        return False
    if holding.standing or holding.confirmed is OperationKind.GIVE:
        # The answer to a take may be lost: the right may go at any moment.
        return holding.lost is None or holding.lost.kind is OperationKind.GIVE
    return holding.lost is None and holding.is_settled(holding.taken_at, now)


def _is_surely_absent(holding: Holding) -> bool:
    """True when a look shows it absent, and nothing of ours is under way."""
    is_quiet = holding.operation is None and holding.lost is None
    return is_quiet and holding.is_seen and holding.is_absence_proved


def _known_steps(holding: Holding, grant: Grant) -> tuple[UntoldStep, ...]:
    # A step of a newer version waits for one that knows it.
    return tuple(step for step in holding.untold if step.grant == grant.id and step.action in set(AuditAction))


def _change(
    holding: Holding, grant: Grant, action: AuditAction | None, details: dict[str, JsonValue] | None = None
) -> GrantChange:
    steps = _known_steps(holding, grant)
    entries = [EntryDraft.of(grant, AuditAction(step.action), CLOCK, step.details) for step in steps]
    if action is not None:
        entries.append(EntryDraft.of(grant, action, CLOCK, {"right": str(grant.right), **(details or {})}))
    return GrantChange(grant, tuple(entries), holding.told(steps))

"""Replay the chain of a request: its votes, confirmation, questions and decision, against what its record says.

Invariant: pure. A vote, a confirmation, a question or a window that the record has and its entries don't is named, even
if an honest change sealed it afterwards; so is a decision by somebody who asked for it, or before it was confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from pydantic import JsonValue

from core.actor import is_person
from core.approval import Approval
from core.audit.trail import AuditAction, AuditEntry
from core.request import Request, RequestStatus

_VOTES: Final = frozenset({AuditAction.APPROVAL_ADDED, AuditAction.REQUEST_APPROVED})


def compare_request(record: Request, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """In what a request contradicts its own chain, as sentences; its status is compared elsewhere."""
    votes = [entry for entry in entries if entry.event in _VOTES and is_person(entry.actor)]
    yield from _compare_votes(record.approvals, votes)
    yield from _compare_lapses(record, votes)
    lapsed = sum(not vote.counts for vote in record.approvals)
    decided = next((entry for entry in entries if entry.event is AuditAction.REQUEST_APPROVED), None)
    if decided is not None and is_person(decided.actor):
        needed = entries[0].details.get("required_approvals", record.required_approvals)
        if isinstance(needed, int) and len(votes) - lapsed < needed:
            yield f"it was approved by {len(votes) - lapsed} of {needed} votes"
    if any(str(vote.actor) == entries[0].subject for vote in votes):
        yield "its requester voted on it"
    # An older version, which knows nothing of two people behind one request, may have counted a vote that lapsed since.
    counted = [entry for vote, entry in zip(record.approvals, votes, strict=False) if vote.counts]
    if record.asked_by is not None and any(str(entry.actor) == record.asked_by for entry in counted):
        yield "the person who asked for it on behalf of its requester voted on it"
    yield from _compare_confirmation(record, entries, counted)
    yield from _compare_questions(record, entries)
    yield from _compare_ending(record, entries)
    has_reminder = any(entry.event is AuditAction.REQUEST_REMINDED for entry in entries)
    if has_reminder != (record.reminded_at is not None):
        yield "its reminder is not that of its entries"
    yield from _compare_escalation(record, entries)


def _compare_escalation(record: Request, entries: Sequence[AuditEntry]) -> Iterator[str]:
    said = [entry.details.get("steps") for entry in entries if entry.event is AuditAction.REQUEST_ESCALATED]
    steps = [each for each in said if isinstance(each, int)]
    if record.escalated_steps != (steps[-1] if steps else 0):
        yield "the steps of its escalation that were announced are not those of its entries"
    if any(later <= earlier for earlier, later in pairwise((0, *steps))):
        yield "a step of its escalation was announced twice"


def _compare_confirmation(
    record: Request, entries: Sequence[AuditEntry], counted: Sequence[AuditEntry]
) -> Iterator[str]:
    confirmed = [entry for entry in entries if entry.event is AuditAction.REQUEST_CONFIRMED]
    if (len(confirmed) == 1) != (record.confirmed_at is not None) or len(confirmed) > 1:
        yield "its confirmation is not that of its entries"
    if any(str(entry.actor) != record.requester for entry in confirmed):
        yield "it was confirmed by somebody else than its requester"
    if record.asked_by is None:
        return
    first = confirmed[0].seq if confirmed else entries[-1].seq + 1
    denials = [entry for entry in entries if entry.event is AuditAction.REQUEST_DENIED]
    if any(entry.seq < first for entry in (*counted, *denials)):
        yield "people decided on it before its requester confirmed it"


def _compare_questions(record: Request, entries: Sequence[AuditEntry]) -> Iterator[str]:
    said: dict[JsonValue, tuple[JsonValue, ...]] = {}
    for entry in entries:
        number = entry.details.get("number")
        if entry.event is AuditAction.QUESTION_ASKED:
            if number in said:
                yield f"its question {number} was asked twice"
            said[number] = (str(entry.actor), entry.details.get("question"), None, None)
        elif entry.event is AuditAction.QUESTION_ANSWERED:
            asked = said.get(number)
            if asked is None or asked[2] is not None:
                yield f"its question {number} was answered {'twice' if asked is not None else 'and never asked'}"
            said[number] = (*(asked or (None, None))[:2], str(entry.actor), entry.details.get("answer"))
    stored = {each.number: (each.asker, each.text, each.answered_by, each.answer) for each in record.questions}
    if stored != said:
        yield "its questions and answers are not those of its entries"


def _compare_votes(approvals: Sequence[Approval], votes: Sequence[AuditEntry]) -> Iterator[str]:
    stored = [(vote.approver, vote.comment) for vote in approvals]
    # Comments moved into the entries with the votes; an entry without one says nothing about it.
    said = [(str(entry.actor), entry.details.get("comment")) for entry in votes]
    if [voter for voter, _ in stored] != [voter for voter, _ in said]:
        unknown = sorted({voter for voter, _ in stored} - {voter for voter, _ in said})
        lost = sorted({voter for voter, _ in said} - {voter for voter, _ in stored})
        yield (
            f"it has {len(stored)} votes, and its entries {len(said)}"
            + (f"; no entry has the vote of {', '.join(unknown)}" if unknown else "")
            + (f"; the vote of {', '.join(lost)} is missing" if lost else "")
        )
    elif stored != said:
        yield "the comment of a vote is not the one that was given"
    elif [vote.duration for vote in approvals] != [_read_duration(entry) for entry in votes]:
        yield "the time that a vote gave is not the one that was given"
    elif [vote.on_call for vote in approvals] != [_read_schedule(entry) for entry in votes]:
        yield "the schedule that let somebody vote is not the one that was recorded"


def _compare_lapses(record: Request, votes: Sequence[AuditEntry]) -> Iterator[str]:
    listed = [entry.details.get("lapsed") for entry in votes]
    said = [each for every in listed if isinstance(every, list) for each in every if isinstance(each, dict)]
    lapsed = [(vote.approver, vote.lapsed_reason) for vote in record.approvals if not vote.counts]
    if sorted(map(str, lapsed)) != sorted(str((each.get("approver"), each.get("reason"))) for each in said):
        yield "the votes that lapsed are not those of its entries"
    raised = [entry.details["raised_approvals"] for entry in votes if "raised_approvals" in entry.details]
    if record.raised_approvals != (raised[-1] if raised else None):
        yield "its raised approvals are not those of its entries"


def _read_schedule(entry: AuditEntry) -> str | None:
    """The schedule by which the entry's actor could vote; None if it was something else."""
    duties = entry.details.get("on_call")
    first = duties[0] if isinstance(duties, list) and duties else None
    return str(first.get("name")) if isinstance(first, dict) else None


def _read_duration(entry: AuditEntry) -> timedelta | None:
    said = entry.details.get("duration")
    return timedelta(microseconds=said // 1000) if isinstance(said, int) else None


def _compare_ending(record: Request, entries: Sequence[AuditEntry]) -> Iterator[str]:
    last = next((entry for entry in reversed(entries) if entry.outcome == record.status), None)
    if last is None or record.status is RequestStatus.PENDING:
        return
    if record.approver is not None and record.approver != last.actor:
        yield "its decision is not that of the person whom its entries name"
    name = "reason" if record.status is RequestStatus.DENIED else "comment"
    if record.approver is not None and differs(record.approver_comment, last, name):
        yield "the comment of its decision is not the one that was given"
    if record.status is RequestStatus.CANCELLED and record.cancelled_by not in {None, str(last.actor)}:
        yield "it was cancelled by somebody else than its entries name"
    opened = record.access_opens_at
    if opened is not None and record.starts_at is not None and opened < record.starts_at:
        yield "its access began before the start that was asked for"
    is_longer = opened is not None and record.life_ends_at() > opened + record.granted_duration
    if is_longer:
        yield "its access is longer than its votes gave"
    ends_at = last.details.get("access_ends_at")
    if ends_at is not None and record.to_item().get("access_ends_at") != ends_at:
        yield "its access ends at another time than was decided"


def differs(value: JsonValue, entry: AuditEntry | None, name: str) -> bool:
    """True when the entry says something else. An entry without this detail says nothing about it."""
    return entry is not None and name in entry.details and entry.details[name] != value

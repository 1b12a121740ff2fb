"""Replay the chain of a record through its state machine, and compare what must have become of the record.

Invariant: pure. A vote, a decision, a duration or a quorum that the record has and its entries don't is named, even if
somebody wrote it into the store and an honest change sealed it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from pydantic import JsonValue

from core.access.device import DEVICE_MACHINE, Device, DeviceStatus
from core.access.grant import GRANT_MACHINE, Grant, GrantStatus
from core.access.session import SESSION_MACHINE, Session, SessionStatus
from core.audit.device_replay import compare_device
from core.audit.grant_replay import compare_grant
from core.audit.request_replay import compare_request, differs
from core.audit.session_replay import compare_session
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import EVENT_MACHINE, BreakGlassEvent, EventStatus
from core.record import Record
from core.request import REQUEST_MACHINE, Request, RequestStatus
from core.state_machine import StateMachine

_FIRST: Final = {
    Request.KIND: AuditAction.REQUEST_SUBMITTED,
    BreakGlassEvent.KIND: AuditAction.BREAK_GLASS_INVOKED,
    Grant.KIND: AuditAction.GRANT_CREATED,
    Session.KIND: AuditAction.CREDENTIALS_ISSUED,
    Device.KIND: AuditAction.DEVICE_PAIRED,
}
_FIXED: Final = (
    "justification", "duration", "required_approvals", "expires_at", "rule", "reason_code", "request_id",
    "access_problem", "right", "source", "decided_by", "starts_at",
)  # fmt: skip
"""What the first entry says about the record, and nothing may change."""
_ALWAYS_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    Request.KIND: ("rights", "service", "device", "device_id", "asked_by", "bundle", "starts_at"),
    BreakGlassEvent.KIND: ("rights",),
    Grant.KIND: ("service",),
    Session.KIND: ("grant", "source", "right", "device", "device_name", "service", "source_identity", "expires_at"),
    Device.KIND: ("name", "agent", "address", "service", "confirmed_at", "expires_at"),
}
"""The same; no version wrote such a record without saying it."""


def find_contradictions(record: Record, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """In what the record contradicts its own chain, as sentences. `entries` is the whole chain, oldest entry first."""
    if not entries:
        return
    yield from _find_gaps(entries)
    yield from _find_origin(record, entries[0])
    if isinstance(record, Request):
        yield from _replay_status(record, entries, REQUEST_MACHINE, RequestStatus)
        yield from compare_request(record, entries)
    elif isinstance(record, BreakGlassEvent):
        yield from _replay_event(record, entries)
    elif isinstance(record, Grant):
        yield from _replay_status(record, entries, GRANT_MACHINE, GrantStatus)
        yield from compare_grant(record, entries)
    elif isinstance(record, Session):
        yield from _replay_status(record, entries, SESSION_MACHINE, SessionStatus)
        yield from compare_session(record, entries)
    elif isinstance(record, Device):
        yield from _replay_status(record, entries, DEVICE_MACHINE, DeviceStatus)
        yield from compare_device(record, entries)


def find_beside(record: Record, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """What stands beside the record in the store and contradicts it, as sentences: its seal, columns and indexes.

    The record has to come from `scan` or `find_many` of a store, which look at all that is stored of it.
    """
    yield from record.as_read.problems
    ttl, kept_until = record.as_read.ttl, entries[-1].kept_until if entries else None
    if ttl is not None and (kept_until is None or ttl != int(kept_until.timestamp())):
        yield "beside it, ttl is not when its last entry says that the table may forget it"


def _find_gaps(entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Changes that no entry wrote: each entry says what the record was before it, and what it became."""
    for before, entry in pairwise(entries):
        was, became = entry.previous_record_digest, before.record_digest
        if was is not None and became is not None and was != became:
            yield f"it was changed between entry {before.seq} and entry {entry.seq} ({entry.event}), by no entry"


def _find_origin(record: Record, first: AuditEntry) -> Iterator[str]:
    if first.event is not _FIRST.get(record.KIND):
        yield f"its chain begins with {first.event}"
        return
    stored = record.to_item()
    claimed: dict[str, tuple[JsonValue, JsonValue]] = {
        "person": (record.person, first.subject),
        "profile": (record.profile, first.profile),
    }
    always = _ALWAYS_SAID.get(record.KIND, ())
    named = (name for name in _FIXED if name in stored and name not in always)
    claimed |= {name: (stored.get(name), first.details.get(name)) for name in named}
    for name in always:
        if stored.get(name) != first.details.get(name):
            is_or_are = "are" if name == "rights" else "is"
            yield f"its {name.replace('_', ' ')} {is_or_are} not what was {_MADE[record.KIND]}"
    for name, (is_now, was) in claimed.items():
        if was is not None and is_now != was:
            yield f"its {name.replace('_', ' ')} is not what was {_MADE[record.KIND]}"


_MADE: Final = {
    Request.KIND: "asked for", BreakGlassEvent.KIND: "declared", Grant.KIND: "decided", Session.KIND: "issued",
    Device.KIND: "confirmed",
}  # fmt: skip


def _replay_event(record: BreakGlassEvent, entries: Sequence[AuditEntry]) -> Iterator[str]:
    yield from _replay_status(record, entries, EVENT_MACHINE, EventStatus)
    found: dict[AuditAction, AuditEntry] = {entry.event: entry for entry in entries}
    closed, reviewed = found.get(AuditAction.BREAK_GLASS_CLOSED), found.get(AuditAction.BREAK_GLASS_REVIEWED)
    if record.closed_by != (str(closed.actor) if closed else None) or differs(record.closed_reason, closed, "reason"):
        yield "its closing is not that of its entries"
    review = record.review
    if (review.reviewer if review else None) != (str(reviewed.actor) if reviewed else None):
        yield "its review is not that of its entries"
    elif review is not None and reviewed is not None and not _is_same_review(review.model_dump(mode="json"), reviewed):
        yield "its review does not say what its reviewer said"
    pairs: tuple[tuple[str, AuditAction, object], ...] = (
        ("question", AuditAction.BREAK_GLASS_ENDING_SOON, record.asked_at),
        ("reminder", AuditAction.REVIEW_REMINDED, record.reminded_at),
    )
    for name, action, at in pairs:
        if (action in found) != (at is not None):
            yield f"its {name} is not that of its entries"


def _is_same_review(review: Mapping[str, JsonValue], entry: AuditEntry) -> bool:
    return not any(differs(review.get(name), entry, name) for name in ("verdict", "notes", "follow_up"))


def _replay_status(
    record: Record,
    entries: Sequence[AuditEntry],
    machine: StateMachine[Any],
    kind: Callable[[str], StrEnum],
) -> Iterator[str]:
    status: StrEnum | None = None
    for entry in entries:
        try:
            target = kind(entry.outcome)
        except ValueError:
            # A newer version's entry: what it means is unknown, so nothing after it is judged.
            return
        if status is not None and not machine.may_move(status, target):
            yield f"entry {entry.seq} ({entry.event}) makes it {target}, and it was {status}"
        status = target
    if status is not None and record.state != status:
        yield f"it is {record.state}, and its last entry says {status}"

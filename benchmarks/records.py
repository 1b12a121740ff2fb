"""A long generated history: records that were decided and reviewed long ago, and questions about them.

Invariant: the newest records are the same at every length of the history, so every question has the same answer, and
only the older part grows. The stores can read every record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from pydantic import JsonValue

from benchmarks.harness import APPROVER, HOUR, JUSTIFICATION, KEYRING, POLICY, PROFILES
from core.actor import DeciderId, ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft, EntryId, seal
from core.break_glass import BreakGlassEvent, EventId, EventStatus, ReasonCode
from core.clock import format_time, new_id
from core.record import Record
from core.request import Request, RequestId, RequestStatus
from core.review import Verdict
from core.stores.base import Stores
from core.usage import Usage, UsageLedger, find_limit

BUSY: Final = UserId("U0BUSY")
"""The person whom the questions are about: every fourth record is theirs."""
PROD: Final = ProfileName(PROFILES[0])
"""The profile that the questions are about: every second record is for it."""
_OTHERS: Final = 1000
_NEWEST: Final = 50
"""How many records of each kind are the same at every length."""
_RECENT_INTERVAL: Final = timedelta(hours=4)
_OLD_INTERVAL: Final = timedelta(minutes=2)
_OPEN: Final = 12
"""How many records of each kind are open, and how many entries are undelivered, at every length of the history."""
_NEWEST_AGE: Final = timedelta(minutes=10)
_SOON: Final = timedelta(minutes=5)

_AT: Final = datetime.fromisoformat("2026-01-15T03:53:45.120000+00:00")
_ID: Final = "f" * 16
_PERSON: Final = UserId("U0TEMPLATE")
_PROFILE: Final = ProfileName("template")
_SLOT: Final = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z|(?<=[\"#]){_ID}|{_PERSON}|\b{_PROFILE}\b")
PAGE: Final = 10
"""The length of a page: each list is longer than this, even with the shortest history."""
LIMITS: Final = POLICY.document.break_glass[0].limits()
_DAY: Final = timedelta(days=1)
Ask = Callable[[Stores, datetime], object]


class _Template:
    """A stored record with placeholders for what differs: the id, the person, the profile and the times."""

    def __init__(self, item: Mapping[str, JsonValue]) -> None:
        text = json.dumps(item).replace("%", "%%")
        self._slots = _SLOT.findall(text)
        self._text = _SLOT.sub("%s", text)
        self._offsets = {slot: datetime.fromisoformat(slot) - _AT for slot in set(self._slots) if slot.endswith("Z")}

    def fill(self, names: Mapping[str, str], at: datetime) -> str:
        """The stored record as if it had been created at that time."""
        known = {**names, **{slot: format_time(at + offset) for slot, offset in self._offsets.items()}}
        return self._text % tuple(known[slot] for slot in self._slots)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of record in one state, with its two audit entries."""

    kind: type[Record]
    status: str
    life: timedelta
    record: _Template
    entries: tuple[_Template, _Template]


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One record of the history as it is stored, and its audit entries; `is_delivered` is false while one is due."""

    kind: type[Record]
    id: str
    person: str
    profile: str
    status: str
    at: datetime
    expires_at: datetime
    body: str
    entries: tuple[str, str]
    is_delivered: bool

    @property
    def chain(self) -> str:
        """The name of its audit chain."""
        return f"{self.kind.KIND}#{self.id}"


def make_history(count: int, now: datetime) -> Iterator[HistoryRecord]:
    """The history up to `now`, oldest record first: requests and events, half and half."""
    for number in reversed(range(count // 2)):
        at = now - _NEWEST_AGE - min(number, _NEWEST) * _RECENT_INTERVAL - max(0, number - _NEWEST) * _OLD_INTERVAL
        person = BUSY if number % 4 == 0 else f"U0OTHER{number % _OTHERS}"
        profile = PROD if number % 4 in {0, 1} else PROFILES[1 + number % 50]
        for kind in (_request_kind(number), _EVENTS[number < _OPEN]):
            names = {_ID: newest_id(number), _PERSON: person, _PROFILE: profile}
            yield HistoryRecord(
                kind=kind.kind,
                id=names[_ID],
                person=person,
                profile=profile,
                status=kind.status,
                at=at,
                expires_at=at + kind.life,
                body=kind.record.fill(names, at),
                entries=(kind.entries[0].fill(names, at), kind.entries[1].fill(names, at)),
                is_delivered=number >= _OPEN,
            )


def newest_id(number: int) -> str:
    """The id of the record that is this many before the newest one of its kind."""
    return f"{2**62 - number:016x}"


def _request_kind(number: int) -> _Kind:
    # The newest one is approved, so that its person has access now.
    if 0 < number < _OPEN:
        return _REQUESTS["pending"]
    return _REQUESTS["denied" if number % 10 == 1 else "approved"]


def _make(record: Record, *events: AuditAction) -> _Kind:
    entries = []
    for seq, event in enumerate(events, 1):
        draft = EntryDraft(
            id=EntryId(_ID),
            event=event,
            actor=DeciderId(APPROVER.id),
            outcome=str(record.state),
            subject=_PERSON,
            profile=_PROFILE,
            details={"policy_digest": "0" * 64, "rule": "one", "justification": JUSTIFICATION},
        )
        entry = seal(
            draft,
            KEYRING,
            chain=record.chain,
            seq=seq,
            previous="5" * 64,
            at=_AT if seq == 1 else _AT + _SOON,
            record_digest="6" * 64,
        )
        entries.append(_Template(entry.to_item()))
    stored = {**record.to_item(), "audit_head": "5" * 64, "audit_length": len(events)}
    first, second = entries
    return _Kind(type(record), str(record.state), record.expires_at - _AT, _Template(stored), (first, second))


def _make_requests() -> dict[str, _Kind]:
    asked = Request.submit(
        requester=_PERSON, profile=_PROFILE, justification=JUSTIFICATION, rule="one", now=_AT, request_id=RequestId(_ID)
    )
    approved = asked.approve(APPROVER.id, _AT + _SOON, "Go ahead")
    denied = asked.deny(APPROVER.id, _AT + _SOON, "Not before the weekend")
    submitted = AuditAction.REQUEST_SUBMITTED
    return {
        "pending": _make(asked, submitted, AuditAction.APPROVAL_ADDED),
        "approved": _make(approved, submitted, AuditAction.REQUEST_APPROVED),
        "denied": _make(denied, submitted, AuditAction.REQUEST_DENIED),
    }


def _make_events() -> dict[bool, _Kind]:
    """Active events under True, closed and reviewed ones under False."""
    invoked = BreakGlassEvent.invoke(
        invoker=_PERSON,
        profile=_PROFILE,
        reason_code=ReasonCode.INCIDENT,
        justification=JUSTIFICATION,
        rule="on-call",
        now=_AT,
        event_id=EventId(_ID),
    )
    closed = invoked.close(_PERSON, _AT + _SOON, "The checkout is up again")
    reviewed = closed.add_review(APPROVER.id, _AT + _SOON, Verdict.JUSTIFIED, "The runbook left no other way")
    return {
        True: _make(invoked, AuditAction.BREAK_GLASS_INVOKED, AuditAction.BREAK_GLASS_INVOKED),
        False: _make(reviewed, AuditAction.BREAK_GLASS_INVOKED, AuditAction.BREAK_GLASS_REVIEWED),
    }


_REQUESTS: Final = _make_requests()
_EVENTS: Final = _make_events()


@dataclass(frozen=True, slots=True)
class Question:
    """One question and how to ask it."""

    name: str
    ask: Ask


def check_limits(stores: Stores, person: UserId, profile: ProfileName, now: datetime) -> object:
    """What invoking break-glass does before it writes: read both ledgers, check the limits."""
    by_invoker, by_profile = stores.break_glass.get_ledgers(person, profile)
    return find_limit(by_invoker, by_profile, profile, LIMITS, now)


def make_ledgers(person: UserId, profile: ProfileName, count: int, now: datetime) -> tuple[UsageLedger, ...]:
    """The ledgers of the person and of the profile, with this many usages spread over the last weeks."""
    by_invoker, by_profile = UsageLedger.of_invoker(person), UsageLedger.of_profile(profile)
    usages = []
    for number in reversed(range(count)):
        at = now - timedelta(days=1) - number * timedelta(days=29) / count
        usages.append(Usage(event_id=new_id(), invoker=person, profile=profile, at=at, ends_at=at + HOUR))
    changes = {"usages": tuple(usages), "updated_at": now}
    return by_invoker.model_copy(update=changes), by_profile.model_copy(update=changes)


def _first_page(values: Iterable[object]) -> object:
    return list(islice(values, PAGE))


QUESTIONS: Final = (
    Question("the limits: get_ledgers, find_limit", lambda stores, now: check_limits(stores, BUSY, PROD, now)),
    Question("requests.list_by_requester", lambda stores, _: stores.requests.list_by_requester(BUSY, limit=PAGE)),
    Question(
        "requests.list_by_status, pending",
        lambda stores, _: stores.requests.list_by_status(RequestStatus.PENDING, limit=PAGE),
    ),
    Question(
        "requests.list_by_status, approved",
        lambda stores, _: stores.requests.list_by_status(RequestStatus.APPROVED, limit=PAGE),
    ),
    Question("requests.list_by_profile", lambda stores, _: stores.requests.list_by_profile(PROD, limit=PAGE)),
    Question("requests.find_granting", lambda stores, now: stores.requests.find_granting(BUSY, PROD, now)),
    Question("break_glass.list_by_invoker", lambda stores, _: stores.break_glass.list_by_invoker(BUSY, limit=PAGE)),
    Question(
        "break_glass.list_by_status, active",
        lambda stores, _: stores.break_glass.list_by_status(EventStatus.ACTIVE, limit=PAGE),
    ),
    Question(
        "break_glass.list_by_status, closed",
        lambda stores, _: stores.break_glass.list_by_status(EventStatus.CLOSED, limit=PAGE),
    ),
    Question("break_glass.list_by_profile", lambda stores, _: stores.break_glass.list_by_profile(PROD, limit=PAGE)),
    Question(
        "break_glass.find_active_by_invoker_and_profile",
        lambda stores, now: stores.break_glass.find_active_by_invoker_and_profile(BUSY, PROD, now),
    ),
    Question(
        "break_glass.count_by_invoker_since, a day",
        lambda stores, now: stores.break_glass.count_by_invoker_since(BUSY, now - _DAY),
    ),
    Question(
        "break_glass.count_by_profile_since, a day",
        lambda stores, now: stores.break_glass.count_by_profile_since(PROD, now - _DAY),
    ),
    Question(
        "break_glass.get_last_by_invoker_and_profile",
        lambda stores, _: stores.break_glass.get_last_by_invoker_and_profile(BUSY, PROD),
    ),
    Question("the outbox: outbox.iterate_due", lambda stores, now: _first_page(stores.outbox.iterate_due(now))),
    Question("audit.export, the last day", lambda stores, now: _first_page(stores.audit.export(since=now - _DAY))),
    Question("one chain: audit.get_chain", lambda stores, _: stores.audit.get_chain(f"REQUEST#{newest_id(0)}")),
)

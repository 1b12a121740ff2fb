"""Prepare a change for a store, and judge whether the stored record still allows it: the rules that all engines share.

Invariant: `updated_at` moves strictly forward with each change, and each change seals its audit entries to the
record's chain. An engine only has to make "still allowed" and "written" one atomic step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pydantic import JsonValue

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry, EntryDraft, seal
from core.clock import TICK, Clock, SystemClock, format_time
from core.errors import (
    AlreadyExists,
    ConcurrentModification,
    CountersignError,
    EventExists,
    EventNotFound,
    FixedFactChanged,
    InvalidStateTransition,
    MalformedRecord,
    NotFound,
    RequestExists,
    RequestNotFound,
)
from core.ledger import Ledger
from core.record import Record
from core.request import Request
from core.stores.base import DEFAULT_RETENTION

R = TypeVar("R", bound=Record)
L = TypeVar("L", bound=Ledger)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What every engine needs to know. `retention` is how long a record is kept after its life ended."""

    keyring: AuditKeyring = field(default_factory=AuditKeyring)
    retention: timedelta = DEFAULT_RETENTION
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Commit(Generic[R]):
    """A change, ready to be written: the record as it will be stored, and its sealed entries.

    `as_read` is the version that the stored record must still have; None when it must not exist yet.
    """

    record: R
    item: dict[str, JsonValue]
    entries: tuple[AuditEntry, ...]
    as_read: datetime | None
    kept_until: datetime | None


def prepare_create(record: R, drafts: Sequence[EntryDraft], settings: StoreSettings) -> Commit[R]:
    """A commit that creates a record. Its first entry has the record's creation time."""
    if not drafts:
        raise ValueError("there is no change without its audit entry")
    return _prepare(record, drafts, settings, as_read=None, first_at=record.updated_at)


def prepare_update(record: R, drafts: Sequence[EntryDraft], settings: StoreSettings) -> Commit[R]:
    """A commit that replaces the record that was read with `record.updated_at`."""
    as_read = record.updated_at
    return _prepare(record, drafts, settings, as_read=as_read, first_at=max(settings.clock.now(), as_read + TICK))


def prepare_delete(record: Record, draft: EntryDraft, settings: StoreSettings) -> AuditEntry:
    """The entry that ends a deleted record's chain: it says that no record belongs to the chain any more."""
    return seal(
        draft,
        settings.keyring,
        chain=record.chain,
        seq=record.audit_length + 1,
        previous=record.audit_head,
        at=max(settings.clock.now(), record.updated_at + TICK),
    )


def explain_refusal(stored: R | None, proposed: R) -> CountersignError | None:
    """Why `proposed` may not replace `stored`; None when it may. `proposed.updated_at` is the version it was read with.

    An illegal status takes precedence over a changed version: it is the answer that reading again would give.
    """
    if stored is None:
        return missing(type(proposed), proposed.id)
    if str(stored.state) not in proposed.legal_sources():
        by, at = stored.ended_by
        return InvalidStateTransition(proposed.chain, stored.state, proposed.state, decided_by=by, decided_at=at)
    if stored.updated_at != proposed.updated_at:
        return ConcurrentModification(proposed.chain)
    item = stored.to_item()
    changed = tuple(name for name, value in proposed.facts_to_keep().items() if item.get(name) != value)
    return FixedFactChanged(proposed.chain, changed) if changed else None


def is_allowed(stored: Mapping[str, JsonValue], commit: Commit[R]) -> bool:
    """True when `explain_refusal` would find no reason in this stored form: the same conditions as DynamoDB's."""
    has_legal_status = stored.get("status") in tuple(commit.record.legal_sources())
    return has_legal_status and all(stored.get(name) == value for name, value in must_be_stored(commit).items())


def must_be_stored(commit: Commit[R]) -> dict[str, JsonValue]:
    """The attributes that the stored record must have for this update to replace it; None means absent."""
    as_read = format_time(commit.as_read) if commit.as_read is not None else None
    return {"id": commit.record.id, "updated_at": as_read, **commit.record.facts_to_keep(commit.item)}


def read_record(kind: type[R], record_id: str, item: Mapping[str, object]) -> R:
    """The record stored under a key. Raises MalformedRecord, naming the key, unless it is that record, complete."""
    name = f"{kind.KIND}#{record_id}"
    try:
        record = kind.from_item(item)
    except MalformedRecord as error:
        raise MalformedRecord(name, error.problem) from error
    if record.id != record_id:
        raise MalformedRecord(name, f"it says that its id is {record.id}")
    return record


def missing(kind: type[Record], record_id: str) -> NotFound:
    """The error that says there is no such record."""
    return RequestNotFound(record_id) if issubclass(kind, Request) else EventNotFound(record_id)


def existing(record: Record) -> AlreadyExists:
    """The error that says this record exists already."""
    return RequestExists(record.id) if isinstance(record, Request) else EventExists(record.id)


def stamp_ledger(ledger: L, at: datetime) -> L:
    """The ledger as it will be stored: its version moves strictly forward, together with its change."""
    later = at if ledger.updated_at is None else max(at, ledger.updated_at + TICK)
    return ledger.model_copy(update={"updated_at": later})


def _prepare(
    record: R, drafts: Sequence[EntryDraft], settings: StoreSettings, *, as_read: datetime | None, first_at: datetime
) -> Commit[R]:
    times = [first_at + number * TICK for number in range(len(drafts))]
    stamped = record.model_copy(update={"updated_at": times[-1]})
    life_ends_at = stamped.life_ends_at()
    kept_until = life_ends_at + settings.retention if life_ends_at is not None else None
    item = stamped.to_item()
    record_digest = stamped.content_digest(item)
    entries: list[AuditEntry] = []
    previous, length = record.audit_head, record.audit_length
    for draft, at in zip(drafts, times, strict=True):
        length += 1
        entry = seal(
            draft,
            settings.keyring,
            chain=record.chain,
            seq=length,
            previous=previous,
            at=at,
            record_digest=record_digest,
            kept_until=kept_until,
        )
        previous = entry.digest
        entries.append(entry)
    chain_head: dict[str, JsonValue] = {"audit_head": previous, "audit_length": length}
    return Commit(
        record=stamped.model_copy(update=chain_head),
        item={**item, **chain_head},
        entries=tuple(entries),
        as_read=as_read,
        kept_until=kept_until,
    )

"""Prepare a change for a store, and judge whether the stored record still allows it: the rules that all engines share.

Invariant: `updated_at` moves strictly forward with each change, and each change seals its audit entries to the
record's chain. An engine only has to make "still allowed" and "written" one atomic step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, NamedTuple, TypeVar

from pydantic import JsonValue

from core.access.device import Device, DeviceExists, DeviceNotFound
from core.access.grant import Grant
from core.access.session import Session, SessionExists, SessionNotFound
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry, EntryDraft, seal
from core.break_glass import BreakGlassEvent
from core.clock import TICK, Clock, SystemClock, format_time
from core.errors import (
    AlreadyExists,
    ConcurrentModification,
    CountersignError,
    EventExists,
    EventNotFound,
    FixedFactChanged,
    GrantExists,
    GrantNotFound,
    InvalidStateTransition,
    NotFound,
    RequestExists,
    RequestNotFound,
)
from core.ledger import Ledger
from core.record import Record
from core.request import Request
from core.stored import AsRead
from core.stores.base import DEFAULT_RETENTION
from core.stores.seals import SEAL, SealedLedger, seal_ledger, seal_record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What every engine needs to know. `retention` is how long a record is kept after its life ended."""

    keyring: AuditKeyring = field(default_factory=AuditKeyring)
    retention: timedelta = DEFAULT_RETENTION
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Commit(Generic[R]):
    """A change, ready to be written: the record as it will be stored, its sealed entries and ledgers.

    `proposed` is the record as the caller passed it, with the version that the stored one must still have. `is_new` is
    true when there must be none yet.
    """

    record: R
    proposed: R
    item: dict[str, JsonValue]
    entries: tuple[AuditEntry, ...]
    ledgers: tuple[SealedLedger, ...]
    kept_until: datetime | None
    is_new: bool


def prepare_create(
    record: R, drafts: Sequence[EntryDraft], settings: StoreSettings, ledgers: Sequence[Ledger] = ()
) -> Commit[R]:
    """A commit that creates a record. Its first entry has the record's creation time."""
    if not drafts:
        raise ValueError("there is no change without its audit entry")
    return _prepare(record, drafts, settings, ledgers, first_at=record.updated_at, is_new=True)


def prepare_update(
    record: R, drafts: Sequence[EntryDraft], settings: StoreSettings, ledgers: Sequence[Ledger] = ()
) -> Commit[R]:
    """A commit that replaces the record that was read with `record.updated_at`.

    Raises FixedFactChanged when it takes back what may only gain, such as a vote.
    """
    if not drafts:
        raise ValueError("there is no change without its audit entry")
    # A status that leads nowhere is the better answer; the write gives it.
    is_legal = record.as_read.item.get("status") in tuple(record.legal_sources())
    if is_legal and (lost := record.find_lost(record.as_read.item)):
        raise FixedFactChanged(record.chain, lost)
    first_at = max(settings.clock.now(), record.updated_at + TICK)
    return _prepare(record, drafts, settings, ledgers, first_at=first_at, is_new=False)


def prepare_delete(record: Record, draft: EntryDraft, settings: StoreSettings) -> AuditEntry:
    """The entry that ends a deleted record's chain: it says that no record belongs to the chain any more."""
    return seal(
        draft,
        settings.keyring,
        chain=record.chain,
        seq=record.audit_length + 1,
        previous=record.audit_head,
        at=max(settings.clock.now(), record.updated_at + TICK),
        previous_record_digest=record.as_read.digest or None,
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
    fixed = (name for name, value in proposed.facts_to_keep().items() if item.get(name) != value)
    changed = (*fixed, *proposed.find_lost(item))
    return FixedFactChanged(proposed.chain, changed) if changed else None


def is_allowed(stored: Mapping[str, JsonValue], commit: Commit[R]) -> bool:
    """True when `explain_refusal` would find no reason in this stored form: the same conditions as DynamoDB's."""
    has_legal_status = stored.get("status") in tuple(commit.record.legal_sources())
    return has_legal_status and all(stored.get(name) == value for name, value in must_be_stored(commit).items())


def must_be_stored(commit: Commit[R]) -> dict[str, JsonValue]:
    """The attributes that the stored record must have for this update to replace it; None means absent."""
    return {**as_it_was_read(commit.proposed), **commit.record.facts_to_keep(commit.item), **_gaining(commit.proposed)}


def as_it_was_read(record: Record) -> dict[str, JsonValue]:
    """The attributes that a stored record has as long as it is the one that was read; None means absent."""
    # The version alone can be kept by somebody who changes the record past us: the seal and the head cannot.
    return {
        "id": record.id,
        "updated_at": format_time(record.updated_at),
        "audit_head": record.audit_head or None,
        SEAL: record.as_read.seal,
    }


def _gaining(record: Record) -> dict[str, JsonValue]:
    """What may only gain, as it was read: together with `find_lost`, it makes the store refuse a lost vote."""
    return {name: record.as_read.item.get(name) for name in record.GAINING}


def missing(kind: type[Record], record_id: str) -> NotFound:
    """The error that says there is no such record."""
    return _MISSING[kind.KIND](record_id)


def existing(record: Record) -> AlreadyExists:
    """The error that says this record exists already."""
    return _EXISTING[record.KIND](record.id)


_MISSING: Final[Mapping[str, type[NotFound]]] = {
    Request.KIND: RequestNotFound,
    BreakGlassEvent.KIND: EventNotFound,
    Grant.KIND: GrantNotFound,
    Device.KIND: DeviceNotFound,
    Session.KIND: SessionNotFound,
}
_EXISTING: Final[Mapping[str, type[AlreadyExists]]] = {
    Request.KIND: RequestExists,
    BreakGlassEvent.KIND: EventExists,
    Grant.KIND: GrantExists,
    Device.KIND: DeviceExists,
    Session.KIND: SessionExists,
}


def _prepare(
    record: R,
    drafts: Sequence[EntryDraft],
    settings: StoreSettings,
    ledgers: Sequence[Ledger],
    *,
    first_at: datetime,
    is_new: bool,
) -> Commit[R]:
    times = [first_at + number * TICK for number in range(len(drafts))]
    stamped = record.model_copy(update={"updated_at": times[-1]})
    life_ends_at = stamped.life_ends_at()
    kept_until = life_ends_at + settings.retention if life_ends_at is not None else None
    content = stamped.to_item()
    digest = stamped.content_digest(content)
    sealed = tuple(seal_ledger(ledger, times[-1], settings.keyring) for ledger in ledgers)
    named = _Named(digest, kept_until, {each.ledger.owner: each.digest for each in sealed})
    entries = _seal_entries(record, list(zip(drafts, times, strict=True)), named, settings.keyring)
    previous, length = (entries[-1].digest, entries[-1].seq) if entries else (record.audit_head, record.audit_length)
    item: dict[str, JsonValue] = {**content, "audit_head": previous, "audit_length": length}
    seal_text = seal_record(record.chain, length, previous, digest, settings.keyring)
    as_stored = {"audit_head": previous, "audit_length": length, "as_read": AsRead(seal_text, digest, item)}
    return Commit(
        record=stamped.model_copy(update=as_stored),
        proposed=record,
        item={**item, SEAL: seal_text},
        entries=tuple(entries),
        ledgers=sealed,
        kept_until=kept_until,
        is_new=is_new,
    )


class _Named(NamedTuple):
    """What each entry of a change says about what is stored with it."""

    digest: str
    kept_until: datetime | None
    ledgers: Mapping[str, str]


def _seal_entries(
    record: Record, drafts: Sequence[tuple[EntryDraft, datetime]], named: _Named, keyring: AuditKeyring
) -> list[AuditEntry]:
    """The entries of a change, sealed to the end of the record's chain."""
    entries: list[AuditEntry] = []
    previous, before = record.audit_head, record.as_read.digest or None
    for draft, at in drafts:
        entry = seal(
            draft,
            keyring,
            chain=record.chain,
            seq=record.audit_length + len(entries) + 1,
            previous=previous,
            at=at,
            record_digest=named.digest,
            previous_record_digest=before,
            ledgers=named.ledgers,
            kept_until=named.kept_until,
        )
        previous, before = entry.digest, named.digest
        entries.append(entry)
    return entries

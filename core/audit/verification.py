"""Find what was done to the audit trail, or to the records, behind the bot's back.

Invariant: for every chain, one of two things is true. Either each entry is genuine and follows the one before it, and
the record is what the last entry says; or a finding says where the chain breaks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSALS_KIND, SYSTEM_CHAINS, AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventId
from core.errors import MalformedRecord, NotFound
from core.record import Record
from core.request import Request, RequestId
from core.stores.base import Stores


class FindingKind(StrEnum):
    """What was done."""

    EDITED = "edited"
    REMOVED = "removed"
    REORDERED = "reordered"
    APPENDED = "appended"
    RECORD_CHANGED = "record changed"
    RECORD_REMOVED = "record removed"
    UNREADABLE = "unreadable"
    UNKNOWN_KEY = "unknown key"


@dataclass(frozen=True, slots=True)
class Finding:
    """One break: the chain, what was done, and a sentence that says where."""

    chain: str
    kind: FindingKind
    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain has to end: its length and its last digest, according to the record or the refusal head."""

    length: int
    digest: str


@dataclass(slots=True)
class Tally:
    """How much was checked."""

    chains: int = 0
    entries: int = 0
    records: int = 0


_MAX_READS: Final = 3
"""How often a chain that looks broken is read again: the bot may be adding to it at this very moment."""


def verify_entries(
    chain: str, entries: Sequence[AuditEntry], head: Head | None, keyring: AuditKeyring
) -> Iterator[Finding]:
    """Check one chain against its head. `head` is None if the head no longer exists."""
    previous, expected = "", 1
    for entry in entries:
        where = f"entry {entry.seq} ({entry.event})"
        if not keyring.knows(entry.key_id):
            yield Finding(chain, FindingKind.UNKNOWN_KEY, f"{where} was sealed with the key {entry.key_id}")
        elif entry.chain != chain or not keyring.is_genuine(entry):
            yield Finding(chain, FindingKind.EDITED, f"{where} does not say what was sealed")
        if entry.seq > expected:
            gone = f"entry {expected}" if entry.seq == expected + 1 else f"entries {expected} to {entry.seq - 1}"
            yield Finding(chain, FindingKind.REMOVED, f"{gone} should stand before {where}")
        elif entry.seq < expected or entry.previous != previous:
            yield Finding(chain, FindingKind.REORDERED, f"{where} does not follow the one before it")
        previous, expected = entry.digest, entry.seq + 1
    if head is None:
        return
    if expected - 1 < head.length:
        yield Finding(chain, FindingKind.REMOVED, f"the last {head.length - expected + 1} of {head.length} are missing")
    elif expected - 1 > head.length:
        yield Finding(chain, FindingKind.APPENDED, f"it has {expected - 1} entries, and {head.length} were written")
    elif previous != head.digest:
        yield Finding(chain, FindingKind.EDITED, "the last entry is not the one that was written last")


def verify_record(record: Record, entries: Sequence[AuditEntry]) -> Iterator[Finding]:
    """Check that a record is what the last entry of its chain says it became."""
    if not entries:
        yield Finding(record.chain, FindingKind.REMOVED, f"all {record.audit_length} entries are missing")
    elif entries[-1].record_digest != record.content_digest():
        yield Finding(record.chain, FindingKind.RECORD_CHANGED, "it is not what its last entry says it became")


def verify_trail(stores: Stores, keyring: AuditKeyring, now: datetime, tally: Tally | None = None) -> Iterator[Finding]:
    """Check every chain and every record; count in `tally` what was checked.

    It may run while the bot runs: what looks broken is read again, and reported only if it is still broken.
    """
    tally = tally or Tally()
    seen: set[str] = set()
    for chain, entries in stores.audit.iterate_chains():
        seen.add(chain)
        tally.chains += 1
        tally.entries += 0 if isinstance(entries, MalformedRecord) else len(entries)
        if any(True for _ in _verify_reading(stores, chain, entries, keyring, now)):
            yield from verify_chain(stores, chain, keyring, now)
    for record in itertools.chain[Record](stores.requests.iterate(), stores.break_glass.iterate()):
        tally.records += 1
        if record.chain not in seen and not stores.audit.get_chain(record.chain):
            yield from verify_record(record, ())


def verify_chain(stores: Stores, chain: str, keyring: AuditKeyring, now: datetime) -> Iterator[Finding]:
    """Check one chain with its record, as they are now."""
    findings: tuple[Finding, ...] = ()
    for _ in range(_MAX_READS):
        findings = tuple(_verify_reading(stores, chain, _read_chain(stores, chain), keyring, now))
        if not findings:
            break
    yield from findings


def _read_chain(stores: Stores, chain: str) -> tuple[AuditEntry, ...] | MalformedRecord:
    try:
        return stores.audit.get_chain(chain)
    except MalformedRecord as error:
        return error


def _verify_reading(
    stores: Stores, chain: str, entries: tuple[AuditEntry, ...] | MalformedRecord, keyring: AuditKeyring, now: datetime
) -> Iterator[Finding]:
    if isinstance(entries, MalformedRecord):
        yield Finding(chain, FindingKind.UNREADABLE, str(entries))
        return
    kind = chain.partition("#")[0]
    if kind == REFUSALS_KIND:
        length, digest = stores.audit.get_refusals_head(chain)
        yield from verify_entries(chain, entries, Head(length, digest), keyring)
        return
    if chain in SYSTEM_CHAINS:
        yield from verify_entries(chain, entries, None, keyring)
        return
    try:
        record = _read_record(stores, chain)
    except MalformedRecord as error:
        yield Finding(chain, FindingKind.UNREADABLE, str(error))
        return
    head = Head(record.audit_length, record.audit_head) if record is not None else None
    yield from verify_entries(chain, entries, head, keyring)
    if record is not None and head is not None and len(entries) == head.length:
        yield from verify_record(record, entries)
    if record is None and not _may_be_gone(entries, now):
        yield Finding(chain, FindingKind.RECORD_REMOVED, "its record is missing, and should still be kept")


def _read_record(stores: Stores, chain: str) -> Record | None:
    kind, _, record_id = chain.partition("#")
    try:
        if kind == Request.KIND:
            return stores.requests.get(RequestId(record_id))
        if kind == BreakGlassEvent.KIND:
            return stores.break_glass.get(EventId(record_id))
    except NotFound:
        return None
    raise MalformedRecord(chain, "no kind of record has such a chain")


def _may_be_gone(entries: Sequence[AuditEntry], now: datetime) -> bool:
    """True when the record was deleted by the bot, or its time to be kept is over."""
    last = entries[-1] if entries else None
    if last is None or last.event is AuditAction.RECORD_DELETED:
        return True
    return last.kept_until is not None and last.kept_until <= now

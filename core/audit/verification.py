"""Find what was done to the audit trail, or to the records, behind the bot's back.

Invariant: for every chain, one of two things is true. Either each entry is genuine and follows the one before it, and
the record is what the last entry says; or a finding says where the chain breaks. What is in the interval of a
checkpoint is what it sealed, so a chain that is gone as a whole is found as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from core.access.grant import Grant
from core.access.session import Session
from core.audit.chain_check import Head, SealCheck, verify_entries
from core.audit.checkpoint import read_seal_check
from core.audit.findings import Finding, FindingKind, Tally
from core.audit.grant_sources import compare_with_chain, compare_with_grants, compare_with_source, find_related
from core.audit.holding_check import check_holdings
from core.audit.intervals import IntervalCheck
from core.audit.keyring import AuditKeyring
from core.audit.ledger_check import check_ledgers
from core.audit.places import in_batches, read_places
from core.audit.records import KINDS, ChainRecords, find_records, read_records, stores_by_kind
from core.audit.replay import find_beside, find_contradictions
from core.audit.seen_chains import SeenChains
from core.audit.session_replay import compare_with_grant
from core.audit.trail import REFUSALS_KIND, SYSTEM_CHAINS, AuditAction, AuditEntry
from core.errors import MalformedRecord
from core.record import AccessRecord, Record
from core.stores.base import Stores

Entries = tuple[AuditEntry, ...] | MalformedRecord
"""The entries of a chain, or what is wrong with one of them."""
Found = Record | MalformedRecord | None
_EVERY: Final = 1_000
"""After how many records progress is reported."""
_NEWER: Final = "a newer version made it, under rules that this one doesn't know: verify it with the newer version"
_MAX_READS: Final = 3
"""How often a chain that looks broken is read again: the bot may be adding to it at this very moment."""


def check_content(record: Record, entries: Sequence[AuditEntry]) -> Iterator[Finding]:
    """Check that a record is what its chain says it became, and that what stands beside it agrees with it."""
    is_same = entries[-1].record_digest == record.content_digest()
    differs = [] if is_same else ["it is not what its last entry says it became"]
    is_newer = _is_newer(record)
    differs += [*([] if is_newer else find_contradictions(record, entries)), *find_beside(record, entries)]
    if differs:
        yield Finding(record.chain, FindingKind.RECORD_CHANGED, "; ".join(differs))
    if is_newer:
        yield Finding(record.chain, FindingKind.NEWER, _NEWER)


RECORD_CHECKS: Final[tuple[Callable[[Record, Sequence[AuditEntry]], Iterator[Finding]], ...]] = (check_content,)
"""What a record and its complete chain have to fulfil together."""
STORE_CHECKS: Final[tuple[Callable[[Stores, AuditKeyring, datetime], Iterator[Finding]], ...]] = (
    check_ledgers,
    check_holdings,
)
"""What everything else in the stores has to fulfil."""


def verify_trail(
    stores: Stores,
    keyring: AuditKeyring,
    now: datetime,
    tally: Tally | None = None,
    on_progress: Callable[[Tally], None] = lambda _: None,
) -> Iterator[Finding]:
    """Check every chain, every record and every checkpoint; count in `tally` what was checked.

    It may run while the bot runs: what looks broken is read again, and reported only if it is still broken.
    `on_progress` is called with the tally every hundred chains.
    """
    yield from TrailVerification.prepare(stores, keyring, now, tally or Tally(), on_progress).verify_all()


def verify_chain(stores: Stores, chain: str, keyring: AuditKeyring, now: datetime) -> Iterator[Finding]:
    """Check one chain with its record, as they are now."""
    yield from TrailVerification.prepare(stores, keyring, now, Tally()).verify_chain(chain)


@dataclass(frozen=True, slots=True)
class TrailVerification:
    """One run of the verification. `tally` counts what was checked."""

    stores: Stores
    seals: SealCheck
    now: datetime
    tally: Tally
    on_progress: Callable[[Tally], None] = field(default=lambda _: None)

    @classmethod
    def prepare(
        cls,
        stores: Stores,
        keyring: AuditKeyring,
        now: datetime,
        tally: Tally,
        on_progress: Callable[[Tally], None] = lambda _: None,
    ) -> TrailVerification:
        """A run that knows which keys were retired and since when entries are signed."""
        return cls(stores, read_seal_check(stores.audit, keyring), now, tally, on_progress)

    def verify_all(self) -> Iterator[Finding]:
        """Check everything."""
        seen = SeenChains()
        for batch in in_batches(self.stores.audit.iterate_chains()):
            for chain, _ in batch:
                seen.add(chain)
            yield from self.verify_batch(batch)
        yield from self._verify_records(seen)
        yield from IntervalCheck(self.stores.audit, self.seals, self.tally).run()
        for check in STORE_CHECKS:
            yield from check(self.stores, self.seals.keyring, self.now)

    def verify_batch(self, batch: Sequence[tuple[str, Entries]]) -> Iterator[Finding]:
        """Check some chains, whose entries were read, each with its record."""
        reading = read_records(self.stores, [chain for chain, _ in batch])
        for chain, entries in batch:
            self.tally.chains += 1
            self._count(entries)
            if any(True for _ in self._verify_reading(chain, entries, reading)):
                yield from self.verify_chain(chain)
        self.on_progress(self.tally)

    def verify_chain(self, chain: str) -> Iterator[Finding]:
        """Check one chain with its record, as they are now."""
        findings: tuple[Finding, ...] = ()
        for _ in range(_MAX_READS):
            entries = self._read_chain(chain)
            findings = tuple(self._verify_reading(chain, entries, read_records(self.stores, [chain])))
            if not findings:
                break
        yield from findings

    def _verify_records(self, seen: SeenChains) -> Iterator[Finding]:
        """Check that every record can be read and has a chain."""
        stores = self.stores
        ids = ((kind, record_id) for kind, store in stores_by_kind(stores).items() for record_id in store.iterate_ids())
        for chain in (f"{kind}#{record_id}" for kind, record_id in ids):
            self.tally.records += 1
            self.tally.grants += chain.startswith(f"{Grant.KIND}#")
            if self.tally.records % _EVERY == 0:
                self.on_progress(self.tally)
            if chain in seen:
                # With its chain, it was checked already.
                continue
            # The bot may have made it a moment ago.
            has_chain, record = self._has_chain(chain), find_records(stores, [chain]).get(chain)
            yield from self.verify_chain(chain) if has_chain else _verify_without_chain(chain, record)

    def _read_chain(self, chain: str) -> Entries:
        try:
            return self.stores.audit.get_chain(chain)
        except MalformedRecord as error:
            return error

    def _count(self, entries: Entries) -> None:
        if isinstance(entries, MalformedRecord):
            return
        self.tally.entries += len(entries)
        self.tally.unsigned += sum(map(self.seals.is_from_before_signing, entries))

    def _verify_reading(self, chain: str, entries: Entries, reading: ChainRecords) -> Iterator[Finding]:
        record = reading.records.get(chain)
        if isinstance(entries, MalformedRecord):
            yield Finding(chain, FindingKind.UNREADABLE, str(entries))
            return
        kind = chain.partition("#")[0]
        if kind == REFUSALS_KIND:
            length, digest = self.stores.audit.get_refusals_head(chain)
            yield from verify_entries(chain, entries, Head(length, digest), self.seals)
        elif chain in SYSTEM_CHAINS:
            yield from verify_entries(chain, entries, None, self.seals)
        elif kind not in KINDS:
            yield Finding(chain, FindingKind.UNREADABLE, f"{chain} cannot be read: no kind of record has such a chain")
        elif isinstance(record, MalformedRecord):
            yield Finding(chain, FindingKind.UNREADABLE, str(record))
        elif record is None:
            yield from verify_entries(chain, entries, None, self.seals)
            if not _may_be_gone(entries, self.now):
                text = "its record is missing, and should still be kept"
                yield Finding(chain, FindingKind.RECORD_REMOVED, text)
        else:
            yield from self._verify_record(record, entries)
            if not _is_newer(record):
                yield from self._verify_decision(record, reading.related)

    def _verify_decision(self, record: Record, related: Mapping[str, Record | MalformedRecord]) -> Iterator[Finding]:
        """Check that a decision made its grants, and that a grant is what was decided."""
        if isinstance(record, Grant):
            source = related.get(record.source)
            if isinstance(source, MalformedRecord) or (source is not None and _is_reported(source)):
                # It is a finding of its own.
                return
            if source is not None:
                problems = [*compare_with_source(record, source)]
            else:
                entries = self._read_chain(record.source)
                known = entries if isinstance(entries, tuple) else ()
                problems = [*compare_with_chain(record, record.source, known)]
        elif isinstance(record, Session):
            problems = [*self._compare_session(record, related)]
        else:
            unread = [chain for chain in find_related(record) if chain not in related]
            # A grant that is no longer kept has its entries still.
            missing = [chain for chain in unread if not self._has_chain(chain)]
            problems = [*compare_with_grants(record, related, missing)]
        if problems:
            yield Finding(record.chain, FindingKind.RECORD_CHANGED, "; ".join(problems))

    def _compare_session(self, session: Session, related: Mapping[str, Record | MalformedRecord]) -> Iterator[str]:
        (chain,) = find_related(session)
        grant = related.get(chain)
        if isinstance(grant, Grant) and not grant.as_read.problems:
            yield from compare_with_grant(session, grant)
        elif grant is None and not self._has_chain(chain):
            yield f"its grant {chain} was never made"
        if session.awaits is not None:
            listed = self.stores.sessions.list_of_right(session.right)
            if session.id not in {*(each.id for each in listed.sessions), *listed.unreadable}:
                yield f"it awaits its {session.awaits}, and its right doesn't list it: nobody would end it"

    def _has_chain(self, chain: str) -> bool:
        return any(entry is not None for _, entry in read_places(self.stores.audit, chain, 1, 1))

    def _verify_record(self, record: Record, entries: Sequence[AuditEntry]) -> Iterator[Finding]:
        yield from verify_entries(record.chain, entries, Head(record.audit_length, record.audit_head), self.seals)
        if entries and len(entries) == record.audit_length:
            for check in RECORD_CHECKS:
                yield from check(record, entries)


def _is_newer(record: Record) -> bool:
    return isinstance(record, AccessRecord) and not record.is_understood


def _is_reported(record: Record) -> bool:
    return bool(record.as_read.problems) or _is_newer(record)


def _verify_without_chain(chain: str, record: Found) -> Iterator[Finding]:
    if isinstance(record, MalformedRecord):
        yield Finding(chain, FindingKind.UNREADABLE, f"{record}; and its chain is missing")
    elif record is not None:
        yield Finding(chain, FindingKind.REMOVED, f"all {record.audit_length} entries are missing")


def _may_be_gone(entries: Sequence[AuditEntry], now: datetime) -> bool:
    """True when the record was deleted by the bot, or its time to be kept is over."""
    last = entries[-1] if entries else None
    if last is None or last.event is AuditAction.RECORD_DELETED:
        return True
    return last.kept_until is not None and last.kept_until <= now

"""Verify what came after a checkpoint: the entries since then, the records they changed, and the later checkpoints.

Invariant: its cost depends on what is new, not on the length of the trail. What was sealed before the checkpoint is
trusted; only a whole verification looks at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.access.grant import Grant
from core.audit.chain_check import ChainCheck
from core.audit.findings import Finding, FindingKind
from core.audit.intervals import IntervalCheck
from core.audit.places import find_length, in_batches, read_places
from core.audit.records import find_records
from core.audit.trail import CHECKPOINTS, REFUSALS_KIND, SYSTEM_CHAINS, AuditEntry
from core.audit.verification import Entries, TrailVerification
from core.errors import MalformedRecord
from core.record import Record
from core.stores.audit import Place, PlacedDigest


@dataclass(slots=True)
class _Touched:
    """The first and the last number of each chain's new entries."""

    chains: dict[str, tuple[int, int]] = field(default_factory=dict)

    def note(self, digest: PlacedDigest) -> None:
        first, last = self.chains.get(digest.chain, (digest.seq, digest.seq))
        self.chains[digest.chain] = min(first, digest.seq), max(last, digest.seq)


def verify_since(run: TrailVerification, start: AuditEntry) -> Iterator[Finding]:
    """Verify what came after this checkpoint. Raises StoreUnavailable; MalformedRecord when it is no checkpoint."""
    audit, touched = run.stores.audit, _Touched()
    yield from IntervalCheck(audit, run.seals, run.tally, start, touched.note).run()
    last = find_length(audit, CHECKPOINTS)
    if last < start.seq:
        yield Finding(CHECKPOINTS, FindingKind.REMOVED, f"it ends with {last}; {start.seq} is where this started")
    touched.chains[CHECKPOINTS] = min(start.seq, *touched.chains.get(CHECKPOINTS, (start.seq,))), last
    without_record = {name: ends for name, ends in touched.chains.items() if _has_no_record(name)}
    for chain, (first, end) in without_record.items():
        run.tally.chains += 1
        yield from _verify_end(run, chain, first, end)
    of_records = ((name, ends) for name, ends in touched.chains.items() if name not in without_record)
    for batch in in_batches(of_records):
        yield from run.verify_batch(_read_chains(run, dict(batch)))


def _has_no_record(chain: str) -> bool:
    return chain in SYSTEM_CHAINS or chain.partition("#")[0] == REFUSALS_KIND


def _verify_end(run: TrailVerification, chain: str, first: int, last: int) -> Iterator[Finding]:
    """Check the end of a chain that may be long, from one entry to another, and that nothing is missing behind it."""
    audit = run.stores.audit
    check = ChainCheck(chain, run.seals, length=max(first - 2, 0))
    for number, entry in read_places(audit, chain, max(first - 1, 1), last):
        if isinstance(entry, MalformedRecord):
            yield Finding(chain, FindingKind.UNREADABLE, str(entry))
        elif entry is not None and number < first:
            # Trusted: it is only where the new entries begin.
            check.length, check.digest = number, entry.digest
        elif entry is not None:
            run.tally.entries += 1
            yield from check.check((entry,))
    if chain.partition("#")[0] == REFUSALS_KIND and audit.get_refusals_head(chain)[0] < check.length:
        # It may have grown meanwhile. It can't have become shorter.
        yield from run.verify_chain(chain)


def _read_chains(run: TrailVerification, ends: Mapping[str, tuple[int, int]]) -> list[tuple[str, Entries]]:
    """The whole chains of up to a hundred records, a hundred entries at a time."""
    records = find_records(run.stores, ends)
    run.tally.records += len(records)
    run.tally.grants += sum(isinstance(record, Grant) for record in records.values())
    lengths: dict[str, int] = {}
    for chain, (_, last) in ends.items():
        record = records.get(chain)
        lengths[chain] = max(last, record.audit_length) if isinstance(record, Record) else last
    places = ((chain, number) for chain, length in lengths.items() for number in range(1, length + 1))
    found: dict[Place, AuditEntry | MalformedRecord] = {}
    for batch in in_batches(places):
        found |= run.stores.audit.get_entries(batch)
    return [(chain, _in_order(chain, length, found)) for chain, length in lengths.items()]


def _in_order(chain: str, length: int, found: Mapping[Place, AuditEntry | MalformedRecord]) -> Entries:
    entries: list[AuditEntry] = []
    for number in range(1, length + 1):
        entry = found.get((chain, number))
        if isinstance(entry, MalformedRecord):
            return entry
        if entry is not None:
            entries.append(entry)
    return tuple(entries)

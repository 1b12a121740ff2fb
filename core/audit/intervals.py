"""Compare the trail with its checkpoints, interval by interval.

Invariant: what is in an interval now is what its checkpoint sealed, or a finding names the interval. The trail
is read once, in the order of time, and one interval is held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from core.audit.chain_check import SealCheck
from core.audit.checkpoint import Checkpoint, Covered, cover
from core.audit.findings import Finding, FindingKind, Tally
from core.audit.places import find_length, read_places
from core.audit.trail import CHECKPOINTS, AuditEntry
from core.clock import format_time
from core.errors import MalformedRecord
from core.stores.audit import AuditStore, PlacedDigest

_MAX_READS: Final = 3
"""How often an interval that looks wrong is read again: an index may be a moment behind."""


@dataclass(slots=True)
class IntervalCheck:
    """Checks the checkpoints after `start`, or all of them, and the entries since then.

    `on_digest` gets each of these entries in the order of time.
    """

    audit: AuditStore
    seals: SealCheck
    tally: Tally
    start: AuditEntry | None = None
    on_digest: Callable[[PlacedDigest], None] = lambda _: None
    _last: Checkpoint | None = field(default=None, init=False)
    _ahead: PlacedDigest | None = field(default=None, init=False)

    def run(self) -> Iterator[Finding]:
        """Check them all. Raises StoreUnavailable; MalformedRecord when `start` is no checkpoint."""
        self._last = Checkpoint.of(self.start) if self.start is not None else None
        first = self.start.seq + 1 if self.start is not None else 1
        digests = self.audit.list_digests(since=self._last.until if self._last is not None else None)
        for _, entry in read_places(self.audit, CHECKPOINTS, first, find_length(self.audit, CHECKPOINTS)):
            # A damaged, missing or forged one is a finding of its chain.
            if isinstance(entry, AuditEntry) and self.seals.find_problem(entry) is None:
                yield from self._check(entry, digests)
        if self._ahead is not None:
            self._note(self._ahead)
        for each in digests:
            self._note(each)

    def _check(self, entry: AuditEntry, digests: Iterator[PlacedDigest]) -> Iterator[Finding]:
        try:
            checkpoint = Checkpoint.of(entry)
        except MalformedRecord as error:
            yield Finding(CHECKPOINTS, FindingKind.UNREADABLE, str(error))
            return
        self.tally.checkpoints += 1
        last, self._last = self._last, checkpoint
        is_next = checkpoint.since == (last.until if last is not None else None)
        found = cover(list(self._take(digests, checkpoint.until)))
        if is_next:
            sealed = checkpoint.total_entries - (last.total_entries if last is not None else 0)
            if sealed != checkpoint.entries:
                text = f"checkpoint {entry.seq} seals {checkpoint.entries} entries, but its total grew by {sealed}"
                yield Finding(CHECKPOINTS, FindingKind.EDITED, text)
        else:
            # The one before was passed over, as a finding of its own.
            found = self._read(checkpoint)
        if not self._is_sealed(checkpoint, found):
            yield from self._explain(entry, checkpoint)

    def _take(self, digests: Iterator[PlacedDigest], until: datetime) -> Iterator[PlacedDigest]:
        """The next entries up to a moment, not including it."""
        end = format_time(until)
        each = self._ahead if self._ahead is not None else next(digests, None)
        while each is not None and each.at < end:
            self.on_digest(each)
            yield each
            each = next(digests, None)
        self._ahead = each

    def _note(self, each: PlacedDigest) -> None:
        self.tally.uncovered += 1
        self.on_digest(each)

    def _read(self, checkpoint: Checkpoint) -> Covered:
        return cover(list(self.audit.list_digests(since=checkpoint.since, until=checkpoint.until)))

    @staticmethod
    def _is_sealed(checkpoint: Checkpoint, found: Covered) -> bool:
        return (found.entries, found.root) == (checkpoint.entries, checkpoint.root)

    def _explain(self, entry: AuditEntry, checkpoint: Checkpoint) -> Iterator[Finding]:
        found = self._read(checkpoint)
        for _ in range(1, _MAX_READS):
            if self._is_sealed(checkpoint, found):
                return
            found = self._read(checkpoint)
        since = format_time(checkpoint.since) if checkpoint.since is not None else "the beginning"
        interval = f"from {since} to {format_time(checkpoint.until)}"
        sealed = f"checkpoint {entry.seq} sealed {checkpoint.entries} entries {interval}"
        if found.entries < checkpoint.entries:
            yield Finding(CHECKPOINTS, FindingKind.REMOVED, f"{sealed}; {found.entries} are left")
        elif found.entries > checkpoint.entries:
            yield Finding(CHECKPOINTS, FindingKind.BACKDATED, f"{sealed}; {found.entries} are there now")
        else:
            yield Finding(CHECKPOINTS, FindingKind.EDITED, f"{sealed}; they are not the same any more")

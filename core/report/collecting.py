"""Read a period of the audit trail into rows, a hundred entries at a time.

Invariant: an entry whose seal isn't genuine is counted and named, and nothing that it says is used. Memory doesn't grow
with the trail: the book puts the rows aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from core.audit.chain_check import SealCheck
from core.audit.places import in_batches
from core.audit.trail import REFUSED, AuditAction, AuditEntry
from core.errors import MalformedRecord
from core.report.access_rows import ReportedRefusal, kind_of
from core.report.period import Period
from core.report.rows import ReportRow
from core.stores.audit import AuditStore, Place

T = TypeVar("T", bound=ReportRow)
MAX_NAMED: Final = 20
"""How many entries that can't be used are named."""
_MAX_EARLIER: Final = 100
"""How many entries from before the period one chain may have: the rest of its past isn't read."""
_MAX_NOTED: Final = 10_000
"""How many entries that can't be used are told apart; more may count twice."""


class RowBook(Protocol):
    """Where the rows are while they are made; it may keep them out of memory."""

    def find(self, kind: type[T], row_id: str) -> T | None:
        """The row with this id."""
        ...

    def put(self, row: ReportRow) -> None:
        """Keep a row, in the place of the one with its id."""
        ...

    def iterate(self, kind: type[T], *, newest_first: bool = False, limit: int = -1) -> Iterator[T]:
        """The rows of a kind by the time at which they began."""
        ...

    def count(self, kind: type[ReportRow]) -> int:
        """How many there are."""
        ...


@dataclass(slots=True)
class TrailReading:
    """What was read of the trail: how many entries, which ones can't be used, and one digest over all of them."""

    entries: int = 0
    unusable: int = 0
    unreadable: int = 0
    named: list[str] = field(default_factory=list)
    first_at: datetime | None = None
    last_at: datetime | None = None
    digest: str = ""
    policies: list[AuditEntry] = field(default_factory=list)
    restores: list[AuditEntry] = field(default_factory=list)
    refusals: int = 0
    _noted: set[str] = field(default_factory=set)

    @property
    def left_out(self) -> int:
        """How many entries say nothing in the report, because they can't be used."""
        return self.unusable + self.unreadable

    def note_unusable(self, entry: AuditEntry, problem: str) -> None:
        """This entry has no genuine seal."""
        self.unusable += self._is_first(f"audit entry {entry.chain}/{entry.seq}", problem)

    def note_unreadable(self, error: MalformedRecord) -> None:
        """This entry can't be read at all."""
        self.unreadable += self._is_first(error.record, f"can't be read: {error.problem:.120}")

    def _is_first(self, place: str, problem: str) -> bool:
        """False for one that was noted already: a later entry of its chain leads to it again."""
        if place in self._noted:
            return False
        if len(self._noted) < _MAX_NOTED:
            self._noted.add(place)
        if len(self.named) < MAX_NAMED:
            self.named.append(f"{place.removeprefix('audit entry ')}: {problem}")
        return True


def collect(
    audit: AuditStore, seals: SealCheck, period: Period, book: RowBook, on_progress: Callable[[int], object]
) -> TrailReading:
    """Read the entries of the period into the book. `on_progress` is called with the number of entries so far."""
    reading, pinned = TrailReading(), sha256()
    entries = audit.export(since=period.since, until=period.until, on_malformed=reading.note_unreadable)
    for batch in in_batches(entries):
        usable = []
        for entry in batch:
            pinned.update(f"{entry.chain} {entry.seq} {entry.digest}\n".encode())
            if _is_usable(entry, seals, reading):
                usable.append(entry)
        _read_earlier(audit, seals, usable, book, reading)
        for entry in usable:
            _take(entry, book, reading)
        on_progress(reading.entries)
    reading.digest = pinned.hexdigest()
    return reading


def _is_usable(entry: AuditEntry, seals: SealCheck, reading: TrailReading) -> bool:
    reading.entries += 1
    reading.first_at = reading.first_at or entry.at
    reading.last_at = entry.at
    return _is_genuine(entry, seals, reading)


def _is_genuine(entry: AuditEntry, seals: SealCheck, reading: TrailReading) -> bool:
    problem = seals.find_problem(entry)
    if problem is None:
        return True
    reading.note_unusable(entry, problem[1])
    return False


def _read_earlier(
    audit: AuditStore, seals: SealCheck, entries: Sequence[AuditEntry], book: RowBook, reading: TrailReading
) -> None:
    """What chains that began before the period said until then."""
    first: dict[str, AuditEntry] = {}
    for entry in entries:
        kind = kind_of(entry)
        if kind is not None and kind is not ReportedRefusal and entry.chain not in first:
            known = book.find(kind, entry.chain.partition("#")[2])
            if known is None:
                first[entry.chain] = entry
    places = [
        (chain, number) for chain, entry in first.items() for number in range(1, min(entry.seq, _MAX_EARLIER + 1))
    ]
    for entry in _read_places(audit, places, reading):
        if _is_genuine(entry, seals, reading):
            _take(entry, book, reading, is_earlier=True)


def _read_places(audit: AuditStore, places: Iterable[Place], reading: TrailReading) -> Iterator[AuditEntry]:
    for batch in in_batches(places):
        found = audit.get_entries(batch)
        for place in batch:
            entry = found.get(place)
            if isinstance(entry, MalformedRecord):
                reading.note_unreadable(entry)
            elif entry is not None:
                yield entry


def _take(entry: AuditEntry, book: RowBook, reading: TrailReading, *, is_earlier: bool = False) -> None:
    if entry.event is AuditAction.POLICY_IN_FORCE and not is_earlier:
        reading.policies.append(entry)
    elif entry.event is AuditAction.STORE_RESTORED:
        reading.restores.append(entry)
    kind = kind_of(entry)
    if kind is None:
        return
    if kind is ReportedRefusal:
        reading.refusals += entry.outcome == REFUSED
        book.put(ReportedRefusal.begin(entry).after(entry))
        return
    row = book.find(kind, entry.chain.partition("#")[2]) or kind.begin(entry)
    book.put(row.after(entry))

"""Make the changes that are due by the clock, one record after the other: expire overdue records, send reminders.

Invariant: a sweep costs what is new or due, not what is waiting. Each record that is due is changed once, however many
instances do this at the same time, and one that cannot be changed never holds up the others.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from core.access.device import Device
from core.access.grant import Grant
from core.break_glass import BreakGlassEvent
from core.clock import Clock, is_trusted
from core.errors import BrokenChain, ConcurrentModification, MalformedRecord, NotFound
from core.request import Request
from core.stores.record_store import Page, iterate_pages

R = TypeVar("R", Request, BreakGlassEvent, Grant, Device)
PER_PAGE: Final = 100
"""Few enough to be read in a few milliseconds, between two rests."""
WHOLE_LIST: Final = timedelta(minutes=15)
"""How often the whole list is read again, for what an index showed too late."""
OVERLAP: Final = timedelta(minutes=5)
"""How far behind an index, and other machines' clocks, may be without a delay."""
EXPECTED_LIMIT: Final = 1000
"""How many records may be announced between two sweeps; the whole list has them anyway."""
Rest = Callable[[], object]
"""What happens between two pages of a list: in the background a pause, so that people's clicks come first."""
_log = logging.getLogger("countersign.expiring")


def no_rest() -> None:
    """For callers that wait for the end of the list."""


def expires_at(record: Request | BreakGlassEvent) -> datetime | None:
    """When the record's time has passed, unless it has ended already: what can still expire is due then."""
    return record.expires_at if record.is_overdue(record.expires_at) else None


@dataclass(frozen=True, slots=True)
class Watched(Generic[R]):
    """A list whose records are due at some time each.

    `read_page` takes a cursor and a moment, and leaves out records created before it. `due_at` says when a record is
    due, as far as it shows; None for never. A record comes into the list at most `joins_within` after its
    creation; a later one has to be announced (`DueWatch.expect`).
    """

    read_page: Callable[[str | None, datetime | None], Page[R]]
    get: Callable[[str], R]
    due_at: Callable[[R], datetime | None]
    joins_within: timedelta = timedelta()


class DueWatch(Generic[R]):
    """Changes what is due of one list, and remembers when the rest will be, so that a sweep costs what is due.

    The whole list is read at first, every WHOLE_LIST, and when `version` changes, by which due times were computed;
    in between only what is new. What it remembers is a hint: whether a record is due is judged on the record as it is
    stored. Safe for threads; one sweep at a time.
    """

    def __init__(self, watched: Watched[R], clock: Clock, version: Callable[[], str] = lambda: "") -> None:
        self._watched: Watched[R] = watched
        self._clock = clock
        self._version = version
        self._lock = threading.Lock()
        self._due: dict[str, datetime] = {}
        self._expected: deque[R] = deque(maxlen=EXPECTED_LIMIT)
        self._whole_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._as_of = ""

    def expect(self, record: R) -> None:
        """Look at this record when it is due, though it came into the list too late to be seen there as new.

        Never waits, not for a sweep either.
        """
        self._expected.append(record)

    def change(self, change: Callable[[R, datetime], R | None], rest: Rest = no_rest) -> tuple[R, ...]:
        """Pass every record that is due to `change`, which returns None if it isn't. Returns those that it changed.

        None while the clock is known to be off, because what ends doesn't come back. Raises StoreUnavailable.
        """
        if not is_trusted(self._clock):
            return ()
        with self._lock:
            now, version = self._clock.now(), self._version()
            is_whole = self._needs_whole_list(now, version)
            if is_whole:
                self._due.clear()
                self._whole_at = None
            self._remember_expected()
            tried: set[str] = set()
            changed: list[R] = list(self._look(change, None if is_whole else self._since(), rest, tried))
            if is_whole:
                self._whole_at, self._as_of = now, version
            self._looked_at = now
            changed += self._change_remembered(change, tried)
            return tuple(changed)

    def _needs_whole_list(self, now: datetime, version: str) -> bool:
        if self._whole_at is None or self._looked_at is None or version != self._as_of:
            return True
        # A clock that was set back says nothing about what is new.
        return now < self._looked_at or now >= self._whole_at + WHOLE_LIST

    def _since(self) -> datetime | None:
        return self._looked_at - OVERLAP - self._watched.joins_within if self._looked_at is not None else None

    def _look(
        self, change: Callable[[R, datetime], R | None], since: datetime | None, rest: Rest, tried: set[str]
    ) -> Iterator[R]:
        for page in iterate_pages(lambda cursor: self._watched.read_page(cursor, since)):
            now = self._clock.now()
            for record in page.items:
                tried.add(record.id)
                stored = self._change_one(record, change, now)
                if stored is not None:
                    yield stored
            if page.cursor is not None:
                rest()

    def _change_remembered(self, change: Callable[[R, datetime], R | None], tried: set[str]) -> Iterator[R]:
        now = self._clock.now()
        for record_id in [each for each, due_at in self._due.items() if due_at <= now and each not in tried]:
            try:
                record = self._watched.get(record_id)
            except NotFound:
                self._due.pop(record_id, None)
                continue
            except MalformedRecord:
                _log.exception("%s is due and cannot be read", record_id)
                continue
            stored = self._change_one(record, change, now)
            if stored is not None:
                yield stored

    def _change_one(self, record: R, change: Callable[[R, datetime], R | None], now: datetime) -> R | None:
        """What the record became, or None; either way, when it is due next is remembered."""
        due_at = self._watched.due_at(record)
        if due_at is None or due_at > now:
            self._remember(record, due_at)
            return None
        try:
            stored = change(record, now)
        except (ConcurrentModification, NotFound):
            # Somebody else changed it, or the list was older than the table: the next sweep reads it anew.
            self._due[record.id] = due_at
            return None
        except (BrokenChain, MalformedRecord):
            _log.exception("%s is due and cannot be changed", record.chain)
            self._due[record.id] = due_at
            return None
        self._remember(stored or record, self._watched.due_at(stored) if stored is not None else due_at)
        return stored

    def _remember_expected(self) -> None:
        while self._expected:
            record = self._expected.popleft()
            if (due_at := self._watched.due_at(record)) is not None:
                self._remember(record, due_at)

    def _remember(self, record: R, due_at: datetime | None) -> None:
        if due_at is None:
            self._due.pop(record.id, None)
        else:
            self._due[record.id] = due_at

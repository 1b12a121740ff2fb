"""A cache in front of a slow service: equal look-ups share one call, and its answer is kept for a while.

Invariant: no answer older than `SERVED_FOR` is served as current, and none from before a change that the caller knows
of. After `forget`, an answer to an earlier look-up is never cached. A failure is never cached, and never replaces an
answer.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar

from core.clock import Clock
from core.directory import MAX_ANSWER_AGE, is_outdated
from core.errors import CountersignError

Answer = TypeVar("Answer")
FRESH_FOR: Final = timedelta(minutes=5)
"""Served without a new look-up. The second click sees a change in Slack within this time, even without events."""
SERVED_FOR: Final = MAX_ANSWER_AGE
"""Served during a new look-up, so no click waits. After it, nobody keeps a permission because Slack is unreachable."""
SHOWN_FOR: Final = timedelta(days=1)
"""Good enough to fill a form, which grants nothing: its submission is judged on a current answer."""
MAX_ANSWERS: Final = 5_000
"""The least recently used answer is evicted first; ten thousand active people cost one look-up each now and then."""
MAX_LOOKUPS: Final = 500
"""How many look-ups may be in flight; further ones are refused instead of queued for minutes."""

_LOG = logging.getLogger("countersign.directory")


class TooManyLookups(CountersignError):
    """Too many look-ups are in flight, or the cache was closed. Nothing was looked up."""


@dataclass(frozen=True, slots=True)
class _Dated(Generic[Answer]):
    answer: Answer
    asked_at: datetime
    known_change: datetime | None


@dataclass(frozen=True, slots=True)
class _Lookup(Generic[Answer]):
    """A look-up in flight, and the last change that was known when it began."""

    future: Future[Answer]
    known_change: datetime | None

    def is_after(self, changed_at: datetime | None) -> bool:
        return changed_at is None or (self.known_change is not None and self.known_change >= changed_at)


class CoalescingCache(Generic[Answer]):
    """Answers by key. Thread-safe.

    `ask` returns the answer, or raises a CountersignError, which goes to every waiting caller. It runs on the executor.
    """

    def __init__(
        self,
        ask: Callable[[str], Answer],
        executor: Executor,
        clock: Clock,
        *,
        max_answers: int = MAX_ANSWERS,
        max_lookups: int = MAX_LOOKUPS,
    ) -> None:
        self._ask = ask
        self._executor = executor
        self._clock = clock
        self._max_answers = max_answers
        self._max_lookups = max_lookups
        self._lock = Lock()
        self._answers: OrderedDict[str, _Dated[Answer]] = OrderedDict()
        self._in_flight: dict[str, _Lookup[Answer]] = {}

    def find(self, key: str, changed_at: datetime | None = None) -> Future[Answer]:
        """The current answer: from the cache if there is one, otherwise from the one look-up that is in flight.

        `changed_at` is when the caller last heard of a change: no answer to an earlier look-up is given.
        """
        dated, age, lookup = self._look(key, changed_at)
        return _completed(dated.answer) if dated is not None and age < SERVED_FOR else lookup

    def get_stale(self, key: str) -> Answer | None:
        """The cached answer, up to a day old, or None. Never waits; refreshes a stale answer in the background."""
        dated, age, _ = self._look(key)
        return dated.answer if dated is not None and age < SHOWN_FOR else None

    def peek(self, key: str) -> Answer | None:
        """The cached answer, however old; None if there is none. Looks nothing up."""
        with self._lock:
            dated = self._answers.get(key)
        return dated.answer if dated is not None else None

    def refresh(self, key: str) -> None:
        """Refresh in the background, unless the cached answer is fresh."""
        self.get_stale(key)

    def forget(self, key: str) -> None:
        """Drop the answer because something changed, and don't cache one that is in flight."""
        with self._lock:
            self._answers.pop(key, None)
            self._in_flight.pop(key, None)

    def _look(
        self, key: str, changed_at: datetime | None = None
    ) -> tuple[_Dated[Answer] | None, timedelta, Future[Answer]]:
        """The cached answer, its age, and a future: the same answer if it is fresh, otherwise the look-up in flight."""
        now = self._clock.now()
        with self._lock:
            dated, age = self._get_dated(key, now)
            if dated is not None and is_outdated(changed_at, dated.asked_at, dated.known_change):
                dated, age = None, timedelta()
            if dated is not None and age < FRESH_FOR:
                return dated, age, _completed(dated.answer)
            running = self._in_flight.get(key)
            if running is not None and running.is_after(changed_at):
                return dated, age, running.future
            lookup = self._in_flight[key] = _Lookup(self._start(key), changed_at)
        # Outside the lock: a look-up that is already done calls back at once.
        lookup.future.add_done_callback(lambda _: self._store(key, lookup, now))
        return dated, age, lookup.future

    def _get_dated(self, key: str, now: datetime) -> tuple[_Dated[Answer] | None, timedelta]:
        dated = self._answers.get(key)
        # After the clock was set back, the age is unknown; the answer must not look fresh for hours.
        if dated is None or now < dated.asked_at:
            return None, timedelta()
        self._answers.move_to_end(key)
        return dated, now - dated.asked_at

    def _start(self, key: str) -> Future[Answer]:
        refused: Future[Answer] = Future()
        if len(self._in_flight) >= self._max_lookups:
            refused.set_exception(TooManyLookups(f"{len(self._in_flight)} look-ups are in flight"))
            return refused
        try:
            return self._executor.submit(self._ask, key)
        except RuntimeError as error:
            # The executor was shut down, or the system can't create another thread.
            refused.set_exception(TooManyLookups(str(error)))
            return refused

    def _store(self, key: str, lookup: _Lookup[Answer], asked_at: datetime) -> None:
        future = lookup.future
        error = None if future.cancelled() else future.exception()
        with self._lock:
            # After `forget` or a newer look-up, this answer is out of date.
            if self._in_flight.get(key) is not lookup:
                return
            del self._in_flight[key]
            if error is None and not future.cancelled():
                self._answers[key] = _Dated(future.result(), asked_at, lookup.known_change)
                self._answers.move_to_end(key)
                while len(self._answers) > self._max_answers:
                    self._answers.popitem(last=False)
        if error is not None and not isinstance(error, CountersignError):
            # In a background refresh, nobody else would see this bug.
            _LOG.error("a lookup failed", exc_info=error)


def _completed(answer: Answer) -> Future[Answer]:
    completed: Future[Answer] = Future()
    completed.set_result(answer)
    return completed

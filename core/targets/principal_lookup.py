"""Asks targets who people are: nobody waits long, equal questions share one call, and answers are kept for a while.

Invariant: only an answer that names somebody is kept, by everything that was asked; a refusal ends it. One older than
`FRESH_FOR` serves emergencies only, when the target can't say, and none serves for longer than `KEPT_FOR`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.access.timing import CALL_TIMEOUT
from core.clock import Clock
from core.targets.base import Later, TargetRefused

FRESH_FOR: Final = timedelta(minutes=5)
KEPT_FOR: Final = timedelta(days=1)
EMERGENCY_WAIT: Final = timedelta(seconds=2)
"""How long an emergency waits for a new answer where there is an older one."""
MAX_ANSWERS: Final = 5_000
MAX_LOOKUPS: Final = 200
"""How many look-ups may be under way; further ones are refused instead of queued for minutes."""
_WORKERS: Final = 4
_TOO_MANY: Final = Later(problem="too many people are being looked up at once")
_NO_ANSWER: Final = Later(problem="it didn't answer in time")

Found = str | TargetRefused | Later
"""A name, or why there is none."""


@dataclass(frozen=True, slots=True)
class _Answer:
    name: str
    asked_at: datetime


class PrincipalLookup:
    """Look-ups in flight, and the answers. Safe for threads. Emergencies have workers of their own."""

    def __init__(
        self, clock: Clock, *, wait: timedelta = CALL_TIMEOUT, emergency_wait: timedelta = EMERGENCY_WAIT
    ) -> None:
        self._clock = clock
        self._wait = wait
        self._emergency_wait = emergency_wait
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._in_flight: dict[tuple[bool, Hashable], Future[Found]] = {}
        self._workers: dict[bool, ThreadPoolExecutor] = {}
        self._is_closed = False

    def find(self, key: Hashable, ask: Callable[[], Found], *, is_emergency: bool) -> Found:
        """The name, from a fresh answer or a new one; in an emergency from an older one if the target can't say."""
        known = self._known(key)
        if known is not None and self._age(known) < FRESH_FOR:
            return known.name
        wait = self._emergency_wait if is_emergency and known is not None else self._wait
        found = self._ask(key, ask, wait, is_emergency=is_emergency)
        if isinstance(found, Later) and is_emergency and known is not None:
            return known.name
        return found

    def close(self) -> None:
        """Ask no more. Doesn't wait for what is under way. Idempotent."""
        with self._lock:
            self._is_closed = True
            workers = tuple(self._workers.values())
        for each in workers:
            each.shutdown(wait=False, cancel_futures=True)

    def _known(self, key: Hashable) -> _Answer | None:
        with self._lock:
            known = self._answers.get(key)
            return known if known is not None and self._age(known) < KEPT_FOR else None

    def _age(self, answer: _Answer) -> timedelta:
        # A clock that was set back makes an answer old, not young.
        age = self._clock.now() - answer.asked_at
        return age if age >= timedelta(0) else KEPT_FOR

    def _ask(self, key: Hashable, ask: Callable[[], Found], wait: timedelta, *, is_emergency: bool) -> Found:
        future = self._submit((is_emergency, key), ask)
        if future is None:
            return _TOO_MANY
        try:
            return future.result(timeout=wait.total_seconds())
        except (TimeoutError, CancelledError):
            return _NO_ANSWER

    def _submit(self, flight: tuple[bool, Hashable], ask: Callable[[], Found]) -> Future[Found] | None:
        with self._lock:
            under_way = self._in_flight.get(flight)
            if under_way is not None:
                return under_way
            known = self._answers.get(flight[1])
            if known is not None and self._age(known) < FRESH_FOR:
                # It arrived since the caller looked.
                return _done(known.name)
            if self._is_closed or len(self._in_flight) >= MAX_LOOKUPS:
                return None
            is_emergency, key = flight
            workers = self._workers.get(is_emergency)
            if workers is None:
                workers = self._workers[is_emergency] = ThreadPoolExecutor(_WORKERS, thread_name_prefix="principals")
            future = self._in_flight[flight] = workers.submit(self._run, key, ask)
        future.add_done_callback(lambda _: self._land(flight))
        return future

    def _land(self, flight: tuple[bool, Hashable]) -> None:
        with self._lock:
            self._in_flight.pop(flight, None)

    def _run(self, key: Hashable, ask: Callable[[], Found]) -> Found:
        asked_at = self._clock.now()
        try:
            found = ask()
        except Exception as error:  # noqa: BLE001 - whatever it was, the target didn't say who this is
            return Later(problem=f"{type(error).__name__} while looking")
        with self._lock:
            if isinstance(found, str):
                self._answers[key] = _Answer(found, asked_at)
                self._answers.move_to_end(key)
                while len(self._answers) > MAX_ANSWERS:
                    self._answers.popitem(last=False)
            elif isinstance(found, TargetRefused):
                self._answers.pop(key, None)
        return found


def _done(name: str) -> Future[Found]:
    future: Future[Found] = Future()
    future.set_result(name)
    return future

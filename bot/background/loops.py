"""Loops in the background: each on its own thread, again and again, until they are stopped.

Invariant: no error ends a loop, and none waits for another. What keeps failing is tried less and less often until it
succeeds again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Final

from core.errors import StoreError

MIN_PAUSE_SECONDS: Final = 0.1
"""The least time between two passes of a loop that is nudged, however many changes are committed meanwhile."""
PROMPT_PAUSE_SECONDS: Final = 0.01
"""The same for a loop on whose next pass people wait. There are never more passes than nudges."""
RESTS_PER_PASS: Final = 2.0
MAX_REST_SECONDS: Final = 0.5
"""A loop that is nudged all the time rests twice as long as its pass took, up to this: on a small machine that has much
to do, reading a long list again and again must not take the time that clicks and deliveries need.
"""
MAX_PAUSE_SECONDS: Final = 30.0
"""The longest pause between two passes while the store is unavailable."""
_JITTER: Final = 0.2
_MAX_DOUBLINGS: Final = 6

_log = logging.getLogger("countersign.sweeper")


class Nudge:
    """Ends a loop's rest early. Safe for threads.

    With `again_seconds`, the rest after a nudge is at most that long: an index may show a change a moment later.
    `join_seconds` is the least rest: what is committed meanwhile is handled in one pass. After a long pass, the rest is
    longer.
    """

    def __init__(
        self,
        stopping: threading.Event,
        *,
        again_seconds: float | None = None,
        join_seconds: float = MIN_PAUSE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopping = stopping
        self._join_seconds = join_seconds
        self._again_seconds = again_seconds
        self._given = threading.Event()
        self._looks_again = False
        self._monotonic = monotonic
        self._woke_at = monotonic()

    def give(self) -> None:
        """End the rest. Never waits."""
        self._given.set()

    def rest_briefly(self) -> None:
        """Make the next rest as short as after a nudge: something is in progress."""
        self._looks_again = True

    def rest(self, seconds: float) -> None:
        """Rest for this long, or until the nudge."""
        took = self._monotonic() - self._woke_at
        self._stopping.wait(max(self._join_seconds, min(took * RESTS_PER_PASS, MAX_REST_SECONDS)))
        bound = self._again_seconds if self._looks_again and self._again_seconds is not None else seconds
        self._looks_again = self._given.wait(min(seconds, bound))
        if self._looks_again:
            self._given.clear()
        self._woke_at = self._monotonic()


@dataclass(frozen=True, slots=True)
class Loop:
    """Work that is repeated, with a pause of this many seconds; `rest` makes the pause."""

    task: str
    work: Callable[[], object]
    seconds: float
    rest: Callable[[float], object]


class Loops:
    """The loops of one process."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._threads: tuple[threading.Thread, ...] = ()

    def start(self, loops: Sequence[Loop]) -> None:
        """A thread for each."""
        self._threads = tuple(
            threading.Thread(target=self._repeat, args=(loop,), name=f"sweeper: {loop.task}", daemon=True)
            for loop in loops
        )
        for thread in self._threads:
            thread.start()

    def join(self, deadline: float) -> bool:
        """Wait until they have ended, but not after the deadline, by `time.monotonic`. True if they have."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _repeat(self, loop: Loop) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                loop.work()
            except Exception as error:  # noqa: BLE001 - if the loop ended, its work would never be done
                failures += 1
                _log_failure(loop.task, error, failures)
                # Nudges don't shorten this pause: they don't bring a store back.
                pause = min(loop.seconds * 2.0 ** min(failures, _MAX_DOUBLINGS), MAX_PAUSE_SECONDS)
                self._stopping.wait(_with_jitter(pause))
                continue
            if failures:
                _log.info("recovered: can %s again", loop.task)
            failures = 0
            loop.rest(_with_jitter(loop.seconds))


def _with_jitter(seconds: float) -> float:
    """This long, with jitter: instances that were started together don't all query at once."""
    return seconds * SystemRandom().uniform(1 - _JITTER, 1 + _JITTER)


def _log_failure(task: str, error: Exception, failures: int) -> None:
    if isinstance(error, StoreError):
        _log.warning("could not %s, %d in a row: %s", task, failures, error)
    else:
        _log.error("could not %s, %d in a row", task, failures, exc_info=error)

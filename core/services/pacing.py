"""How a use case waits when others were faster: a pause with jitter after each conflict, and one turn at a time.

Invariant: nothing here decides anything. Whether a change may be written is the store's to say; a use case that waits
for its turn in vain, or whose turn was taken by another process, goes on and is judged like any other.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

RETRY_SECONDS: Final = 8.0
"""How long a use case tries again after conflicts. Each of them means that somebody else's change succeeded."""
TURN_SECONDS: Final = 2.0
"""How long a use case waits for its turn; a store that hangs holds nobody up for longer."""
_FIRST_PAUSE_SECONDS: Final = 0.01
_MAX_PAUSE_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Pacing:
    """When a use case tries again, in seconds. `sleep` and `elapsed` are the machine's, but in tests."""

    deadline_seconds: float = RETRY_SECONDS
    sleep: Callable[[float], object] = time.sleep
    elapsed: Callable[[], float] = time.monotonic

    def pauses(self) -> Iterator[None]:
        """Yields once after each pause, until the next one would end after the deadline."""
        deadline = self.elapsed() + self.deadline_seconds
        longest = _FIRST_PAUSE_SECONDS
        while True:
            # Full jitter: those who met at one record must not meet again.
            pause = random.uniform(0, longest)  # noqa: S311 - not a secret
            longest = min(2 * longest, _MAX_PAUSE_SECONDS)
            if self.elapsed() + pause >= deadline:
                return
            self.sleep(pause)
            yield


PACING: Final = Pacing()


class Turns:
    """Lets the threads of one process that are about to write the same thing do so one after the other.

    Those who would only lose to each other at the store then don't.
    """

    def __init__(self, timeout_seconds: float = TURN_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def take(self, what: str) -> Iterator[None]:
        """Wait for the turn, but not for longer than the time-out; the block then runs in any case."""
        with self._lock:
            turn, count = self._waiting.get(what, (threading.Lock(), 0))
            self._waiting[what] = turn, count + 1
        is_mine = turn.acquire(timeout=self._timeout_seconds)
        try:
            yield
        finally:
            if is_mine:
                turn.release()
            with self._lock:
                count = self._waiting[what][1] - 1
                if count:
                    self._waiting[what] = turn, count
                else:
                    del self._waiting[what]

"""A pace for calls that Slack limits: a few at once, then one every few seconds.

Invariant: however often a turn is asked for, no more of them pass than the pace allows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """`burst` turns at once, and then one every `seconds`. Safe for threads."""

    def __init__(self, burst: int, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._slack = (burst - 1) * seconds
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next = -float("inf")

    def take_turn(self) -> float:
        """Take the next turn. Returns how many seconds to wait before it."""
        with self._lock:
            now = self._monotonic()
            # When the turns would be due if they came evenly; a burst may be ahead of that by so much.
            due = max(self._next, now)
            self._next = due + self._seconds
            return max(0.0, due - self._slack - now)

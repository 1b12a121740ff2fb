"""The playground's clock: the machine's own, and as far ahead of it as it was moved.

Invariant: it only ever goes forward, by hand or by itself, so that a deadline that passed stays passed.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from core.clock import Clock, SystemClock


class ClockAhead:
    """A `core.clock.Clock` that can be moved forward. Safe for threads."""

    def __init__(self, ahead: timedelta = timedelta(), clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._ahead = ahead
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The machine's time, and what the clock is ahead of it."""
        with self._lock:
            return self._clock.now() + self._ahead

    @property
    def ahead(self) -> timedelta:
        """How far it was moved in all."""
        with self._lock:
            return self._ahead

    def advance(self, step: timedelta) -> datetime:
        """Let time pass at once; returns the new moment. Raises ValueError for a step back."""
        if step < timedelta():
            raise ValueError(f"this clock only goes forward, not by {step}")
        with self._lock:
            self._ahead += step
            return self._clock.now() + self._ahead

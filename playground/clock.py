"""The playground's clock: the machine's time, plus an offset that grows when somebody moves the clock.

Invariant: it only goes forward, so a deadline that has passed stays passed.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from core.clock import Clock, SystemClock


class ClockAhead:
    """A clock that can be moved forward. Thread-safe."""

    def __init__(self, ahead: timedelta = timedelta(), clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._ahead = ahead
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The machine's time plus the offset."""
        with self._lock:
            return self._clock.now() + self._ahead

    @property
    def ahead(self) -> timedelta:
        """The total offset."""
        with self._lock:
            return self._ahead

    def advance(self, step: timedelta) -> datetime:
        """Move the clock. Returns the new time. Raises ValueError for a step back."""
        if step < timedelta():
            raise ValueError(f"this clock only goes forward, not by {step}")
        with self._lock:
            self._ahead += step
            return self._clock.now() + self._ahead

"""A clock that stands still until a test moves it.

Invariant: two readings between which nobody moved it are equal, however many threads read.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from core.clock import require_utc

A_MOMENT = datetime(2026, 1, 15, 3, 53, 45, 120_000, tzinfo=UTC)
"""Where a FrozenClock starts by default. Its microseconds end in zeros, which a careless format drops."""


class FrozenClock:
    """A `core.clock.Clock` whose time is set by hand."""

    def __init__(self, now: datetime = A_MOMENT) -> None:
        self._lock = threading.Lock()
        self._now = require_utc(now)

    def now(self) -> datetime:
        """The moment it was last moved to."""
        with self._lock:
            return self._now

    def advance(self, step: timedelta) -> datetime:
        """Move by `step`, backwards too, since real clocks do that as well. Returns the new moment."""
        with self._lock:
            self._now += step
            return self._now

    def set(self, now: datetime) -> None:
        """Jump to `now`, which may be earlier."""
        with self._lock:
            self._now = require_utc(now)

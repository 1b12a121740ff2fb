"""When this process first saw that a write succeeded, so that AWS's lists get time to show it.

Invariant: a write counts as settled SETTLE after it was first seen to have succeeded, by this process's clock. AWS's
own times are not compared with it. What nobody asked about for FORGET_AFTER is forgotten.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from core.access.timing import SETTLE
from core.clock import Clock

FORGET_AFTER: Final = timedelta(minutes=10)


class Settling:
    """The writes whose effect doesn't show yet. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._first_seen: dict[str, datetime] = {}

    def is_over(self, token: str) -> bool:
        """Whether the list is to be believed now, though it doesn't show the effect of this write."""
        now = self._clock.now()
        with self._lock:
            self._first_seen = {each: at for each, at in self._first_seen.items() if now - at < FORGET_AFTER}
            first = self._first_seen.setdefault(token, now)
            if now - first < SETTLE:
                return False
            del self._first_seen[token]
            return True

    def forget(self, token: str) -> None:
        """The effect shows."""
        with self._lock:
            self._first_seen.pop(token, None)

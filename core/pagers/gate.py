"""Keeps a pager that hangs from holding up what else is delivered: few calls at once, and a rest after a slow failure.

Invariant: at most `MAX_CALLS` callers wait for the pager's answer at any time. Everybody else goes on after a moment, and
tries again later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from core.errors import DeliveryFailed

MAX_CALLS: Final = 2
"""How many of the outbox's threads may wait for an answer. The others stay free for Slack."""
PATIENCE_SECONDS: Final = 1.0
"""How long the next one waits for its turn: many pages at once have theirs within that."""
SLOW_SECONDS: Final = 3.0
"""A failure that took longer is that of a pager that hangs: the next call would wait as long."""
REST_SECONDS: Final = 30.0
_BUSY: Final = "the pager is slow, and other pages are waiting for it. It will be retried automatically."
_RESTS: Final = "the pager gave no answer a moment ago. It will be retried automatically."


class PagerGate:
    """Lets calls to a pager through. Safe for threads. `elapsed` is a monotonic clock, in seconds."""

    def __init__(
        self, elapsed: Callable[[], float] = time.monotonic, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._elapsed = elapsed
        self._patience_seconds = patience_seconds
        self._room = threading.BoundedSemaphore(MAX_CALLS)
        self._rests_until: float | None = None

    def call(self, call: Callable[[], None]) -> None:
        """Make this call. Raises DeliveryFailed, also when the pager isn't called now."""
        self._check_rest()
        if not self._room.acquire(timeout=self._patience_seconds):
            raise DeliveryFailed(_BUSY)
        try:
            # It may have begun while this one waited for its turn.
            self._check_rest()
            self._measure(call)
        finally:
            self._room.release()

    def _check_rest(self) -> None:
        if self._rests_until is not None and self._elapsed() < self._rests_until:
            raise DeliveryFailed(_RESTS)

    def _measure(self, call: Callable[[], None]) -> None:
        began = self._elapsed()
        try:
            call()
        except DeliveryFailed:
            if (now := self._elapsed()) - began >= SLOW_SECONDS:
                self._rests_until = now + REST_SECONDS
            raise

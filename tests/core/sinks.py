"""Sinks that record what was delivered, and fail or wait as a test wants.

Invariant: a sink is called by several threads at once and loses nothing of what it saw.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from core.errors import DeliveryFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from core.audit.trail import AuditEntry

PATIENCE_SECONDS = 30.0


class RecordingSink:
    """A sink that records what was delivered, and fails in the order that a test scripts."""

    def __init__(self, name: str, *troubles: Exception | None) -> None:
        self.name = name
        self.troubles = list(troubles)
        self.delivered: list[tuple[str, int]] = []
        self.asked: list[str] = []

    def deliver(self, entry: AuditEntry) -> None:
        self.asked.append(entry.id)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            raise trouble
        self.delivered.append((entry.chain, entry.seq))

    def seqs(self, chain: str) -> list[int]:
        """The numbers of one chain's entries, in the order of delivery."""
        return [seq for each, seq in self.delivered if each == chain]


class PickySink(RecordingSink):
    """A sink that fails for the entries that a test picks, for as long as it does."""

    def __init__(self, name: str, find_trouble: Callable[[AuditEntry], Exception | None]) -> None:
        super().__init__(name)
        self.find_trouble = find_trouble

    def deliver(self, entry: AuditEntry) -> None:
        self.asked.append(entry.id)
        trouble = self.find_trouble(entry)
        if trouble is not None:
            raise trouble
        self.delivered.append((entry.chain, entry.seq))


class StalledSink(RecordingSink):
    """A sink that does not answer for one profile, or any, until it is released."""

    def __init__(self, name: str, profile: str | None = None) -> None:
        super().__init__(name)
        self._profile = profile
        self._changed = threading.Condition()
        self._is_released = False
        self.stalled: list[str | None] = []
        self.max_waiting = 0

    @property
    def waiting(self) -> int:
        """How many threads wait for an answer."""
        return len(self.stalled)

    def deliver(self, entry: AuditEntry) -> None:
        with self._changed:
            if self._profile in {None, entry.profile}:
                self.stalled.append(entry.profile)
                self.max_waiting = max(self.max_waiting, self.waiting)
                self._changed.notify_all()
                released = self._changed.wait_for(lambda: self._is_released, PATIENCE_SECONDS)
                self.stalled.remove(entry.profile)
                assert released
            super().deliver(entry)
            self._changed.notify_all()

    def release(self) -> None:
        """Answer everybody, from now on at once."""
        with self._changed:
            self._is_released = True
            self._changed.notify_all()

    def wait_for(self, check: Callable[[], bool]) -> None:
        """Wait until that is so, which is looked at whenever somebody asks this sink or is answered."""
        with self._changed:
            assert self._changed.wait_for(check, PATIENCE_SECONDS)


def a_failure(*, retry_after: timedelta | None = None) -> DeliveryFailed:
    """A failure that may pass."""
    return DeliveryFailed("it answered 503", retry_after=retry_after)


def a_final_failure() -> DeliveryFailed:
    """A failure that no repetition mends."""
    return DeliveryFailed("the channel is gone", is_final=True)

"""A pacing that doesn't sleep: its pauses move its own time.

Invariant: a use case is tried as often as on a machine that takes no time for a try.
"""

from __future__ import annotations

from core.services.pacing import Pacing


class PacedTime:
    """Time that only pauses move, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds
        self.pauses.append(seconds)

    def pacing(self, deadline_seconds: float) -> Pacing:
        """A pacing by this time."""
        return Pacing(deadline_seconds, self.sleep, lambda: self.now)

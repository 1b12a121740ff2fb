"""Time that passes only in pauses.

Invariant: a pause takes no time on the machine; it is noted, and moves the seconds forward.
"""

from __future__ import annotations

from bot.terminal.pacing import PassageOfTime


class PassingTime:
    """Pauses take no time; they are noted, and move the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def passage(self) -> PassageOfTime:
        return PassageOfTime(lambda: self.now, self.pause)

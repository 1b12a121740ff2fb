"""The clock of the bot's machine: the playground's, or off by some minutes while somebody wants it to be.

Invariant: it is compared with Slack's time only while it is off, and each change of how much forgets what was compared.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.observability.clock_check import ComparedClock
from core.clock import Clock


class SkewedClock(ComparedClock):
    """Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._right = clock
        self._skew = timedelta()
        self._compared: ComparedClock | None = None

    def now(self) -> datetime:
        """The time as the bot's machine has it."""
        return self._right.now() + self._skew

    @property
    def skew(self) -> timedelta:
        """By how much it is ahead; negative if it is behind."""
        return self._skew

    def set_skew(self, skew: timedelta) -> None:
        """Be off by this much from now on. What was compared before is forgotten."""
        self._skew = skew
        self._compared = ComparedClock(_Shifted(self)) if skew else None

    @property
    def is_off(self) -> bool:
        """Whether Countersign has noticed."""
        compared = self._compared
        return compared is not None and compared.is_off

    @property
    def is_known(self) -> bool:
        """Whether there were enough answers to tell."""
        compared = self._compared
        return compared is None or compared.is_known

    @property
    def offset_seconds(self) -> float:
        """By how much it is off, as far as that was noticed."""
        compared = self._compared
        return compared.offset_seconds if compared is not None else 0.0

    def compare(self, date: str | None, sent_at: datetime) -> None:
        """Note the Date header of an answer of Slack."""
        compared = self._compared
        if compared is not None:
            compared.compare(date, sent_at)


class _Shifted:
    """The same clock, without what it knows about itself."""

    def __init__(self, clock: SkewedClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

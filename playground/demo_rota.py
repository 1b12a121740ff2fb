"""The rota of the playground's pretend schedules: people who take turns, one shift after another.

Invariant: at every moment exactly one person is on call, and a shift ends at the instant at which the next one begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.actor import UserId

HANDED_OVER_BEFORE: Final = timedelta(hours=4)
"""How long the first person has been on call when the playground begins: it doesn't begin with a hand-over."""


@dataclass(frozen=True, slots=True)
class RotaShift:
    """One person's turn: from `starts_at` on, and no longer at `ends_at`."""

    person: UserId
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class DemoRota:
    """Who is on call when, in the schedule of this name.

    The first person is on call at `begins_at`, and the shifts go on both ways for ever.
    """

    schedule: str
    people: tuple[UserId, ...]
    shift: timedelta
    begins_at: datetime

    def __post_init__(self) -> None:
        """Raises ValueError for a rota without people or without time."""
        if not self.people or self.shift <= timedelta():
            raise ValueError("a rota needs people, and shifts that take time")

    def find_shifts(self, since: datetime, until: datetime) -> tuple[RotaShift, ...]:
        """The shifts that overlap [since, until), in order."""
        first, last = self._number_of(since), self._number_of(until)
        found = (self._shift(number) for number in range(first, last + 1))
        return tuple(each for each in found if each.ends_at > since and each.starts_at < until)

    def _number_of(self, moment: datetime) -> int:
        return (moment - self._starts_at) // self.shift

    def _shift(self, number: int) -> RotaShift:
        starts_at = self._starts_at + number * self.shift
        return RotaShift(self.people[number % len(self.people)], starts_at, starts_at + self.shift)

    @property
    def _starts_at(self) -> datetime:
        """When the shift began that the playground begins in: at a full hour, as on a real schedule."""
        hour = self.begins_at.replace(minute=0, second=0, microsecond=0)
        return hour - min(HANDED_OVER_BEFORE, self.shift / 3)

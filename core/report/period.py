"""The period of a report, and the weeks or months that its figures are counted by.

Invariant: a moment belongs to one step only, by the calendar of the report's time zone, and there is no gap between
the steps of a period.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

MAX_WEEKS: Final = 60
"""A longer period is counted by months: more columns can't be told apart."""
_DAY: Final = timedelta(days=1)
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, up to `until` and not including it, in the calendar of `zone`."""

    since: datetime
    until: datetime
    zone: ZoneInfo

    @property
    def is_by_month(self) -> bool:
        """True when the steps are months, and not weeks."""
        return self.until - self.since > MAX_WEEKS * 7 * _DAY

    @property
    def step(self) -> str:
        """The noun for a step."""
        return "month" if self.is_by_month else "week"

    def contains(self, moment: datetime) -> bool:
        """True when it lies in the period."""
        return self.since <= moment < self.until

    def local(self, moment: datetime) -> datetime:
        """The moment by the clocks of the zone."""
        return moment.astimezone(self.zone)

    def step_of(self, moment: datetime) -> date:
        """The first day of the week, or of the month, that the moment belongs to. A week begins on Monday."""
        day = self.local(moment).date()
        return day.replace(day=1) if self.is_by_month else day - day.weekday() * _DAY

    def steps(self) -> tuple[date, ...]:
        """Every step of the period, oldest first."""
        first, last = self.step_of(self.since), self.step_of(max(self.since, self.until - timedelta.resolution))
        found = [first]
        while found[-1] < last:
            found.append(_next_month(found[-1]) if self.is_by_month else found[-1] + 7 * _DAY)
        return tuple(found)

    def label(self, step: date) -> str:
        """How a step is called on an axis."""
        return f"{step:%b %Y}" if self.is_by_month else f"{step.day} {step:%b}"


def month_of(moment: datetime, zone: ZoneInfo) -> Period:
    """The whole month that the moment belongs to."""
    first = moment.astimezone(zone).date().replace(day=1)
    return Period(_begin(first, zone), _begin(_next_month(first), zone), zone)


def month_before(moment: datetime, zone: ZoneInfo) -> Period:
    """The last whole month that was over at this moment."""
    return month_of(month_of(moment, zone).since - _DAY, zone)


def _next_month(first: date) -> date:
    years, month = divmod(first.month, _MONTHS)
    return date(first.year + years, month + 1, 1)


def _begin(day: date, zone: ZoneInfo) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return local.astimezone(ZoneInfo("UTC"))

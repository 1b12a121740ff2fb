"""Time windows: the hours of the week in which a rule holds.

Invariant: a window is judged by the local time of its own zone. When the clocks go forward, the skipped hour never
happens; when they go back, the repeated hour counts both times.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Final, NamedTuple, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictStr, WithJsonSchema, model_validator

from core.clock import require_utc
from core.policy.document import PolicyModel, mistake, suggest

_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_MINUTES_PER_HOUR: Final = 60
_MINUTES_PER_DAY: Final = 24 * _MINUTES_PER_HOUR
_MINUTE: Final = timedelta(minutes=1)
_DAYS_AHEAD: Final = 15


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEK: Final = tuple(Day)


class Hours(NamedTuple):
    """From when until when, in minutes since midnight. The end is exclusive; an earlier one is on the next day."""

    opens: int
    closes: int

    def __str__(self) -> str:
        return "-".join(f"{minutes // _MINUTES_PER_HOUR:02}:{minutes % _MINUTES_PER_HOUR:02}" for minutes in self)


ALL_DAY: Final = Hours(0, _MINUTES_PER_DAY)


def _read_hours(value: object) -> Hours:
    if isinstance(value, Hours):
        return value
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise mistake(f"{value!r:.60} are not hours", "Write them like 09:00-17:00.")
    opens_hour, opens_minute, closes_hour, closes_minute = map(int, found.groups())
    opens = opens_hour * _MINUTES_PER_HOUR + opens_minute
    closes = closes_hour * _MINUTES_PER_HOUR + closes_minute
    is_on_the_clock = max(opens_minute, closes_minute) < _MINUTES_PER_HOUR
    if not is_on_the_clock or opens >= _MINUTES_PER_DAY or closes > _MINUTES_PER_DAY:
        raise mistake(f"{value!r} goes past the end of the clock", "Begin by 23:59 and end by 24:00.")
    if opens == closes:
        raise mistake(f"{value!r} opens and closes at once", "For the whole day write 00:00-24:00.")
    return Hours(opens, closes)


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _check_zone(text: str) -> str:
    # Only names in the list: ZoneInfo would also open other files in the zone folder.
    if text not in _zones():
        fix = suggest(text, _zones()) if text else ""
        raise mistake(
            f"{text!r:.60} is not a time zone",
            fix if fix.startswith("Did") else "Write an IANA name such as Europe/Berlin or UTC.",
        )
    return text


class TimeWindow(PolicyModel):
    """The days and hours during which something holds. Hours across midnight belong to the day on which they begin."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    days: tuple[Day, ...] = Field(default=_WEEK, min_length=1, description="Days on which it opens. Left out: all.")
    hours: Annotated[
        Hours,
        BeforeValidator(_read_hours),
        WithJsonSchema({"type": "string", "pattern": r"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$"}),
    ] = Field(
        default=ALL_DAY,
        description="Such as 09:00-17:00 or 22:00-06:00; the end is exclusive. Left out: all day.",
    )
    timezone: Annotated[StrictStr, AfterValidator(_check_zone)] = Field(description="An IANA name: Europe/Berlin.")

    def is_open(self, now: datetime) -> bool:
        """True when the window is open at this moment. Raises ValueError for a time without a zone."""
        local = require_utc(now).astimezone(ZoneInfo(self.timezone))
        minute = local.hour * _MINUTES_PER_HOUR + local.minute
        today, yesterday = _WEEK[local.weekday()], _WEEK[(local - timedelta(days=1)).weekday()]
        if self.hours.opens < self.hours.closes:
            return today in self.days and self.hours.opens <= minute < self.hours.closes
        opened_today = today in self.days and minute >= self.hours.opens
        opened_yesterday = yesterday in self.days and minute < self.hours.closes
        return opened_today or opened_yesterday

    def next_opening(self, now: datetime) -> datetime | None:
        """The first moment from `now` on at which it opens; None if it doesn't in the next two weeks."""
        zone = ZoneInfo(self.timezone)
        first = require_utc(now).astimezone(zone).date()
        at_opening = time(*divmod(self.hours.opens, _MINUTES_PER_HOUR))
        for day in (first + timedelta(days=days) for days in range(_DAYS_AHEAD)):
            if _WEEK[day.weekday()] not in self.days:
                continue
            # When the clocks go back, the same time comes twice.
            found = (self._open_from(datetime.combine(day, at_opening.replace(fold=fold), zone)) for fold in (0, 1))
            if later := [each for each in found if each is not None and each >= now]:
                return min(later)
        return None

    def write_local(self, moment: datetime) -> str:
        """A moment as the clocks of its zone show it, such as `Mon 23 Nov 09:00`."""
        return f"{moment.astimezone(ZoneInfo(self.timezone)):%a %d %b %H:%M}"

    def _open_from(self, wall: datetime) -> datetime | None:
        """When it opens on the day that the wall clock shows this time; None if the clocks skip all of it."""
        at = wall.astimezone(UTC)
        if not self.is_open(at):
            return None
        while self.is_open(at - _MINUTE) and at.astimezone(wall.tzinfo).replace(tzinfo=None) > wall.replace(
            tzinfo=None
        ):
            # The clocks skipped its first minutes, so it opens when they go forward.
            at -= _MINUTE
        return at

    def __str__(self) -> str:
        days = "every day" if set(self.days) == set(_WEEK) else ", ".join(self.days)
        return f"{days} {self.hours} {self.timezone}"

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if set(self.days) == set(_WEEK) and self.hours == ALL_DAY:
            raise mistake("this window is always open", "Give it days or hours, or leave it out.")
        return self

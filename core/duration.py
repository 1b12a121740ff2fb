"""Durations: read from what people write (`2h`, `90m`, `1h30m`), written back the same way, stored as nanoseconds.

Invariant: a duration that was read is positive, whole seconds, and means one thing only; nothing is guessed.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from core.errors import InvalidInput

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_MAX_DIGITS = 6
_PART = re.compile(r"([0-9]{1,6})\s*([a-z]+)\s*")
_NANOSECONDS_PER_MICROSECOND = 1000
_SHOWN_LENGTH = 20
MAX_WRITTEN_DURATION = timedelta(days=366)


def parse_duration(
    text: object, field: str = "duration", *, likely: str = "mh", longest: timedelta = MAX_WRITTEN_DURATION
) -> timedelta:
    """Read `2h`, `90m`, `1h30m` or `2 h`: whole numbers, each with d, h, m or s, largest unit first.

    Raises InvalidInput, naming `field`, for anything else, for zero and for more than a year. For a number alone, the
    error suggests those of the `likely` units with which it isn't longer than `longest`.
    """
    fix = "Write it like 2h, 90m or 1h30m."
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput(field, "there is no duration here", fix)
    written = text.strip().lower()
    if written.startswith("-"):
        raise InvalidInput(field, f"{_shown(text)} is negative", fix)
    if written.isascii() and written.isdecimal():
        raise InvalidInput(field, f"{_shown(text)} has no unit", _suggest_units(written, likely, longest) or fix)
    total, seen, position = timedelta(), "", 0
    while position < len(written):
        part = _PART.match(written, position)
        if part is None:
            raise InvalidInput(field, f"{_shown(text)} is not a duration", fix)
        number, unit = part.groups()
        if unit not in _UNITS:
            raise InvalidInput(field, f"{_shown(unit)} is not a unit of time here", f"Use d, h, m or s. {fix}")
        if seen and "dhms".index(unit) <= "dhms".index(seen):
            raise InvalidInput(field, f"{_shown(text)} names its units twice or out of order", fix)
        total, seen, position = total + int(number) * _UNITS[unit], unit, part.end()
    if total <= timedelta():
        raise InvalidInput(field, f"{_shown(text)} is no time at all", fix)
    if total > MAX_WRITTEN_DURATION:
        raise InvalidInput(field, f"{_shown(text)} is longer than a year", fix)
    return total


def _suggest_units(number: str, likely: str, longest: timedelta) -> str:
    """A question such as: Did you mean 2m or 2h? Empty for a number that fits none of the units."""
    if len(number) > _MAX_DIGITS:
        return ""
    fitting = [f"{number}{unit}" for unit in likely if timedelta() < int(number) * _UNITS[unit] <= longest]
    *others, last = fitting or [""]
    return f"Did you mean {' or '.join(filter(None, (', '.join(others), last)))}?" if last else ""


def check_duration(field: str, duration: object, at_most: timedelta) -> None:
    """Raises InvalidInput, naming `field`, unless this is a duration of more than 0 and at most `at_most`."""
    if not isinstance(duration, timedelta):
        raise InvalidInput(field, f"{duration!r:.60} is not a duration", "Give a timedelta.")
    if not timedelta() < duration <= at_most:
        raise InvalidInput(
            field,
            f"{format_duration(duration)} is out of bounds",
            f"Ask for more than 0 and at most {format_duration(at_most)}.",
        )


def format_duration(duration: timedelta) -> str:
    """Write a duration the way people write it: `1h30m`. Fractions of a second are left out."""
    if duration < timedelta():
        return f"-{format_duration(-duration)}"
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in _UNITS.items():
        count, seconds = divmod(seconds, int(size.total_seconds()))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def to_nanoseconds(duration: timedelta) -> int:
    """The duration as an exact int of nanoseconds, the stored form."""
    return duration // timedelta(microseconds=1) * _NANOSECONDS_PER_MICROSECOND


def _read(value: object, info: ValidationInfo) -> timedelta:
    if isinstance(value, timedelta):
        return value
    field, fix = info.field_name or "duration", "Give a timedelta, or an int of nanoseconds in whole microseconds."
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(field, f"{value!r:.60} is not a duration", fix)
    if value % _NANOSECONDS_PER_MICROSECOND or abs(value) > to_nanoseconds(timedelta.max):
        raise InvalidInput(field, "it is not a number of nanoseconds that can be kept exactly", fix)
    return timedelta(microseconds=value // _NANOSECONDS_PER_MICROSECOND)


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() and len(text) <= _SHOWN_LENGTH else repr(text[:_SHOWN_LENGTH])


Duration = Annotated[
    timedelta, BeforeValidator(_read), PlainSerializer(to_nanoseconds, return_type=int, when_used="json")
]
"""A model field that holds a duration: a timedelta in memory, int nanoseconds in JSON."""

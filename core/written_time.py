"""A time as people write it, `tomorrow 22:00`, `at 22:00`, `mon 9:30pm` or `2026-11-24 22:00`, and the moment it means.

Invariant: only a whole time at the beginning of a text is taken; everything else stays as it was written. A time means
one moment or none: where the clocks of a zone skip or repeat it, the error says so, and how to write it instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from core.errors import InvalidInput

STARTS_AT: Final = "starts_at"
"""The field of a request that such a time is written for."""
WRITE_IT: Final = "Write it like tomorrow 22:00, at 22:00, monday 22:00 or 2026-11-24 22:00."
_WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
_WEEKDAY: Final = "|".join(f"{name}|{name[:3]}" for name in _WEEK)
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAY: Final = rf"today|tomorrow|(?:on\s+)?(?:{_WEEKDAY}|{_DATE})"
_LATER: Final = rf"tomorrow|(?:on\s+)?(?:{_WEEKDAY}|{_DATE})"
_DAY_OF: Final = re.compile(rf"(?:{_DAY})['\u2019]s\b", re.IGNORECASE)
_TIME: Final = r"(?P<hour{0}>[0-9]{{1,2}})(?::(?P<minute{0}>[0-9]{{2}}))?(?:\s?(?P<half{0}>[ap]m))?"
_ZONE: Final = r"(?:\s?(?P<zone{0}>utc|gmt|z))?"
_END: Final = r"(?:[,;:](?=\s)|(?=\s|$))"
_DAY_FIRST: Final = re.compile(
    rf"(?P<day>{_DAY}),?(?:\s+at)?[\sT]\s*{_TIME.format(1)}{_ZONE.format(1)}{_END}", re.IGNORECASE
)
_TIME_FIRST: Final = re.compile(rf"at\s+{_TIME.format(1)}{_ZONE.format(1)}(?:\s+(?P<day>{_DAY}))?{_END}", re.IGNORECASE)
_OPENED: Final = r"[(\[*_~\"'\u201c\u2018]*"
"""What may stand before the first word of a sentence."""
_CLOSED: Final = r"(?=[\s,;:.!?)\]*_~\"\u201d\u2013\u2014-]|$)"
_CLOCK: Final = (
    r"[0-9]{1,2}[:h][0-9]{2}(?::[0-9]{2})?"
    r"|[0-9]{1,2}(?:[:.h][0-9]{2}(?::[0-9]{2})?)?\s?(?:[ap]\.?m|uhr|h|o['\u2019]?clock)"
)
_NUMBERED_DAY: Final = (
    rf"[0-9]{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:{_MONTHS})|(?:{_MONTHS})\.?\s+[0-9]{{1,2}}(?:st|nd|rd|th)?"
    r"|(?:the\s+)?[0-9]{1,2}(?:st|nd|rd|th)|[0-9]{1,2}\.[0-9]{1,2}\.(?:[0-9]{4})?|[0-9]{1,2}/[0-9]{1,2}(?:/[0-9]{2,4})?"
    r"|[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}|[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}(?:T\S*)?"
)
_NAMED_DAY: Final = (
    rf"{_LATER}|tom+or+ow|tmrw|tues|weds|thurs?|tonight|noon|midnight|next\s+(?:{_WEEKDAY}|week|morning)"
    r"|this\s+(?:morning|afternoon|evening|night)|later\s+(?:today|tonight)"
)
_AFTER_A_WHILE: Final = r"in\s+(?:an?|half|[0-9]{1,3})\s?(?:an\s+)?(?:m|min|minute|h|hr|hour|d|day|week)s?"
_BEFORE: Final = r"(?:@\s*|(?:from|starting|starts?|beginning|at|on|after|around|about|by|before|until|till)\s+)"
_LIKE_A_TIME: Final = re.compile(
    rf"{_OPENED}(?:(?:{_BEFORE}){{0,2}}(?:{_CLOCK}|{_NUMBERED_DAY}|{_NAMED_DAY})|{_AFTER_A_WHILE}"
    rf"|at\s+[0-9]{{1,4}}){_CLOSED}",
    re.IGNORECASE,
)
_ZONE_NAMES: Final = "utc|gmt|[ewc]es?t|msk|bst|[ecmp][sd]?t|a[kwe]?[sd]t|nz[sd]t|[ijkhs]st|sgt|hkt|gst|pkt|wib|z"
_REGION: Final = "(?:africa|america|asia|atlantic|australia|etc|europe|indian|pacific|us)"
_BELONGS_TO_A_TIME: Final = re.compile(
    rf"{_OPENED}(?:(?:{_ZONE_NAMES})?\s?[+-]\s?[0-9]{{1,2}}(?::?[0-9]{{2}})?|(?:{_ZONE_NAMES})|{_REGION}/\S+"
    rf"|(?:my|our|their|your|local)\s+time|(?:to|till?|until|for|[\u2013\u2014-])\s*[0-9]\S*){_CLOSED}|{_DAY_OF.pattern}",
    re.IGNORECASE,
)
"""What may say more about the time before it: its zone, until when, which day."""


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A time of day, and the day if one was written: `today`, a weekday, a date. `is_utc`: not in their own zone."""

    written: str
    hour: int
    minute: int
    day: str | None = None
    is_utc: bool = False

    def resolve(self, zone: tzinfo | None, now: datetime) -> datetime:
        """The moment in UTC: the next one of this time in this zone. Raises InvalidInput when there is none, or two.

        None for a zone that isn't known: only a time in UTC can be resolved then.
        """
        found = UTC if self.is_utc else zone
        if found is None:
            example = f"{(now + timedelta(days=1)):%Y-%m-%d} {self.hour:02}:{self.minute:02} UTC"
            raise InvalidInput(STARTS_AT, "your time zone isn't known here", f"Write it in UTC, for example {example}.")
        here = now.astimezone(found)
        try:
            clock = time(self.hour, self.minute)
            return to_utc(datetime.combine(self._find_day(here, clock), clock), found)
        except (ValueError, OverflowError) as error:
            raise InvalidInput(STARTS_AT, f"{self.written!r:.60} isn't a date and time", WRITE_IT) from error

    def _find_day(self, here: datetime, clock: time) -> date:
        is_over = clock <= here.time()
        match self.day:
            case None:
                return here.date() + timedelta(days=int(is_over))
            case "today" | "tomorrow":
                return here.date() + timedelta(days=int(self.day == "tomorrow"))
            case name if name in _BY_NAME:
                ahead = (_BY_NAME[name] - here.weekday()) % len(_WEEK)
                return here.date() + timedelta(days=ahead or len(_WEEK) * int(is_over))
            case written:
                return date.fromisoformat(written)


_BY_NAME: Final = {name[:size]: number for number, name in enumerate(_WEEK) for size in (3, None)}


def take_time(text: str) -> tuple[WrittenTime, str] | None:
    """A time at the beginning of a text, and what follows it as it was written; None if it begins with none."""
    stripped = text.lstrip()
    found = _DAY_FIRST.match(stripped) or _TIME_FIRST.match(stripped)
    if found is None:
        return None
    said = found.groupdict()
    if said["minute1"] is None and said["half1"] is None:
        # `tomorrow 10` may be the beginning of any sentence.
        return None
    hour = _in_24_hours(int(said["hour1"]), said["half1"])
    day = said["day"].lower().removeprefix("on").strip() if said["day"] is not None else None
    written = WrittenTime(found[0].rstrip(",;:"), hour, int(said["minute1"] or 0), day, said["zone1"] is not None)
    return written, stripped[found.end() :].lstrip()


def begins_like_time(text: str, *, is_after_time: bool = False) -> bool:
    """True for what may have been meant as a time, or may be the first words of a sentence: nobody can say.

    `is_after_time`: a time was taken just before, to which `CET deploy` or `tomorrow's release` could belong in part.
    """
    begun = text.lstrip()
    return bool(_LIKE_A_TIME.match(begun) or (is_after_time and _BELONGS_TO_A_TIME.match(begun)))


def read_time(text: str) -> WrittenTime:
    """A time and nothing else; `22:00` alone is the next one. Raises InvalidInput."""
    for written in (text.strip(), f"at {text.strip()}"):
        taken = take_time(written)
        if taken is not None and not taken[1]:
            return taken[0]
    raise InvalidInput(STARTS_AT, f"{text!r:.60} isn't a time", WRITE_IT)


def to_utc(local: datetime, zone: tzinfo) -> datetime:
    """The moment at which clocks in this zone show this. Raises InvalidInput when they skip it, or show it twice."""
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
    if before == after:
        return first.astimezone(UTC)
    shown, moment = f"{local:%H:%M} on {local:%Y-%m-%d}", first.astimezone(UTC)
    if before < after:
        problem = f"{shown} doesn't exist in {zone}: the clocks go forward then"
        later = f"{moment.astimezone(zone):%H:%M}"
        raise InvalidInput(STARTS_AT, problem, f"Write {later}, which is {moment:%Y-%m-%d %H:%M} UTC.")
    problem = f"{shown} comes twice in {zone}: the clocks go back then"
    again = second.astimezone(UTC)
    fix = f"Write it in UTC: {moment:%Y-%m-%d %H:%M} UTC for the first, {again:%Y-%m-%d %H:%M} UTC for the second."
    raise InvalidInput(STARTS_AT, problem, fix)


def _in_24_hours(hour: int, half: str | None) -> int:
    """The hour of the day; one that no clock shows stays wrong, so that it is refused and not guessed."""
    if half is None:
        return hour
    if not 1 <= hour <= _NOON:
        return 24 + hour
    return hour % _NOON + (_NOON if half.lower() == "pm" else 0)


_NOON: Final = 12

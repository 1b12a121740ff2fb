"""Who is on call by a calendar: from the text of a feed to shifts. Runs in a process of its own.

Invariant: a feed is read whole or refused. No time zone is guessed: an event without one counts in the zone that the
policy or the calendar says, and otherwise the feed is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
import x_wr_timezone

from core.schedules.base import SchedulePerson, ScheduleRefused, Shift, order_shifts, read_person, read_shift

NAME_PLACE: Final = "{name}"
MAX_EVENTS: Final = 50_000
MAX_SHIFTS: Final = 5_000
_MAX_TITLE: Final = 100
_FREQUENCIES: Final = frozenset({"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"})
_MARGIN: Final = timedelta(days=2)
"""More than any time zone is away from UTC: the library compares times without a zone as they stand."""
_NOT_ON_CALL: Final = frozenset({"DECLINED", "DELEGATED"})
_NO_PERSON: Final = frozenset({"GROUP", "RESOURCE", "ROOM"})
_TIMES: Final = ("DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID")
_UNREADABLE: Final = (
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ArithmeticError,
    OSError,
    RuntimeError,
    AssertionError,
)
"""What the libraries raise for a calendar that is wrong somewhere; OSError for a zone with the name of a folder."""
_FIX_ZONE: Final = "Write `timezone: Europe/Berlin`, or which one it is, at this schedule in the policy."
_FIX_FEED: Final = "Open the address in a private window: it has to give a calendar (a .ics file) without a login."


@dataclass(frozen=True, slots=True)
class CalendarReading:
    """How a calendar is read: which part of an event names the people, and the zone of times that have none."""

    name_from: str = "summary"
    name_format: str | None = None
    zone: tzinfo | None = None
    max_shifts: int = MAX_SHIFTS


@dataclass(frozen=True, slots=True)
class CalendarShifts:
    """What a calendar says for some time. `title` is its own name, if it has one."""

    title: str
    shifts: tuple[Shift, ...]


def read_calendar(feed: bytes, since: datetime, until: datetime, reading: CalendarReading) -> CalendarShifts:
    """Every shift that overlaps [since, until), the earliest first. Raises ScheduleRefused."""
    calendars = _parse(feed)
    found: set[Shift] = set()
    for each in calendars:
        zone = reading.zone or _own_zone(each)
        _check_events(each, zone)
        calendar = _FloatingTimes(zone).walk(each) if zone else each
        for event in _occurrences(calendar, since, until):
            found.update(_shifts_of(event, zone, reading, (since, until)))
            if len(found) > reading.max_shifts:
                fix = "Use a calendar that has only the shifts of this schedule."
                raise ScheduleRefused(f"The calendar has more than {reading.max_shifts} shifts in this time", fix)
    titles = (str(each.get("X-WR-CALNAME", "")).strip() for each in calendars)
    return CalendarShifts(next((each[:_MAX_TITLE] for each in titles if each), ""), order_shifts(found, since, until))


def _parse(feed: bytes) -> list[Any]:
    text = feed.removeprefix(b"\xef\xbb\xbf").strip()
    if not text[:15].upper().startswith(b"BEGIN:VCALENDAR"):
        what = "a web page" if text[:1] == b"<" else "something else"
        raise ScheduleRefused(f"The feed isn't a calendar: its address answers with {what}", _FIX_FEED)
    if not text.upper().endswith(b"END:VCALENDAR"):
        # Half a calendar could lack the very override that matters.
        raise ScheduleRefused("The calendar ends in the middle", _FIX_FEED)
    try:
        return list(icalendar.Calendar.from_ical(text, multiple=True))
    except _UNREADABLE as error:
        raise _unreadable("The calendar can't be read", error) from None


def _check_events(calendar: Any, zone: tzinfo | None) -> None:  # noqa: ANN401 - icalendar's parts have no useful type
    events = calendar.walk("VEVENT")
    if len(events) > MAX_EVENTS:
        raise ScheduleRefused(f"The calendar has more than {MAX_EVENTS} events", "Use a calendar without old events.")
    try:
        for event in events:
            _check_frequencies(event)
            for at in _stated_times(event):
                _check_zone_of(at, zone)
    except _UNREADABLE as error:
        raise _unreadable("An event of the calendar can't be read", error) from None


def _check_frequencies(event: Any) -> None:  # noqa: ANN401 - as above
    for rule in _listed(event.get("RRULE")):
        for frequency in rule.get("FREQ", ()):
            if str(frequency).upper() not in _FREQUENCIES:
                fix = "Write shifts that repeat each hour, day, week, month or year."
                raise ScheduleRefused(f"An event of the calendar repeats {str(frequency).lower():.20}", fix)


def _stated_times(event: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    """Everything in an event that is a time, with its parameters. One that can't be read has none, and raises."""
    for name in _TIMES:
        for stated in _listed(event.get(name)):
            yield from getattr(stated, "dts", (stated,))


def _check_zone_of(stated: Any, zone: tzinfo | None) -> None:  # noqa: ANN401 - as above
    at = stated.dt[0] if isinstance(stated.dt, tuple) else stated.dt
    if not isinstance(at, datetime) or at.tzinfo is not None:
        return
    if "TZID" in stated.params:
        fix = "Export the calendar with its time zones (VTIMEZONE), or with names such as Europe/Berlin."
        raise ScheduleRefused("An event of the calendar is in a time zone that isn't known", fix)
    if zone is None:
        raise _no_zone()


def _no_zone() -> ScheduleRefused:
    problem = "The calendar has events without a time zone, and doesn't say which one is meant"
    return ScheduleRefused(problem, _FIX_ZONE)


class _FloatingTimes(x_wr_timezone.CalendarWalker):  # type: ignore[misc]  # the library has no types
    """Puts times without a zone into one. Otherwise a start without one would be taken for one in its exception's."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def walk_value_datetime(self, dt: datetime) -> datetime:
        """The time with a zone."""
        return dt.replace(tzinfo=self._zone) if dt.tzinfo is None else dt


def _occurrences(calendar: Any, since: datetime, until: datetime) -> Iterable[Any]:  # noqa: ANN401 - as above
    try:
        found = recurring_ical_events.of(calendar).between(since - _MARGIN, until + _MARGIN)
    except _UNREADABLE as error:
        raise _unreadable("An event of the calendar can't be read", error) from None
    # An override that cancels one of a series comes back as cancelled.
    return (each for each in found if str(each.get("STATUS", "")).upper() != "CANCELLED")


def _own_zone(calendar: Any) -> tzinfo | None:  # noqa: ANN401 - as above
    name = str(calendar.get("X-WR-TIMEZONE", "")).strip()
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ScheduleRefused("The calendar is in a time zone that isn't known (X-WR-TIMEZONE)", _FIX_ZONE) from None


def _shifts_of(
    event: Any,  # noqa: ANN401 - as above
    zone: tzinfo | None,
    reading: CalendarReading,
    window: tuple[datetime, datetime],
) -> Iterator[Shift]:
    people = tuple(_people(event, reading))
    if not people:
        return
    start, end = (_moment(event, name, zone) for name in ("DTSTART", "DTEND"))
    for person in people:
        shift = read_shift(person, start, end)
        if shift is not None and shift.overlaps(*window):
            yield shift


def _moment(event: Any, name: str, zone: tzinfo | None) -> datetime:  # noqa: ANN401 - as above
    at: date | datetime = event[name].dt
    if isinstance(at, datetime) and at.tzinfo is not None:
        return at
    if zone is None:
        raise _no_zone()
    return (at if isinstance(at, datetime) else datetime.combine(at, time())).replace(tzinfo=zone)


def _people(event: Any, reading: CalendarReading) -> Iterator[SchedulePerson]:  # noqa: ANN401 - as above
    found = _attendees(event) if reading.name_from == "attendee" else (_titled(event, reading.name_format),)
    yield from (each for each in found if each)


def _titled(event: Any, name_format: str | None) -> SchedulePerson | None:  # noqa: ANN401 - as above
    title = " ".join(str(event.get("SUMMARY", "")).split())
    before, _, after = (name_format or NAME_PLACE).partition(NAME_PLACE)
    start, end = (" ".join(each.split()).casefold() for each in (before, after))
    folded = title.casefold()
    if len(folded) != len(title):
        # A few letters have another length in lower case; then the two are compared as they stand.
        start, end, folded = before.strip(), after.strip(), title
    if len(title) < len(start) + len(end) or not (folded.startswith(start) and folded.endswith(end)):
        return None
    name = title[len(start) : len(title) - len(end)].strip()
    return read_person(name, name, name if "@" in name and " " not in name else None)


def _attendees(event: Any) -> Iterator[SchedulePerson | None]:  # noqa: ANN401 - as above
    for each in _listed(event.get("ATTENDEE")):
        params = {name: str(value).upper() for name, value in each.params.items() if name in {"PARTSTAT", "CUTYPE"}}
        if params.get("PARTSTAT") in _NOT_ON_CALL or params.get("CUTYPE") in _NO_PERSON:
            continue
        text = str(each).strip()
        address = text[7:] if text[:7].lower() == "mailto:" else ""
        name = str(each.params.get("CN", "")) or None
        yield read_person(address.lower() or name or "", name or address, address.lower() or None)


def _listed(stated: Any) -> list[Any]:  # noqa: ANN401 - as above
    """What stands there once is no list in the library."""
    return [] if stated is None else stated if isinstance(stated, list) else [stated]


def _unreadable(problem: str, error: Exception) -> ScheduleRefused:
    # Only the type: the text of the error quotes the feed.
    fix = "Check the feed with a validator for iCalendar (RFC 5545), or export it anew."
    return ScheduleRefused(f"{problem} ({type(error).__name__})", fix)

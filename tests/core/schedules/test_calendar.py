"""What a calendar says about who is on call: repeating events, exceptions, overrides, time zones, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from core.schedules.base import ScheduleRefused
from core.schedules.ical_events import CalendarReading, read_calendar
from tests.harness.calendar_feed import calendar, event, times

BERLIN = ZoneInfo("Europe/Berlin")
T0 = datetime(2026, 1, 15, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PLAIN = CalendarReading()
SAM = "SUMMARY:Sam Example"
NIGHTS = ("DTSTART;TZID=Europe/Berlin:20260105T200000", "DTEND;TZID=Europe/Berlin:20260106T080000")
NO_ZONES: Final[tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...]] = (
    (("DTSTART;VALUE=DATE:20260115",), (), "without a time zone"),
    (("DTSTART:20260115T080000", "DTEND:20260115T090000"), (), "without a time zone"),
    (("DTSTART;TZID=Nowhere/Town:20260115T080000", "DTEND:20260115T090000Z"), (), "isn't known"),
    (("DTSTART:20260115T080000", "EXDATE:20260114T080000Z", "RRULE:FREQ=DAILY"), (), "without a time zone"),
    (("DTSTART;VALUE=DATE:20260115",), ("X-WR-TIMEZONE:Nowhere/Town",), "isn't known"),
)
NO_CALENDARS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"", "something else"),
    (b"<!doctype html><title>Log in</title>", "a web page"),
    (b'{"error": "no such calendar"}', "something else"),
    (b"BEGIN:VCARD\r\nEND:VCARD\r\n", "something else"),
    (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "ends in the middle"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM)])[:-40], "ends in the middle"),
    (calendar([event("1", "DTSTART:yesterday", SAM)]), "can't be read"),
    (calendar([event("1", SAM)]), "can't be read"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM, "RRULE:FREQ=DAILY;UNTIL=tomorrow")]), "can't be read"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM, "RRULE:FREQ=SECONDLY")]), "repeats secondly"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM, "RRULE:freq=minutely")]), "repeats minutely"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM, "EXDATE:someday")]), "can't be read"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM, "RDATE:someday")]), "can't be read"),
    (calendar([event("1", times(T0, T0)[0], SAM, "DURATION:long")]), "can't be read"),
    (calendar([event("1", *times(T0, T0 + HOUR), SAM, "RECURRENCE-ID:someday")]), "can't be read"),
    (calendar([], "CALSCALE:CHINESE"), "can't be read"),
    (calendar([event("1", "DTSTART;TZID=Europe:20260115T080000", SAM)]), "can't be read"),
)


def _read(
    feed: bytes, since: datetime, until: datetime, reading: CalendarReading = PLAIN
) -> list[tuple[str, datetime | None, datetime | None]]:
    shifts = read_calendar(feed, since, until, reading).shifts
    return [(each.person.name, each.starts_at, each.ends_at) for each in shifts]


def _berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN)  # type: ignore[arg-type,misc]  # five numbers


def test_weekly_shift_keeps_its_hour_across_daylight_saving() -> None:
    feed = calendar([event("1", *NIGHTS, SAM, "RRULE:FREQ=WEEKLY;BYDAY=MO")])

    winter = _read(feed, datetime(2026, 3, 23, tzinfo=UTC), datetime(2026, 3, 24, tzinfo=UTC))
    summer = _read(feed, datetime(2026, 3, 30, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))

    assert winter == [("Sam Example", datetime(2026, 3, 23, 19, tzinfo=UTC), datetime(2026, 3, 24, 7, tzinfo=UTC))]
    assert summer == [("Sam Example", datetime(2026, 3, 30, 18, tzinfo=UTC), datetime(2026, 3, 31, 6, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 28), 11), ((2026, 10, 24), 13)], ids=["clocks go forward", "clocks go back"]
)
def test_night_of_the_change_ends_by_the_clock_on_the_wall(day: tuple[int, int, int], hours: int) -> None:
    feed = calendar([event("1", *NIGHTS, SAM, "RRULE:FREQ=DAILY")])

    (night,) = _read(feed, _berlin(*day, 21), _berlin(*day, 22))

    assert night[1:] == (_berlin(*day, 20), _berlin(*day[:2], day[2] + 1, 8))
    assert night[2] is not None
    assert night[1] is not None
    assert night[2].astimezone(UTC) - night[1].astimezone(UTC) == hours * HOUR


def test_exception_is_no_shift() -> None:
    feed = calendar([event("1", *NIGHTS, SAM, "RRULE:FREQ=DAILY", "EXDATE;TZID=Europe/Berlin:20260115T200000")])

    nights = _read(feed, _berlin(2026, 1, 14, 12), _berlin(2026, 1, 17, 12))

    assert [start for _, start, _ in nights] == [_berlin(2026, 1, 14, 20), _berlin(2026, 1, 16, 20)]


def test_override_moves_one_of_the_series_to_somebody_else() -> None:
    moved = "DTSTART;TZID=Europe/Berlin:20260115T220000", "DTEND;TZID=Europe/Berlin:20260116T060000"
    feed = calendar(
        [
            event("1", *NIGHTS, SAM, "RRULE:FREQ=DAILY"),
            event("1", *moved, "SUMMARY:Jo Example", "RECURRENCE-ID;TZID=Europe/Berlin:20260115T200000"),
        ]
    )

    nights = _read(feed, _berlin(2026, 1, 15, 12), _berlin(2026, 1, 16, 12))

    assert nights == [("Jo Example", _berlin(2026, 1, 15, 22), _berlin(2026, 1, 16, 6))]


def test_override_that_cancels_leaves_nobody() -> None:
    cancelled = "RECURRENCE-ID;TZID=Europe/Berlin:20260115T200000", "STATUS:CANCELLED"
    start = "DTSTART;TZID=Europe/Berlin:20260115T200000", "DTEND;TZID=Europe/Berlin:20260116T080000"
    feed = calendar([event("1", *NIGHTS, SAM, "RRULE:FREQ=DAILY"), event("1", *start, SAM, *cancelled)])

    assert _read(feed, _berlin(2026, 1, 15, 12), _berlin(2026, 1, 16, 12)) == []


def test_event_that_moved_into_the_window_is_found() -> None:
    feed = calendar(
        [
            event("1", *NIGHTS, SAM, "RRULE:FREQ=WEEKLY;BYDAY=MO"),
            event("1", *times(T0, T0 + HOUR), SAM, "RECURRENCE-ID;TZID=Europe/Berlin:20260216T200000"),
        ]
    )

    assert _read(feed, T0, T0 + HOUR) == [("Sam Example", T0, T0 + HOUR)]


def test_long_shift_covers_a_moment_far_from_its_ends() -> None:
    feed = calendar([event("1", *times(T0 - 40 * DAY, T0 + 40 * DAY), SAM)])

    assert _read(feed, T0, T0 + HOUR) == [("Sam Example", T0 - 40 * DAY, T0 + 40 * DAY)]


def test_whole_day_begins_at_midnight_in_the_policys_zone() -> None:
    feed = calendar([event("1", "DTSTART;VALUE=DATE:20260115", "DTEND;VALUE=DATE:20260117", SAM)])

    days = _read(feed, T0, T0 + HOUR, CalendarReading(zone=BERLIN))

    assert days == [("Sam Example", _berlin(2026, 1, 15, 0), _berlin(2026, 1, 17, 0))]


def test_policys_zone_is_used_before_the_calendars_own() -> None:
    feed = calendar([event("1", "DTSTART;VALUE=DATE:20260115", SAM)], "X-WR-TIMEZONE:America/New_York")

    own = _read(feed, T0, T0 + HOUR)
    policys = _read(feed, T0, T0 + HOUR, CalendarReading(zone=BERLIN))

    assert own == [("Sam Example", datetime(2026, 1, 15, 5, tzinfo=UTC), datetime(2026, 1, 16, 5, tzinfo=UTC))]
    assert policys == [("Sam Example", _berlin(2026, 1, 15, 0), _berlin(2026, 1, 16, 0))]


def test_floating_time_is_in_the_calendars_own_zone() -> None:
    lines = "DTSTART:20260105T200000", "DTEND:20260106T080000", SAM, "RRULE:FREQ=WEEKLY"
    feed = calendar([event("1", *lines)], "X-WR-TIMEZONE:Europe/Berlin")

    assert _read(feed, _berlin(2026, 7, 6, 12), _berlin(2026, 7, 7, 12)) == [
        ("Sam Example", _berlin(2026, 7, 6, 20), _berlin(2026, 7, 7, 8))
    ]


def test_floating_time_takes_no_zone_from_its_exceptions() -> None:
    lines = "DTSTART:20260105T200000", "DTEND:20260106T080000", SAM, "RRULE:FREQ=DAILY", "EXDATE:20260115T190000Z"
    feed = calendar([event("1", *lines)])

    nights = _read(feed, _berlin(2026, 1, 15, 12), _berlin(2026, 1, 17, 12), CalendarReading(zone=BERLIN))

    assert nights == [("Sam Example", _berlin(2026, 1, 16, 20), _berlin(2026, 1, 17, 8))]


def test_series_in_utc_follows_the_calendars_own_zone() -> None:
    # Google writes such a series in UTC and means the calendar's zone.
    lines = "DTSTART:20260105T190000Z", "DTEND:20260106T070000Z", SAM, "RRULE:FREQ=WEEKLY"
    feed = calendar([event("1", *lines)], "X-WR-TIMEZONE:Europe/Berlin")

    assert _read(feed, _berlin(2026, 7, 6, 12), _berlin(2026, 7, 7, 12)) == [
        ("Sam Example", _berlin(2026, 7, 6, 20), _berlin(2026, 7, 7, 8))
    ]


def test_zone_that_the_feed_defines_is_used() -> None:
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:Head Office\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0300\r\n"
        "TZOFFSETTO:+0300\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    lines = "DTSTART;TZID=Head Office:20260115T110000", "DTEND;TZID=Head Office:20260115T120000"
    feed = calendar([zone, event("1", *lines, SAM)])

    assert _read(feed, T0, T0 + HOUR) == [("Sam Example", T0, T0 + HOUR)]


@pytest.mark.parametrize(("lines", "own", "problem"), NO_ZONES)
def test_time_zone_is_never_guessed(lines: tuple[str, ...], own: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ScheduleRefused, match=problem):
        _read(calendar([event("1", *lines, SAM)], *own), T0, T0 + HOUR)


@pytest.mark.parametrize(
    ("name_format", "title", "name"),
    [
        (None, "Sam Example", "Sam Example"),
        ("On call: {name}", "On call: Sam Example", "Sam Example"),
        ("On Call - {name} - Primary", "on call - Sam Example - primary", "Sam Example"),
        ("[Primary] {name}", "[Primary]  Sam   Example", "Sam Example"),
        ("On call: {name}", "Company holiday", None),
        ("On call: {name}", "On call:", None),
        ("{name} is on call", "Sam Example İs on call", None),
        (None, "", None),
    ],
)
def test_title_says_who_is_on_call(name_format: str | None, title: str, name: str | None) -> None:
    feed = calendar([event("1", *times(T0, T0 + HOUR), f"SUMMARY:{title}")])

    found = _read(feed, T0, T0 + HOUR, CalendarReading(name_format=name_format))

    assert [each for each, _, _ in found] == ([name] if name else [])


def test_title_that_is_an_address_is_one() -> None:
    feed = calendar([event("1", *times(T0, T0 + HOUR), "SUMMARY:sam@example.com")])

    (shift,) = read_calendar(feed, T0, T0 + HOUR, CalendarReading()).shifts

    assert shift.person.email == "sam@example.com"


def test_attendees_who_come_are_on_call() -> None:
    feed = calendar(
        [
            event(
                "1",
                *times(T0, T0 + HOUR),
                "SUMMARY:Primary",
                "ORGANIZER:mailto:boss@example.com",
                "ATTENDEE;CN=Sam Example;PARTSTAT=ACCEPTED:MAILTO:Sam@Example.com",
                "ATTENDEE:mailto:jo@example.com",
                "ATTENDEE;PARTSTAT=DECLINED:mailto:declined@example.com",
                "ATTENDEE;PARTSTAT=DELEGATED:mailto:delegated@example.com",
                "ATTENDEE;CUTYPE=GROUP:mailto:everybody@example.com",
                "ATTENDEE;CUTYPE=ROOM:mailto:room@example.com",
            )
        ]
    )

    shifts = read_calendar(feed, T0, T0 + HOUR, CalendarReading(name_from="attendee")).shifts

    people = {(each.person.name, each.person.email) for each in shifts}
    assert people == {("Sam Example", "sam@example.com"), ("jo@example.com", "jo@example.com")}


@pytest.mark.parametrize(("feed", "problem"), NO_CALENDARS)
def test_what_is_no_calendar_is_refused_with_the_fix(feed: bytes, problem: str) -> None:
    with pytest.raises(ScheduleRefused, match=problem) as refused:
        _read(feed, T0, T0 + HOUR)

    assert refused.value.fix.endswith(".")
    assert "Sam" not in str(refused.value)


def test_calendar_without_events_says_nobody() -> None:
    assert _read(calendar([]), T0, T0 + HOUR) == []


def test_more_shifts_than_a_schedule_has_are_refused() -> None:
    feed = calendar([event("1", *times(T0, T0 + HOUR), SAM, "RRULE:FREQ=HOURLY")])

    with pytest.raises(ScheduleRefused, match="more than 20 shifts"):
        _read(feed, T0, T0 + 30 * HOUR, CalendarReading(max_shifts=20))

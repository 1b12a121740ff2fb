"""Time windows, judged by the wall clock of their zone, through both changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.policy.time_window import Day, TimeWindow

BERLIN = "Europe/Berlin"
EVERY_DAY = tuple(Day)


def window(hours: str, *, days: tuple[Day, ...] = EVERY_DAY, timezone: str = BERLIN) -> TimeWindow:
    return TimeWindow.model_validate({"hours": hours, "days": days, "timezone": timezone})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def open_minutes(checked: TimeWindow, since: datetime, hours: int) -> int:
    return sum(checked.is_open(since + timedelta(minutes=minute)) for minute in range(hours * 60))


def test_start_is_inside_and_the_end_is_outside() -> None:
    office = window("09:00-17:00", timezone="UTC")
    assert office.is_open(at("2026-01-15T09:00:00Z"))
    assert office.is_open(at("2026-01-15T16:59:59.999999Z"))
    assert not office.is_open(at("2026-01-15T17:00:00Z"))
    assert not office.is_open(at("2026-01-15T08:59:59.999999Z"))


def test_day_is_the_day_in_the_windows_zone() -> None:
    friday = window("00:00-24:00", days=(Day.FRI,), timezone="Asia/Tokyo")
    assert friday.is_open(at("2026-01-15T15:00:00Z"))  # Thursday in London, Friday in Tokyo.
    assert not friday.is_open(at("2026-01-16T15:00:00Z"))


def test_window_across_midnight_belongs_to_the_day_it_opened() -> None:
    night = window("22:00-06:00", days=(Day.FRI,), timezone="UTC")
    assert night.is_open(at("2026-01-16T22:00:00Z"))
    assert night.is_open(at("2026-01-17T05:59:00Z"))
    assert not night.is_open(at("2026-01-17T06:00:00Z"))
    assert not night.is_open(at("2026-01-16T05:59:00Z"))
    assert not night.is_open(at("2026-01-17T22:00:00Z"))


def test_window_in_the_hour_that_spring_skips_does_not_open() -> None:
    midnight = at("2026-03-29T00:00:00+01:00")  # At 02:00 it becomes 03:00.
    assert open_minutes(window("02:15-02:45"), midnight, 23) == 0
    assert open_minutes(window("02:15-02:45"), midnight - timedelta(days=1), 24) == 30


def test_window_around_the_gap_of_spring_is_shorter() -> None:
    midnight = at("2026-03-29T00:00:00+01:00")
    around = window("01:00-04:00")
    assert open_minutes(around, midnight, 23) == 120
    assert around.is_open(at("2026-03-29T01:59:00Z"))  # 03:59 in Berlin
    assert not around.is_open(at("2026-03-29T02:00:00Z"))


def test_window_in_the_hour_autumn_repeats_is_open_twice() -> None:
    midnight = at("2026-10-25T00:00:00+02:00")  # At 03:00 it becomes 02:00.
    repeated = window("02:15-02:45")
    assert open_minutes(repeated, midnight, 25) == 60
    assert repeated.is_open(at("2026-10-25T00:30:00Z"))
    assert not repeated.is_open(at("2026-10-25T01:00:00Z"))
    assert repeated.is_open(at("2026-10-25T01:30:00Z"))


@pytest.mark.parametrize(
    ("opens", "minutes"),
    [
        pytest.param("2026-03-28T22:00:00+01:00", 7 * 60, id="spring: the night is an hour shorter"),
        pytest.param("2026-10-24T22:00:00+02:00", 9 * 60, id="autumn: the night is an hour longer"),
        pytest.param("2026-01-17T22:00:00+01:00", 8 * 60, id="any other night"),
    ],
)
def test_night_shift_lasts_the_whole_night_of_a_clock_change(opens: str, minutes: int) -> None:
    saturday_night = window("22:00-06:00", days=(Day.SAT,))
    assert open_minutes(saturday_night, at(opens) - timedelta(hours=12), 36) == minutes
    assert saturday_night.is_open(at(opens))


def test_zone_with_half_an_hour_is_judged_to_the_minute() -> None:
    office = window("09:00-17:00", timezone="Asia/Kolkata")  # UTC+5:30
    assert office.is_open(at("2026-01-15T03:30:00Z"))
    assert not office.is_open(at("2026-01-15T03:29:00Z"))
    assert not office.is_open(at("2026-01-15T11:30:00Z"))


def test_zone_that_changes_by_half_an_hour_repeats_half_an_hour() -> None:
    midnight = at("2026-04-05T00:00:00+11:00")  # Lord Howe goes from 02:00 back to 01:30.
    assert open_minutes(window("01:30-02:00", timezone="Australia/Lord_Howe"), midnight, 12) == 60


def test_whole_day_is_open_through_the_change_of_the_clock() -> None:
    sunday = window("00:00-24:00", days=(Day.SUN,))
    assert open_minutes(sunday, at("2026-03-28T00:00:00+01:00"), 72) == 23 * 60
    assert open_minutes(sunday, at("2026-10-24T00:00:00+02:00"), 72) == 25 * 60


def test_time_without_a_zone_is_refused_rather_than_guessed() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        window("09:00-17:00").is_open(at("2026-01-15T10:00:00"))


def test_window_that_is_always_open_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="always open"):
        window("00:00-24:00")


def test_window_is_written_in_one_line() -> None:
    assert str(window("09:00-17:00", days=(Day.MON, Day.FRI))) == "Mon, Fri 09:00-17:00 Europe/Berlin"
    assert str(window("09:00-17:00", days=(Day.SUN, Day.WED, Day.TUE, Day.MON))) == (
        "Mon-Wed, Sun 09:00-17:00 Europe/Berlin"
    )
    assert str(window("22:00-06:00")) == "every day 22:00-06:00 Europe/Berlin"


def is_open_by_walking(hours: tuple[int, int], days: frozenset[int], zone: ZoneInfo, now: datetime) -> bool:
    """An independent model: every opening of the last days, written down minute by minute as a date and a time."""
    local = now.astimezone(zone)
    shown = (local.date(), local.hour * 60 + local.minute)
    opens, closes = hours
    length = (closes - opens) % (24 * 60) or 24 * 60
    for back in range(3):
        day: date = local.date() - timedelta(days=back)
        if day.weekday() not in days:
            continue
        wall = {(day + timedelta(days=(opens + m) // (24 * 60)), (opens + m) % (24 * 60)) for m in range(length)}
        if shown in wall:
            return True
    return False


ZONES = (BERLIN, "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "Pacific/Kiritimati", "Asia/Beirut")
QUARTERS = st.integers(0, 95).map(lambda quarter: quarter * 15)


@given(
    opens=QUARTERS,
    closes=st.integers(1, 96).map(lambda quarter: quarter * 15),
    days=st.sets(st.sampled_from(EVERY_DAY), min_size=1, max_size=6),
    timezone=st.sampled_from(ZONES),
    now=st.one_of(
        st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - the zone is given below.
        # The nights on which clocks change, more often than chance would find them.
        st.datetimes(datetime(2026, 3, 28), datetime(2026, 3, 30)),  # noqa: DTZ001
        st.datetimes(datetime(2026, 10, 24), datetime(2026, 10, 26)),  # noqa: DTZ001
    ),
)
def test_every_window_agrees_with_a_minute_by_minute_model(
    opens: int, closes: int, days: set[Day], timezone: str, now: datetime
) -> None:
    if opens == closes:
        return
    hours = f"{opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02}"
    checked = window(hours, days=tuple(days), timezone=timezone)
    moment = now.replace(tzinfo=UTC)
    chosen = frozenset(EVERY_DAY.index(day) for day in days)
    assert checked.is_open(moment) == is_open_by_walking((opens, closes), chosen, ZoneInfo(timezone), moment)

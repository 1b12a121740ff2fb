from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from core.duration import (
    MAX_WRITTEN_DURATION,
    Duration,
    check_duration,
    format_duration,
    parse_duration,
    to_nanoseconds,
)
from core.errors import InvalidInput

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Window(BaseModel):
    lasts: Duration


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90m", 90 * MINUTE),
        ("2h", 2 * HOUR),
        ("1h30m", 90 * MINUTE),
        ("2 h", 2 * HOUR),
        (" 1h 30m ", 90 * MINUTE),
        ("1 H 30 M", 90 * MINUTE),
        ("1d", 24 * HOUR),
        ("45s", timedelta(seconds=45)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("1h0m", HOUR),
        ("0h30m", 30 * MINUTE),
        ("007m", 7 * MINUTE),
        ("120m", 2 * HOUR),
        ("366d", MAX_WRITTEN_DURATION),
    ],
)
def test_common_spellings_are_read(written: str, meant: timedelta) -> None:
    assert parse_duration(written) == meant


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "there is no duration here"),
        ("   ", "there is no duration here"),
        (None, "there is no duration here"),
        (90, "there is no duration here"),
        (2 * HOUR, "there is no duration here"),
        ("-1h", "-1h is negative"),
        ("90", "90 has no unit"),
        ("0", "0 has no unit"),
        ("0h", "0h is no time at all"),
        ("0d0h0m0s", "0d0h0m0s is no time at all"),
        ("1y", "y is not a unit of time here"),
        ("2hours", "hours is not a unit of time here"),
        ("1w", "w is not a unit of time here"),
        ("1.5h", "1.5h is not a duration"),
        ("1,5h", "1,5h is not a duration"),
        ("1h1h", "1h1h names its units twice or out of order"),
        ("1m1h", "1m1h names its units twice or out of order"),
        ("1h -30m", "1h -30m is not a duration"),
        ("1h30", "1h30 is not a duration"),
        ("h", "h is not a duration"),
        ("+1h", "+1h is not a duration"),
        ("1e3h", "e is not a unit of time here"),
        ("0x10h", "x is not a unit of time here"),
        ("1_0h", "1_0h is not a duration"),
        ("PT1H", "PT1H is not a duration"),
        ("367d", "367d is longer than a year"),
        ("366d1s", "366d1s is longer than a year"),
        ("999999d", "999999d is longer than a year"),
        ("1000000d", "1000000d is not a duration"),
        ("9" * 5000, "'99999999999999999999' has no unit"),
        ("9" * 5000 + "h", "'99999999999999999999' is not a duration"),
        ("٣h", "'٣h' is not a duration"),
        ("\uff12h", "'\uff12h' is not a duration"),
        ("٣", "'٣' is not a duration"),
        ("2\uff48", "'2\uff48' is not a duration"),
        ("2h\x00", "'2h\\x00' is not a duration"),
        ("2h\u202e", "'2h\\u202e' is not a duration"),
    ],
)
def test_ambiguous_text_is_refused_and_shown_safely(written: object, problem: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_duration(written, "max_duration")
    assert (refusal.value.field, refusal.value.problem) == ("max_duration", problem)
    assert refusal.value.fix


def test_bare_number_is_refused_with_both_readings() -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_duration("90")
    assert refusal.value.fix == "Did you mean 90m or 90h?"


whole_seconds = st.integers(1, int(MAX_WRITTEN_DURATION.total_seconds())).map(
    lambda seconds: timedelta(seconds=seconds)
)


@given(duration=whole_seconds)
def test_formatted_duration_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(text=st.text(st.sampled_from("0123456789dhms -.٣y"), max_size=12))
def test_parsed_duration_is_positive_whole_seconds_up_to_a_year(text: str) -> None:
    try:
        duration = parse_duration(text)
    except InvalidInput:
        return
    assert timedelta() < duration <= MAX_WRITTEN_DURATION
    assert duration % timedelta(seconds=1) == timedelta()
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(), "0s"),
        (timedelta(microseconds=999_999), "0s"),
        (timedelta(seconds=59.9), "59s"),
        (90 * MINUTE, "1h30m"),
        (24 * HOUR + timedelta(seconds=1), "1d1s"),
        (-HOUR, "-1h"),
        (-90 * MINUTE, "-1h30m"),
    ],
)
def test_duration_is_written_as_people_write_it(duration: timedelta, written: str) -> None:
    assert format_duration(duration) == written


@given(duration=st.timedeltas(min_value=-MAX_WRITTEN_DURATION, max_value=MAX_WRITTEN_DURATION))
def test_stored_form_is_exact_to_the_microsecond(duration: timedelta) -> None:
    assert Window.model_validate(Window(lasts=duration).model_dump(mode="json")).lasts == duration
    assert to_nanoseconds(duration) == round(duration / timedelta(microseconds=1)) * 1000


@pytest.mark.parametrize("value", [True, False, 1.0, "1h", None, [1], 1, 1500, 10**400, -(10**400)])
def test_inexact_duration_is_refused_with_the_name_of_its_field(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInput) as refusal:
        Window(lasts=value)
    assert refusal.value.field == "lasts"
    assert len(refusal.value.problem) < 100


@pytest.mark.parametrize("value", [0, 1, HOUR + timedelta(microseconds=1), timedelta(), -MINUTE, True, 0.5, None])
def test_check_duration_refuses_zero_and_more_than_the_longest(value: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_duration("cooldown", value, HOUR)
    assert refusal.value.field == "cooldown"


def test_check_duration_takes_the_longest_and_the_shortest() -> None:
    check_duration("cooldown", HOUR, HOUR)
    check_duration("cooldown", timedelta(microseconds=1), HOUR)

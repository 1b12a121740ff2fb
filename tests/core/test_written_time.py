"""Times as people write them: what is taken, what stays in the sentence, and which moment it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.written_time import WrittenTime, begins_like_time, read_time, take_time

BERLIN: Final = ZoneInfo("Europe/Berlin")
NOW: Final = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
"""A Sunday, ten o'clock in Berlin."""


@pytest.mark.parametrize(
    ("text", "moment", "rest"),
    [
        ("tomorrow 22:00 why", "2026-11-23 21:00", "why"),
        ("Tomorrow at 22:00, deploy it", "2026-11-23 21:00", "deploy it"),
        ("at 22:00 why  two", "2026-11-22 21:00", "why  two"),
        ("at 9:59 why", "2026-11-23 08:59", "why"),
        ("at 10:00 why", "2026-11-23 09:00", "why"),
        ("at 10pm why", "2026-11-22 21:00", "why"),
        ("at 12:30 am why", "2026-11-22 23:30", "why"),
        ("at 22:00 tomorrow why", "2026-11-23 21:00", "why"),
        ("at 22:00 on monday why", "2026-11-23 21:00", "why"),
        ("today 22:00", "2026-11-22 21:00", ""),
        ("monday 22:00 why", "2026-11-23 21:00", "why"),
        ("on Sun at 9pm why", "2026-11-22 20:00", "why"),
        ("sunday 8:00 why", "2026-11-29 07:00", "why"),
        ("2026-11-24 22:00 why", "2026-11-24 21:00", "why"),
        ("2026-11-24T22:00Z why", "2026-11-24 22:00", "why"),
        ("at 22:00 UTC why", "2026-11-22 22:00", "why"),
        ("at 22:00 GMT why", "2026-11-22 22:00", "why"),
        ("2027-07-01 22:00 why", "2027-07-01 20:00", "why"),
    ],
)
def test_time_at_the_beginning_is_taken(text: str, moment: str, rest: str) -> None:
    taken = take_time(text)
    assert taken is not None
    assert (f"{taken[0].resolve(BERLIN, NOW):%Y-%m-%d %H:%M}", taken[1]) == (moment, rest)


SENTENCES: Final = (
    "tomorrow deploy the fix", "tomorrow 10 hosts go", "22:00 is the deadline", "at 22:00:30 it failed",
    "at least two hosts fail", "at 5 hosts", "monday's release", "monday we deploy", "fix it tomorrow 22:00",
    "on call since 22:00", "2026-11-24 is the day", "today", "at noon", "10pm", "", "sunny 22:00",
)  # fmt: skip


@pytest.mark.parametrize("text", SENTENCES)
def test_words_that_are_no_whole_time_stay(text: str) -> None:
    assert take_time(text) is None


@pytest.mark.parametrize(
    ("text", "is_like"),
    [
        ("tomorrow deploy the fix", True), ("22:00 is the deadline", True), ("at 22:00:30 it failed", True),
        ("10pm deploy", True), ("next monday 22:00 deploy", True), ("24 Nov 22:00 deploy", True),
        ("Nov 24 deploy", True), ("24.11. 22:00 deploy", True), ("24/11/2026 deploy", True), ("tonight deploy", True),
        ("monday we deploy", True), ("today's deploy", False), ("monday's deploy", False), ("5.1.2 is out", False),
        ("9:30pm deploy", True), ("10 p.m. deploy", True), ("2026-11-24T22:00:00Z deploy", True),
        ("from 22:00 deploy", True),
        ("starting tomorrow 22:00", True), ("22:00-23:00 deploy", True), ("in 3 hours deploy", True), ("in 2h", True),
        ("(tomorrow 22:00) deploy", True), ("tomorrow: deploy", True), ("Nov. 24th deploy", True), ("at 2200", True),
        ("this evening", True), ("2026/11/24 22:00", True), ("in 3 regions", False), ("from 3 hosts", False),
        ("in prod we deploy", False), ("starting the job", False), ("2 h2o servers", False),
        ("2 hosts are down", False), ("fix it at 22:00", False), ("maybe 5", False), ("march on", False),
    ],
)  # fmt: skip
def test_what_may_be_a_time_is_asked_about(text: str, *, is_like: bool) -> None:
    assert begins_like_time(text) is is_like


@pytest.mark.parametrize(
    ("text", "is_like"),
    [
        ("tomorrow's release", True), ("CET deploy", True), ("(PST) deploy", True), ("UTC+2 deploy", True),
        ("+02:00 deploy", True), ("Europe/Berlin deploy", True), ("our time, deploy", True), ("- 23:00 deploy", True),
        ("until 23:00 deploy", True), ("for 3h deploy", True), ("deploy for 3h", False), ("etcd update", False),
        ("for the release", False), ("to deploy", False), ("prod/eu deploy", False), ("- deploy", False),
    ],
)  # fmt: skip
def test_word_after_a_time_may_belong_to_it(text: str, *, is_like: bool) -> None:
    assert begins_like_time(text, is_after_time=True) is is_like


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        (
            "2027-03-28 02:30",
            "02:30 on 2027-03-28 doesn't exist in Europe/Berlin: the clocks go forward",
            "Write 03:30",
        ),
        (
            "2027-10-31 02:30",
            "comes twice in Europe/Berlin",
            "2027-10-31 00:30 UTC for the first, 2027-10-31 01:30 UTC",
        ),
        ("at 25:00", "'at 25:00' isn't a date and time", "Write it like tomorrow 22:00"),
        ("tomorrow 13pm", "isn't a date and time", "Write it like"),
        ("2026-02-30 10:00", "isn't a date and time", "Write it like"),
        ("0001-01-01 00:00", "isn't a date and time", "Write it like"),
        ("soon", "'soon' isn't a time", "Write it like"),
        ("tomorrow 22:00 or so", "isn't a time", "Write it like"),
    ],
)
def test_time_that_is_none_says_how_to_write_it(text: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_time(text).resolve(BERLIN, NOW)
    assert refused.value.field == "starts_at"
    assert problem in refused.value.problem
    assert fix in refused.value.fix


def test_fixes_of_daylight_saving_can_be_written() -> None:
    for text in ("2027-10-31 00:30 UTC", "2027-10-31 01:30 UTC", "2027-03-28 03:30"):
        assert read_time(text).resolve(BERLIN, NOW) > NOW


def test_time_without_a_zone_has_to_be_in_utc() -> None:
    with pytest.raises(InvalidInput, match="your time zone isn't known here") as refused:
        read_time("22:00").resolve(None, NOW)
    assert refused.value.fix == "Write it in UTC, for example 2026-11-23 22:00 UTC."
    assert read_time("2026-11-23 22:00 UTC").resolve(None, NOW) == datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


BEGIN, END = NOW.replace(tzinfo=None), NOW.replace(tzinfo=None, year=2030)


@given(st.datetimes(BEGIN, END), st.sampled_from([BERLIN, ZoneInfo("America/New_York")]))
def test_resolved_moment_shows_what_was_written(local: datetime, zone: ZoneInfo) -> None:
    written = f"{local:%Y-%m-%d %H:%M}"
    offsets = {local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    if len(offsets) == 1:
        assert f"{read_time(written).resolve(zone, NOW).astimezone(zone):%Y-%m-%d %H:%M}" == written
    else:
        with pytest.raises(InvalidInput, match=r"doesn't exist|comes twice"):
            read_time(written).resolve(zone, NOW)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 10_000))
def test_time_of_day_is_the_next_one(hour: int, minute: int, later: int) -> None:
    now = NOW + timedelta(minutes=later)
    moment = WrittenTime("", hour, minute).resolve(UTC, now)
    assert now < moment <= now + timedelta(days=1)


WORDS: Final = st.sampled_from(
    [
        "tomorrow",
        "at",
        "22:00",
        "monday",
        "on",
        "2026-11-24",
        "10",
        "pm",
        "UTC",
        "deploy",
        "the",
        "fix,",
        "today",
        "9am",
    ]
)


@given(st.lists(WORDS, max_size=7))
def test_no_word_after_a_time_is_lost(words: list[str]) -> None:
    text = " ".join(words)
    taken = take_time(text)
    if taken is not None:
        written, rest = taken
        assert f"{written.written} {rest}".replace(",", "").split() == text.replace(",", "").split()
        assert ":" in written.written or "m" in written.written.lower()

"""A calendar feed over HTTP: fetched once a minute, read only when it changed, and in a process that always ends."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.policy.on_call_config import OnCallConfig
from core.schedules import ical_process
from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.schedules.ical import FEED, MAX_FEED_BYTES, IcalSource
from core.schedules.ical_process import CalendarFormat, CalendarReport, CalendarTask, read_apart, read_here
from core.schedules.opening import open_source
from core.schedules.web import ScheduleWeb
from tests.core.schedules.benches import SAM
from tests.harness.calendar_feed import SECRET_PATH, FakeFeed, calendar, event, times
from tests.harness.schedule_server import ServedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.clock import FrozenClock

T0 = datetime(2026, 1, 15, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NEVER = calendar(
    event(str(number), *times(T0, T0 + HOUR), "SUMMARY:Sam", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")
    for number in range(100)
)


@pytest.fixture
def feed() -> Iterator[FakeFeed]:
    with FakeFeed() as fake:
        yield fake


class CountedReading:
    """Reads a calendar here, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, task: CalendarTask, body: bytes) -> CalendarReport:
        self.count += 1
        return read_here(task, body)


def _source(feed: FakeFeed, clock: FrozenClock, reading: CountedReading) -> IcalSource:
    return IcalSource("127.0.0.1", f"{feed.url}{SECRET_PATH}", CalendarFormat(), ScheduleWeb(FEED), clock, reading)


def test_policys_feed_is_read_in_a_process_of_its_own(feed: FakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHT_FEED", f"{feed.url}{SECRET_PATH}")
    feed.events.append(event("1", *times(T0, T0 + HOUR), "SUMMARY:On call: Sam Example"))
    config = {"ical": {"url": "env:NIGHT_FEED", "name_format": "On call: {name}"}}
    source = open_source("night", OnCallConfig.model_validate(config))

    (shift,) = source.find_shifts(T0, T0 + HOUR)

    assert (shift.person.name, shift.starts_at, source.schedule) == ("Sam Example", T0, "env:NIGHT_FEED")


@pytest.mark.parametrize(("says", "unchanged"), [("etag", 2), ("last-modified", 2), ("nothing", 0)])
def test_feed_that_did_not_change_is_read_once(feed: FakeFeed, clock: FrozenClock, says: str, unchanged: int) -> None:
    feed.says = says
    reading = CountedReading()
    source = _source(feed, clock, reading)
    feed.add(SAM, T0, T0 + HOUR)

    for minute in range(3):
        assert len(source.find_shifts(T0 + minute * timedelta(minutes=1), T0 + DAY)) == 1

    assert (len(feed.calls), feed.unchanged, reading.count) == (3, unchanged, 1)


def test_new_stamp_is_no_change_and_a_new_event_is_one(feed: FakeFeed, clock: FrozenClock) -> None:
    reading = CountedReading()
    source = _source(feed, clock, reading)
    feed.add(SAM, T0, T0 + HOUR)
    source.find_shifts(T0, T0 + DAY)

    feed.events[0] = feed.events[0].replace("DTSTAMP:20260101", "DTSTAMP:20260102")
    source.find_shifts(T0, T0 + DAY)
    assert reading.count == 1

    feed.add(SAM, T0 + 2 * HOUR, T0 + 3 * HOUR)
    assert len(source.find_shifts(T0, T0 + DAY)) == 2


def test_time_beyond_what_was_read_is_read_anew(feed: FakeFeed, clock: FrozenClock) -> None:
    source = _source(feed, clock, CountedReading())
    feed.add(SAM, T0 + 30 * DAY, T0 + 31 * DAY)

    assert source.find_shifts(T0, T0 + DAY) == ()
    assert len(source.find_shifts(T0 + 30 * DAY, T0 + 31 * DAY)) == 1


def test_feed_that_fails_gives_no_older_answer(feed: FakeFeed, clock: FrozenClock) -> None:
    source = _source(feed, clock, CountedReading())
    feed.add(SAM, T0, T0 + HOUR)
    source.find_shifts(T0, T0 + DAY)
    feed.faults.append(ServedAnswer(503))

    with pytest.raises(ScheduleUnavailable):
        source.find_shifts(T0, T0 + DAY)


def test_huge_feed_is_not_taken_in(feed: FakeFeed, clock: FrozenClock) -> None:
    reading = CountedReading()
    feed.faults.append(ServedAnswer(200, b"BEGIN:VCALENDAR\r\n" + b"x" * MAX_FEED_BYTES))

    with pytest.raises(ScheduleUnavailable, match="too long"):
        _source(feed, clock, reading).find_shifts(T0, T0 + DAY)

    assert reading.count == 0


def test_webcal_address_says_what_to_write(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHT_FEED", "webcal://example.com/secret.ics")
    source = IcalSource("night", "env:NIGHT_FEED", CalendarFormat(), ScheduleWeb(FEED), clock)

    with pytest.raises(ScheduleRefused, match="with https:// instead of webcal://") as refused:
        source.check()

    assert "secret.ics" not in str(refused.value)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418])
def test_feed_that_is_refused_says_what_to_do(feed: FakeFeed, clock: FrozenClock, status: int) -> None:
    feed.faults.append(ServedAnswer(status))

    with pytest.raises(ScheduleRefused) as refused:
        _source(feed, clock, CountedReading()).check()

    assert refused.value.fix.endswith(".")


def test_rule_that_never_fits_ends_with_its_process() -> None:
    with pytest.raises(ScheduleRefused, match="more time or memory"):
        read_apart(CalendarTask(since=T0, until=T0 + DAY, cpu_seconds=1), NEVER)


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        ("sys.exit(OUT_OF_MEMORY)", "more time or memory"),
        ("1 / 0", "failed with exit code 1"),
        ("limit_process(5); bytearray(2 * MEMORY_BYTES)", "failed with exit code 1"),
    ],
)
def test_process_that_failed_says_why(monkeypatch: pytest.MonkeyPatch, act: str, problem: str) -> None:
    loaded = "import sys; sys.path[:] = sys.argv[1:]; from core.schedules.ical_process import *"
    monkeypatch.setattr(ical_process, "START", f"{loaded}; {act}")

    with pytest.raises(ScheduleRefused, match=problem):
        read_apart(CalendarTask(since=T0, until=T0 + DAY), b"")


def test_process_that_does_not_end_in_time_is_killed() -> None:
    with pytest.raises(ScheduleUnavailable, match="takes too long"):
        read_apart(CalendarTask(since=T0, until=T0 + DAY), NEVER, wait_seconds=0.1)


def test_process_uses_no_more_than_the_machine_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    score = tmp_path / "oom_score_adj"
    loaded = "import sys; sys.path[:] = sys.argv[1:]; import core.schedules.ical_process as p, resource as r"
    limits = f"p._OOM_SCORE = p.Path({str(score)!r}); r.setrlimit(r.RLIMIT_CPU, (9, 9)); p.limit_process(20)"
    shown = "print(p.CalendarReport(title=str(r.getrlimit(r.RLIMIT_CPU))).model_dump_json())"
    monkeypatch.setattr(ical_process, "START", f"{loaded}; {limits}; {shown}")
    assert read_apart(CalendarTask(since=T0, until=T0 + DAY), b"").title == "(9, 9)"
    assert score.read_text(encoding="ascii") == "1000"


def test_machine_without_processes_reads_no_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ScheduleUnavailable, match=r"no process \(FileNotFoundError\)"):
        read_apart(CalendarTask(since=T0, until=T0 + DAY), b"")


def test_process_gets_none_of_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    shown = "import json, os; print(json.dumps({'title': ' '.join(os.environ)}))"
    monkeypatch.setattr(ical_process, "START", shown)

    assert "SLACK_BOT_TOKEN" not in read_apart(CalendarTask(since=T0, until=T0 + DAY), b"").title


def test_missing_libraries_say_what_to_install(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "recurring_ical_events", None)
    source = IcalSource("night", "https://example.com/feed.ics", CalendarFormat(), ScheduleWeb(FEED), clock)

    with pytest.raises(ScheduleRefused, match=r"pip install 'countersign\[ical\]'"):
        source.check()

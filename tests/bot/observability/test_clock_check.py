"""A clock that is compared with Slack's: when it counts as off, and when it doesn't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bot.observability.clock_check import ComparedClock
from core.clock import is_trusted
from tests.harness.clock import FrozenClock

NOW = datetime(2026, 1, 15, 12, 0, 0, 500_000, tzinfo=UTC)


class Answers:
    """Slack's answers to a machine whose clock is ahead by so many seconds."""

    def __init__(self) -> None:
        self.clock = ComparedClock(FrozenClock(NOW))

    def come(self, *ahead: float, seconds: float = 0.0) -> ComparedClock:
        for each in ahead:
            answered = NOW - timedelta(seconds=each)
            self.clock.compare(
                format_datetime(answered.replace(microsecond=0), usegmt=True), NOW - timedelta(seconds=seconds)
            )
        return self.clock


@pytest.mark.parametrize("ahead", [0, 3, -3, 5, -5])
def test_clock_within_five_seconds_is_trusted(ahead: float) -> None:
    clock = Answers().come(*[ahead] * 5)
    assert not clock.is_off
    assert is_trusted(clock)


@pytest.mark.parametrize("ahead", [8, -8, 3600, -3600])
def test_clock_that_is_off_says_by_how_much(ahead: float, caplog: pytest.LogCaptureFixture) -> None:
    clock = Answers().come(*[ahead] * 5)
    assert clock.is_off
    assert not is_trusted(clock)
    assert clock.offset_seconds == pytest.approx(ahead, abs=1)
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert ("ahead of Slack's" if ahead > 0 else "behind Slack's") in record.getMessage()
    assert "Synchronize the clock with NTP" in record.getMessage()


def test_slow_answers_make_no_clock_look_wrong() -> None:
    # Slack read its clock somewhere within these 30 seconds.
    assert not Answers().come(29, 15, 1, 20, 10, seconds=30).is_off


def test_one_or_two_odd_answers_change_nothing() -> None:
    answers = Answers()
    assert not answers.come(900, 900).is_off
    assert not answers.come(0, 0, 0).is_off
    assert not answers.come(900).is_off


def test_clock_that_was_set_right_is_trusted_again() -> None:
    answers = Answers()
    assert answers.come(60, 60, 60, 60, 60).is_off
    assert not answers.come(0, 0, 0).is_off


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Jan 2026 12:00:00 GMT", "0" * 5000])
def test_date_that_cannot_be_read_is_ignored(date: str | None) -> None:
    clock = ComparedClock(FrozenClock(NOW))
    for _ in range(5):
        clock.compare(date, NOW)
    assert not clock.is_known
    assert not clock.is_off

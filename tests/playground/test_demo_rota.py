"""The pretend rota: who is on call when, and what is said while it can't be reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from core.actor import UserId
from core.schedules.base import ScheduleUnavailable
from playground.demo_rota import DemoRota
from playground.demo_schedule import DemoSchedule, DemoSchedules
from tests.harness.clock import FrozenClock

SAM, AIKO = UserId("U0SAM"), UserId("U0AIKO")
BEGAN = datetime(2026, 11, 22, 21, 47, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROTA = DemoRota("Primary", (SAM, AIKO), 12 * HOUR, BEGAN)


def _on_call_at(moment: datetime) -> UserId:
    (shift,) = ROTA.find_shifts(moment, moment + timedelta(microseconds=1))
    return shift.person


def test_first_person_is_on_call_when_it_begins_and_for_hours() -> None:
    assert _on_call_at(BEGAN) == SAM
    assert _on_call_at(BEGAN + 7 * HOUR) == SAM
    assert _on_call_at(BEGAN + 9 * HOUR) == AIKO


def test_shift_ends_at_the_instant_at_which_the_next_begins() -> None:
    (now, following) = ROTA.find_shifts(BEGAN, BEGAN + 12 * HOUR)
    assert (now.person, following.person) == (SAM, AIKO)
    assert now.ends_at == following.starts_at == datetime(2026, 11, 23, 5, tzinfo=UTC)
    assert _on_call_at(now.ends_at - timedelta(microseconds=1)) == SAM
    assert _on_call_at(now.ends_at) == AIKO


def test_rota_has_no_gap_before_or_after_it_begins() -> None:
    shifts = ROTA.find_shifts(BEGAN - 100 * HOUR, BEGAN + 100 * HOUR)
    assert all(left.ends_at == right.starts_at for left, right in pairwise(shifts))
    assert {left.person == right.person for left, right in pairwise(shifts)} == {False}
    assert shifts[0].starts_at <= BEGAN - 100 * HOUR
    assert shifts[-1].ends_at >= BEGAN + 100 * HOUR


def test_unreachable_schedule_says_nothing_else(clock: FrozenClock) -> None:
    schedules = DemoSchedules(clock)
    schedule = DemoSchedule(ROTA, schedules)
    seen: list[bool] = []
    schedules.watch(lambda: seen.append(schedules.state.is_away))
    assert schedule.find_shifts(BEGAN, BEGAN + HOUR)[0].person.slack_id == SAM
    answered = schedules.state.answered_at["Primary"]

    schedules.set_away(is_away=True)
    clock.advance(HOUR)
    for ask in (lambda: schedule.find_shifts(BEGAN, BEGAN + HOUR), schedule.check):
        with pytest.raises(ScheduleUnavailable):
            ask()
    assert schedules.state.answered_at["Primary"] == answered
    assert schedules.state.asked_at["Primary"] == clock.now()
    assert seen == [False, True, True, True]

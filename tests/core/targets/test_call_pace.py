"""The token bucket that keeps this process within what a target allows."""

from __future__ import annotations

import threading
from datetime import timedelta

from core.targets.call_pace import CallPace
from tests.harness.clock import FrozenClock


def test_burst_is_free_and_then_one_share_at_a_time(clock: FrozenClock) -> None:
    slept: list[float] = []
    pace = CallPace(4, burst=2, sleep=slept.append, elapsed=lambda: clock.now().timestamp())

    assert [pace.wait() for _ in range(4)] == [None] * 4
    assert [round(each, 3) for each in slept] == [0.25, 0.5]


def test_who_would_wait_too_long_is_told_how_long(clock: FrozenClock) -> None:
    pace = CallPace(1, burst=1, max_wait_seconds=2, sleep=lambda _: None, elapsed=lambda: clock.now().timestamp())
    assert [pace.wait() for _ in range(3)] == [None] * 3

    refused = pace.wait()
    assert refused is not None
    assert round(refused, 3) == 3
    # Being told costs nothing: the next one is told the same, and after that time, one may call.
    assert pace.wait() == refused
    clock.advance(timedelta(seconds=3))
    assert pace.wait() is None


def test_idle_time_is_not_saved_up(clock: FrozenClock) -> None:
    slept: list[float] = []
    pace = CallPace(4, burst=2, sleep=slept.append, elapsed=lambda: clock.now().timestamp())
    pace.wait()
    clock.advance(timedelta(hours=1))

    for _ in range(3):
        pace.wait()
    assert len(slept) == 1


def test_threads_share_one_bucket(clock: FrozenClock) -> None:
    slept: list[float] = []
    pace = CallPace(10, burst=1, max_wait_seconds=100, sleep=slept.append, elapsed=lambda: clock.now().timestamp())
    threads = [threading.Thread(target=lambda: [pace.wait() for _ in range(25)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    # A hundred calls, each with a moment of its own.
    assert len(slept) == 99
    assert len({round(each, 3) for each in slept}) == 99

"""The rests of loops that are nudged: short when little is to be read, longer when a pass takes long."""

from __future__ import annotations

import threading

import pytest

from bot.background.loops import MAX_REST_SECONDS, Nudge


class Stopping(threading.Event):
    """Notes how long it was waited for, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


@pytest.mark.parametrize(
    ("pass_seconds", "rest_seconds"), [(0.001, 0.01), (0.02, 0.04), (0.2, 0.4), (30.0, MAX_REST_SECONDS)]
)
def test_pass_takes_a_third_of_the_time_at_most(pass_seconds: float, rest_seconds: float) -> None:
    stopping, times = Stopping(), iter([0.0, pass_seconds, 40.0, 40.0 + pass_seconds, 80.0])
    nudge = Nudge(stopping, join_seconds=0.01, monotonic=lambda: next(times))
    for _ in range(2):
        nudge.give()
        nudge.rest(0.0)
    assert stopping.waits == [pytest.approx(rest_seconds)] * 2

"""A pager that hangs holds up few of those who deliver, and none of them for long."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import DeliveryFailed
from core.pagers.gate import MAX_CALLS, REST_SECONDS, SLOW_SECONDS, PagerGate


class Stopwatch:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at

    def fail_after(self, seconds: float) -> None:
        self.at += seconds
        raise DeliveryFailed("no answer")


@pytest.mark.parametrize(("seconds", "is_called"), [(SLOW_SECONDS, False), (SLOW_SECONDS - 1, True)])
def test_pager_that_hung_rests_for_a_while(seconds: float, *, is_called: bool) -> None:
    stopwatch, called = Stopwatch(), list[str]()
    gate = PagerGate(stopwatch)
    with pytest.raises(DeliveryFailed, match="no answer"):
        gate.call(lambda: stopwatch.fail_after(seconds))
    if is_called:
        gate.call(lambda: called.append("at once"))
    else:
        with pytest.raises(DeliveryFailed, match="a moment ago"):
            gate.call(lambda: called.append("at once"))
    stopwatch.at += REST_SECONDS
    gate.call(lambda: called.append("later"))
    assert called == (["at once", "later"] if is_called else ["later"])


def test_few_wait_for_a_pager_that_hangs() -> None:
    gate, end, inside = PagerGate(patience_seconds=0), threading.Event(), threading.Barrier(MAX_CALLS + 1)

    def hang() -> None:
        inside.wait()
        end.wait()

    with ThreadPoolExecutor(MAX_CALLS) as threads:
        hanging = [threads.submit(gate.call, hang) for _ in range(MAX_CALLS)]
        inside.wait()
        with pytest.raises(DeliveryFailed, match="slow"):
            gate.call(lambda: None)
        end.set()
        assert [each.result() for each in hanging] == [None] * MAX_CALLS
    gate.call(lambda: None)

"""The threads of look-ups: so many at once, and none after the end."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import pytest

from core.schedules.lookup_threads import LookupThreads

WAIT = 30.0


def test_look_ups_wait_for_their_turn_and_end_with_the_rest() -> None:
    threads, is_inside, goes_on = LookupThreads(1), threading.Event(), threading.Event()

    def hang() -> str:
        is_inside.set()
        goes_on.wait(WAIT)
        return "found"

    first = threads.submit(hang)
    assert is_inside.wait(WAIT)
    second = threads.submit(hang)
    assert (first.running(), second.running()) == (True, False)
    threads.shutdown()
    goes_on.set()
    wait([first, second], timeout=WAIT)
    assert (first.result(), second.cancelled()) == ("found", True)
    with pytest.raises(RuntimeError):
        threads.submit(hang)

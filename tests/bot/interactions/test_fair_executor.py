"""Threads shared fairly: one person's backlog delays nobody else, and what finds no room is said once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.interactions.fair_executor import FairExecutor, LaneBounds, Task
from bot.interactions.lanes import Lanes
from bot.observability.metrics import Lane

ONE_THREAD = LaneBounds(workers=1, max_running_each=1, max_each=10, max_total=100)


class Log:
    """Tasks that note their names when they run."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._lock = threading.Lock()

    def task(self, name: str) -> Task:
        def run() -> None:
            with self._lock:
                self.done.append(name)

        return run


@contextmanager
def busy(executor: FairExecutor, *people: str) -> Iterator[None]:
    """A thread for each of these people is at work until the block ends."""
    released = threading.Event()
    for person in people:
        started = threading.Event()

        def hold(started: threading.Event = started) -> None:
            started.set()
            released.wait()

        assert executor.submit(person, hold)
        started.wait()
    try:
        yield
    finally:
        released.set()


def test_people_take_turns_whoever_has_more_waiting() -> None:
    executor, log = FairExecutor("test", ONE_THREAD), Log()
    with busy(executor, "somebody"):
        for number in range(9):
            executor.submit("jon", log.task(f"jon {number}"))
        executor.submit("sam", log.task("sam 0"))
        executor.submit("sam", log.task("sam 1"))
    executor.close()

    assert log.done[:5] == ["jon 0", "sam 0", "jon 1", "sam 1", "jon 2"]
    assert [each for each in log.done if each.startswith("jon")] == [f"jon {each}" for each in range(9)]


def test_one_person_leaves_threads_for_others() -> None:
    bounds = LaneBounds(workers=3, max_running_each=2, max_each=40, max_total=100)
    executor, log, ran = FairExecutor("test", bounds), Log(), threading.Event()
    with busy(executor, "jon", "jon"):
        for number in range(38):
            executor.submit("jon", log.task(f"jon {number}"))
        executor.submit("sam", ran.set)
        # Nothing of Jon's ends before this: it runs on the thread that he can't have.
        assert ran.wait(60)
        assert log.done == []
    executor.close()
    assert len(log.done) == 38


def test_what_finds_no_room_is_refused_and_said_once() -> None:
    bounds = LaneBounds(workers=1, max_running_each=1, max_each=3, max_total=100)
    executor, log = FairExecutor("test", bounds), Log()
    with busy(executor, "jon"):
        taken = [
            executor.submit("jon", log.task(f"reply {each}"), if_full=log.task(f"left out {each}")) for each in range(9)
        ]
        assert executor.submit("sam", log.task("sam"))
    executor.close()

    assert taken == [True, True] + [False] * 7
    assert log.done == ["sam", "reply 0", "reply 1", "left out 8"]


def test_total_bounds_all_people_together() -> None:
    bounds = LaneBounds(workers=1, max_running_each=1, max_each=3, max_total=4)
    executor, log = FairExecutor("test", bounds), Log()
    with busy(executor, "somebody"):
        taken = [executor.submit(f"person {each}", log.task(str(each))) for each in range(9)]
        assert executor.waiting == 3
    executor.close()

    assert taken == [True] * 3 + [False] * 6
    assert log.done == ["0", "1", "2"]


def test_later_task_with_a_key_replaces_the_one_that_waits() -> None:
    executor, log = FairExecutor("test", ONE_THREAD), Log()
    with busy(executor, "jon"):
        for number in range(40):
            assert executor.submit("jon", log.task(f"home {number}"), key="jon")
    with busy(executor, "jon"):
        executor.submit("jon", log.task("later"), key="jon")
    executor.close()

    assert log.done == ["home 39", "later"]


def test_failed_task_keeps_no_place_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    executor, log = FairExecutor("test", ONE_THREAD), Log()

    def broken() -> None:
        raise RuntimeError("a bug")

    executor.submit("jon", broken)
    executor.submit("jon", log.task("next"))
    executor.close()

    assert log.done == ["next"]
    assert "a bug" in caplog.text


def test_closed_executor_takes_nothing_more() -> None:
    executor, log = FairExecutor("test", ONE_THREAD), Log()
    executor.submit("jon", log.task("before"))
    executor.close()
    executor.close()

    assert not executor.submit("jon", log.task("after"), if_full=log.task("left out"))
    assert log.done == ["before"]


@settings(deadline=None, max_examples=40)
@given(
    tasks=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "x", "y"])), max_size=40),
    workers=st.integers(1, 3),
    most=st.integers(1, 5),
)
def test_everything_taken_runs_once_and_nobody_exceeds_bounds(
    tasks: list[tuple[str, str | None]], workers: int, most: int
) -> None:
    executor = FairExecutor("test", LaneBounds(workers, 1, most, 12))
    lock, running, done = threading.Lock(), set[str](), list[int]()

    def task(person: str, number: int) -> Task:
        def run() -> None:
            with lock:
                assert person not in running
                running.add(person)
            with lock:
                running.remove(person)
                done.append(number)

        return run

    taken = {
        number
        for number, (person, key) in enumerate(tasks)
        if executor.submit(person, task(person, number), key=key and person + key)
    }
    executor.close()

    assert len(done) == len(set(done))
    assert set(done) <= taken
    assert {each for each in taken if tasks[each][1] is None} <= set(done)


def test_lanes_share_no_thread_and_count_what_they_refuse() -> None:
    refused: list[Lane] = []
    lanes, released, ran = Lanes(on_refused=refused.append), threading.Event(), list[Lane]()
    others = [lane for lane in Lane if lane is not Lane.EMERGENCY_FORM]

    def hold() -> None:
        released.wait()

    def open_form() -> None:
        ran.append(Lane.EMERGENCY_FORM)
        released.set()

    for lane in others:
        while lanes.submit(lane, "U0JON", hold):
            pass
    assert lanes.submit(Lane.EMERGENCY_FORM, "U0JON", open_form)
    lanes.close()

    assert ran == [Lane.EMERGENCY_FORM]
    assert refused == others

"""Every click gets one true answer: the outcome, or that it is not known yet, or that nothing was begun."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bot.interactions.decision_queue import TIMEOUT_SECONDS, Decided, DecisionQueue, Overloaded, Pending
from bot.observability.metrics import AnswerKind


@pytest.fixture
def queue() -> Iterator[DecisionQueue]:
    queue = DecisionQueue(workers=2, max_waiting=3)
    yield queue
    queue.close()


def never(outcome: str) -> None:
    pytest.fail(f"{outcome} was told late")


def long_ago() -> float:
    """A click whose patience is used up already, so that no test has to wait."""
    return time.monotonic() - TIMEOUT_SECONDS


def test_outcome_known_in_time_is_the_answer(queue: DecisionQueue) -> None:
    assert queue.decide(lambda: "approved", received_at=time.monotonic() + 60, on_late=never) == Decided("approved")


def test_late_outcome_is_reported_exactly_once(queue: DecisionQueue) -> None:
    released, told, outcomes = threading.Event(), threading.Event(), list[str]()

    def slow() -> str:
        released.wait()
        return "approved"

    def tell(outcome: str) -> None:
        outcomes.append(outcome)
        told.set()

    assert queue.decide(slow, received_at=long_ago(), on_late=tell) == Pending()
    released.set()
    told.wait()
    queue.close()
    assert outcomes == ["approved"]


def test_full_queue_is_overloaded_and_begins_nothing(queue: DecisionQueue) -> None:
    released, begun = threading.Event(), list[int]()

    def slow() -> str:
        released.wait()
        return "approved"

    for _ in range(3):
        queue.decide(slow, received_at=long_ago(), on_late=lambda _: None)
    assert queue.decide(lambda: begun.append(1), received_at=long_ago(), on_late=lambda _: None) == Overloaded()
    released.set()
    queue.close()
    assert begun == []


def test_room_comes_back_when_decisions_end(queue: DecisionQueue) -> None:
    for _ in range(20):
        assert queue.decide(lambda: 1, received_at=time.monotonic() + 60, on_late=lambda _: None) == Decided(1)


def test_closing_finishes_what_was_acknowledged() -> None:
    queue, released, done = DecisionQueue(workers=1), threading.Event(), list[int]()

    def slow() -> None:
        released.wait()
        done.append(1)

    queue.decide(slow, received_at=long_ago(), on_late=lambda _: None)
    queue.decide(slow, received_at=long_ago(), on_late=lambda _: None)
    released.set()
    queue.close()
    assert done == [1, 1]


def test_queue_reports_what_each_interaction_was_told() -> None:
    heard: list[object] = []
    released = threading.Event()
    queue = DecisionQueue(workers=1, max_waiting=1, on_answer=heard.append)
    queue.decide(released.wait, received_at=long_ago(), on_late=lambda _: None)
    queue.decide(lambda: True, received_at=long_ago(), on_late=lambda _: None)
    released.set()
    queue.close()

    assert heard == [AnswerKind.NOT_RECORDED_YET, AnswerKind.TOO_BUSY]

"""Every click gets one true answer: the outcome, or that it is not known yet, or that nothing was begun."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bot.interactions.decision_queue import TIMEOUT_SECONDS, Decided, DecisionQueue, Overloaded, Pending
from bot.interactions.fair_executor import LaneBounds
from bot.interactions.lanes import BOUNDS, Lanes
from bot.observability.metrics import AnswerKind, Lane
from bot.slack.directory import ANSWER_TIMEOUT_SECONDS
from core.schedules.watched import PATIENCE_SECONDS
from localslack.limits import ACKNOWLEDGE_SECONDS


def some_lanes(workers: int = 2, max_total: int = 3) -> Lanes:
    """Lanes in which one person may have all of the few places for decisions."""
    bounds = LaneBounds(workers=workers, max_running_each=workers, max_each=max_total, max_total=max_total)
    return Lanes(bounds={**BOUNDS, Lane.DECISION: bounds})


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = some_lanes()
    yield lanes
    lanes.close()


@pytest.fixture
def queue(lanes: Lanes) -> DecisionQueue:
    return DecisionQueue(lanes)


JON, SAM = "U0JON", "U0SAM"


def never(outcome: str) -> None:
    pytest.fail(f"{outcome} was told late")


def long_ago() -> float:
    """A click whose patience is used up already, so that no test has to wait."""
    return time.monotonic() - TIMEOUT_SECONDS


def test_limits_of_a_click_end_before_slacks_three_seconds() -> None:
    # Questions to Slack and to schedules are asked within the decision's time, and leave some for the store.
    assert ANSWER_TIMEOUT_SECONDS < TIMEOUT_SECONDS < ACKNOWLEDGE_SECONDS
    assert PATIENCE_SECONDS < TIMEOUT_SECONDS


def test_outcome_known_in_time_is_the_answer(queue: DecisionQueue) -> None:
    assert queue.decide(lambda: "approved", person=JON, received_at=time.monotonic() + 60, on_late=never) == Decided(
        "approved"
    )


def test_late_outcome_is_reported_exactly_once(queue: DecisionQueue, lanes: Lanes) -> None:
    released, told, outcomes = threading.Event(), threading.Event(), list[str]()

    def slow() -> str:
        released.wait()
        return "approved"

    def tell(outcome: str) -> None:
        outcomes.append(outcome)
        told.set()

    assert queue.decide(slow, person=JON, received_at=long_ago(), on_late=tell) == Pending()
    released.set()
    told.wait()
    lanes.close()
    assert outcomes == ["approved"]


def test_full_queue_is_overloaded_and_begins_nothing(queue: DecisionQueue, lanes: Lanes) -> None:
    released, begun = threading.Event(), list[int]()

    def slow() -> str:
        released.wait()
        return "approved"

    for _ in range(3):
        queue.decide(slow, person=JON, received_at=long_ago(), on_late=lambda _: None)
    assert (
        queue.decide(lambda: begun.append(1), person=JON, received_at=long_ago(), on_late=lambda _: None)
        == Overloaded()
    )
    released.set()
    lanes.close()
    assert begun == []


def test_room_comes_back_when_decisions_end(queue: DecisionQueue) -> None:
    for _ in range(20):
        assert queue.decide(
            lambda: 1, person=JON, received_at=time.monotonic() + 60, on_late=lambda _: None
        ) == Decided(1)


def test_closing_finishes_what_was_acknowledged() -> None:
    lanes, released, done = some_lanes(workers=1), threading.Event(), list[int]()
    queue = DecisionQueue(lanes)

    def slow() -> None:
        released.wait()
        done.append(1)

    queue.decide(slow, person=JON, received_at=long_ago(), on_late=lambda _: None)
    queue.decide(slow, person=JON, received_at=long_ago(), on_late=lambda _: None)
    released.set()
    lanes.close()
    assert done == [1, 1]


def test_queue_reports_what_each_interaction_was_told() -> None:
    heard: list[object] = []
    released = threading.Event()
    lanes = some_lanes(workers=1, max_total=1)
    queue = DecisionQueue(lanes, on_answer=heard.append)
    queue.decide(released.wait, person=JON, received_at=long_ago(), on_late=lambda _: None)
    queue.decide(lambda: True, person=JON, received_at=long_ago(), on_late=lambda _: None)
    released.set()
    lanes.close()

    assert heard == [AnswerKind.NOT_RECORDED_YET, AnswerKind.TOO_BUSY]


def test_one_person_fills_neither_the_queue_nor_the_dispatcher() -> None:
    """Each click of theirs that has no place is answered at once: it holds no thread of the transport."""
    lanes, released = Lanes(), threading.Event()
    queue = DecisionQueue(lanes)
    most = BOUNDS[Lane.DECISION].max_each

    def click(_: int) -> object:
        return queue.decide(released.wait, person=JON, received_at=long_ago(), on_late=lambda _: None)

    answers = [click(each) for each in range(most + 40)]
    other = queue.decide(lambda: "approved", person=SAM, received_at=time.monotonic() + 60, on_late=never)
    released.set()
    lanes.close()

    assert other == Decided("approved")
    assert answers == [Pending()] * most + [Overloaded()] * 40
    assert most < BOUNDS[Lane.DECISION].max_total / 10


def test_emergencies_have_places_that_nothing_else_can_take() -> None:
    lanes, released = Lanes(max_decisions=40), threading.Event()
    queue = DecisionQueue(lanes)
    for each in range(60):
        queue.decide(released.wait, person=f"U{each:03}", received_at=long_ago(), on_late=lambda _: None)
    full = queue.decide(lambda: 1, person=SAM, received_at=time.monotonic() + 60, on_late=lambda _: None)
    emergency = queue.decide(
        lambda: "declared", person=SAM, is_emergency=True, received_at=time.monotonic() + 60, on_late=never
    )
    released.set()
    lanes.close()

    assert (full, emergency) == (Overloaded(), Decided("declared"))


def test_bug_in_a_decision_reaches_the_click_that_waits(caplog: pytest.LogCaptureFixture) -> None:
    lanes = Lanes()

    def broken() -> str:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        DecisionQueue(lanes).decide(broken, person=JON, received_at=time.monotonic() + 60, on_late=never)
    lanes.close()
    assert "a bug" in caplog.text

"""Commit first, then acknowledge: where an interaction becomes a decision within Slack's three seconds.

Invariant: "recorded" is said only after the commit. When the store hasn't answered in time, the acknowledgement says
that nothing is known yet, and the outcome follows later; when the queue is full, it says that nothing was recorded.
There is no third case.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, TypeVar

from bot.interactions.lanes import Lanes
from bot.observability.metrics import AnswerKind, Lane

T = TypeVar("T")
TIMEOUT_SECONDS: Final = 2.0
"""How long to wait for the store; the rest of Slack's three seconds is for the network."""


@dataclass(frozen=True, slots=True)
class Decided(Generic[T]):
    """The outcome was known in time."""

    kind: ClassVar = AnswerKind.OUTCOME

    outcome: T


@dataclass(frozen=True, slots=True)
class Pending:
    """The store hasn't answered; the outcome follows when it is known."""

    kind: ClassVar = AnswerKind.NOT_RECORDED_YET


@dataclass(frozen=True, slots=True)
class Overloaded:
    """There is no room for it, or none for more of this person's; nothing was started."""

    kind: ClassVar = AnswerKind.TOO_BUSY


class DecisionQueue:
    """Runs decisions in their lanes, so that a slow store can't keep interactions from being answered."""

    def __init__(self, lanes: Lanes, *, on_answer: Callable[[AnswerKind], None] = lambda _: None) -> None:
        """`on_answer` gets the kind of each answer, for metrics; it neither waits nor raises."""
        self._lanes = lanes
        self._on_answer = on_answer

    def decide(
        self,
        work: Callable[[], T],
        *,
        person: str,
        is_emergency: bool = False,
        received_at: float,
        on_late: Callable[[T], None],
    ) -> Decided[T] | Pending | Overloaded:
        """Run `work`, and wait for it until two seconds after `received_at`, by the monotonic clock.

        `work` turns what goes wrong into an outcome and does not raise. `on_late` gets the outcome that came too
        late for the acknowledgement, exactly once.
        """
        lane = Lane.EMERGENCY_DECISION if is_emergency else Lane.DECISION
        answer = self._decide(work, lane, person, received_at, on_late)
        self._on_answer(answer.kind)
        return answer

    def _decide(
        self, work: Callable[[], T], lane: Lane, person: str, received_at: float, on_late: Callable[[T], None]
    ) -> Decided[T] | Pending | Overloaded:
        future: Future[T] = Future()
        if not self._lanes.submit(lane, person, lambda: _run(work, future)):
            return Overloaded()
        try:
            return Decided(future.result(timeout=max(0.0, received_at + TIMEOUT_SECONDS - time.monotonic())))
        except NotYet:
            # A callback added to a finished future runs at once: the outcome is delivered either way.
            future.add_done_callback(lambda done: on_late(done.result()))
            return Pending()


def _run(work: Callable[[], T], future: Future[T]) -> None:
    try:
        outcome = work()
    except BaseException as error:
        future.set_exception(error)
        raise
    future.set_result(outcome)

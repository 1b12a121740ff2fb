"""Commit first, then acknowledge: where an interaction becomes a decision within Slack's three seconds.

Invariant: "recorded" is said only after the commit. When the store hasn't answered in time, the acknowledgement says
that nothing is known yet, and the outcome follows later; when the queue is full, it says that nothing was recorded.
There is no third case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, TypeVar

from bot.observability.metrics import AnswerKind

T = TypeVar("T")
TIMEOUT_SECONDS: Final = 2.0
"""How long to wait for the store; the rest of Slack's three seconds is for the network."""
WORKERS: Final = 32
MAX_WAITING: Final = 1000
"""At fifty clicks a second, the clicks of twenty seconds without a store."""


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
    """The queue is full; nothing was started."""

    kind: ClassVar = AnswerKind.TOO_BUSY


class DecisionQueue:
    """Runs decisions on its own threads, so that a slow store can't keep interactions from being answered."""

    def __init__(
        self,
        *,
        workers: int = WORKERS,
        max_waiting: int = MAX_WAITING,
        on_answer: Callable[[AnswerKind], None] = lambda _: None,
    ) -> None:
        """`on_answer` gets the kind of each answer, for metrics; it neither waits nor raises."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decision")
        self._room = threading.BoundedSemaphore(max_waiting)
        self._on_answer = on_answer

    def decide(
        self, work: Callable[[], T], *, received_at: float, on_late: Callable[[T], None]
    ) -> Decided[T] | Pending | Overloaded:
        """Run `work`, and wait for it until two seconds after `received_at`, by the monotonic clock.

        `work` turns what goes wrong into an outcome and does not raise. `on_late` gets the outcome that came too
        late for the acknowledgement, exactly once.
        """
        answer = self._decide(work, received_at, on_late)
        self._on_answer(answer.kind)
        return answer

    def close(self) -> None:
        """Finish what was acknowledged, then stop."""
        self._pool.shutdown(wait=True)

    def _decide(
        self, work: Callable[[], T], received_at: float, on_late: Callable[[T], None]
    ) -> Decided[T] | Pending | Overloaded:
        if not self._room.acquire(blocking=False):
            return Overloaded()
        future: Future[T] = self._pool.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        try:
            return Decided(future.result(timeout=max(0.0, received_at + TIMEOUT_SECONDS - time.monotonic())))
        except NotYet:
            # A callback added to a finished future runs at once: the outcome is delivered either way.
            future.add_done_callback(lambda done: on_late(done.result()))
            return Pending()

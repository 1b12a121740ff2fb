"""A lookup: questions to a slow service, each asked once for all who wait, its answer remembered for a while.

Invariant: no answer is served as current beyond `SERVED_FOR`, and what was forgotten never comes back from a question
that was asked before the forgetting. A failure is never remembered, and never replaces an answer.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar

from core.clock import Clock
from core.errors import CountersignError

Answer = TypeVar("Answer")
FRESH_FOR: Final = timedelta(minutes=5)
"""Served without asking again: the longest that a change in Slack goes unseen by the second click, events or none."""
SERVED_FOR: Final = timedelta(minutes=10)
"""Served while it is asked again, so that no click waits; beyond, nobody keeps a right because Slack is unreachable."""
SHOWN_FOR: Final = timedelta(days=1)
"""Good enough to fill a form, which grants nothing: whatever comes back from it is judged on a current answer."""
MAX_ANSWERS: Final = 5_000
"""The longest unused answer goes first; ten thousand people at work cost one question each now and then."""
MAX_LOOKUPS: Final = 500
"""How many questions may be open at once; the next ones are refused instead of queued for minutes."""

_LOG = logging.getLogger("countersign.directory")


class TooManyLookups(CountersignError):
    """Too much is being asked already, or the lookup was closed. Nothing was asked."""


@dataclass(frozen=True, slots=True)
class _Dated(Generic[Answer]):
    answer: Answer
    asked_at: datetime


class CoalescingCache(Generic[Answer]):
    """Answers by key. Safe for threads.

    `ask` gives the answer, or raises a CountersignError, which goes to whoever waits for it. It runs on the executor.
    """

    def __init__(
        self,
        ask: Callable[[str], Answer],
        executor: Executor,
        clock: Clock,
        *,
        max_answers: int = MAX_ANSWERS,
        max_lookups: int = MAX_LOOKUPS,
    ) -> None:
        self._ask = ask
        self._executor = executor
        self._clock = clock
        self._most_answers = max_answers
        self._most_questions = max_lookups
        self._lock = Lock()
        self._answers: OrderedDict[str, _Dated[Answer]] = OrderedDict()
        self._open: dict[str, Future[Answer]] = {}

    def find(self, key: str) -> Future[Answer]:
        """The current answer: known already where one is at hand, otherwise the one question that is on its way."""
        dated, age, question = self._look(key)
        return _known(dated.answer) if dated is not None and age < SERVED_FOR else question

    def get_stale(self, key: str) -> Answer | None:
        """What is known without waiting, up to a day old, or None. Asks on the side where that is not fresh."""
        dated, age, _ = self._look(key)
        return dated.answer if dated is not None and age < SHOWN_FOR else None

    def warm(self, key: str) -> None:
        """Ask on the side, unless a fresh answer is at hand."""
        self.get_stale(key)

    def forget(self, key: str) -> None:
        """Something changed: the answer is asked anew, and one that is on its way is not remembered."""
        with self._lock:
            self._answers.pop(key, None)
            self._open.pop(key, None)

    def _look(self, key: str) -> tuple[_Dated[Answer] | None, timedelta, Future[Answer]]:
        """What is known, its age, and what will be: the same if that is fresh, otherwise the question now open."""
        now = self._clock.now()
        with self._lock:
            dated, age = self._recall(key, now)
            if dated is not None and age < FRESH_FOR:
                return dated, age, _known(dated.answer)
            if (question := self._open.get(key)) is not None:
                return dated, age, question
            question = self._open[key] = self._send(key)
        # Outside the lock: a question that is settled already calls back at once.
        question.add_done_callback(lambda settled: self._settle(key, settled, now))
        return dated, age, question

    def _recall(self, key: str, now: datetime) -> tuple[_Dated[Answer] | None, timedelta]:
        dated = self._answers.get(key)
        # A clock that was set back says nothing about age, and must not make an answer young for hours.
        if dated is None or now < dated.asked_at:
            return None, timedelta()
        self._answers.move_to_end(key)
        return dated, now - dated.asked_at

    def _send(self, key: str) -> Future[Answer]:
        refused: Future[Answer] = Future()
        if len(self._open) >= self._most_questions:
            refused.set_exception(TooManyLookups(f"{len(self._open)} questions are open"))
            return refused
        try:
            return self._executor.submit(self._ask, key)
        except RuntimeError as error:
            # The executor was shut down, or the machine has no thread to give.
            refused.set_exception(TooManyLookups(str(error)))
            return refused

    def _settle(self, key: str, question: Future[Answer], asked_at: datetime) -> None:
        error = None if question.cancelled() else question.exception()
        with self._lock:
            # Whoever forgot the key, or asked anew since, does not want this answer any more.
            if self._open.get(key) is not question:
                return
            del self._open[key]
            if error is None and not question.cancelled():
                self._answers[key] = _Dated(question.result(), asked_at)
                self._answers.move_to_end(key)
                while len(self._answers) > self._most_answers:
                    self._answers.popitem(last=False)
        if error is not None and not isinstance(error, CountersignError):
            # On the side, nobody else would ever see this bug.
            _LOG.error("a lookup failed", exc_info=error)


def _known(answer: Answer) -> Future[Answer]:
    known: Future[Answer] = Future()
    known.set_result(answer)
    return known

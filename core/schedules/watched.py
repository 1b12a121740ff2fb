"""One schedule of the policy under one configuration: its last answer, and the one look-up that may be in flight.

Invariant: at most one look-up of a schedule is in flight, and everybody who asks meanwhile shares it. A failure never
replaces an answer, and a source that failed is left alone for a while, however many people ask.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from typing import Final, Protocol

from core.actor import UserId
from core.clock import Clock
from core.errors import CountersignError
from core.on_call import HAND_OVER_GRACE, Duty, OnCallName
from core.policy.on_call_config import OnCallConfig
from core.schedules.answer import MappedShift, ScheduleAnswer, judge_duty
from core.schedules.base import ScheduleRefused, ScheduleSource, ScheduleUnavailable
from core.schedules.people import PeopleOnCall, PeopleTable

REFRESH_AFTER: Final = timedelta(seconds=40)
"""How old an answer is when it is refreshed: a slow source then still answers before the minute is over."""
REMAP_AFTER: Final = timedelta(seconds=10)
"""The same while it isn't known of somebody on the schedule who they are."""
LOOK_AHEAD: Final = timedelta(hours=24)
"""The next shift is in hand before it begins."""
LOOK_BACK: Final = HAND_OVER_GRACE + timedelta(seconds=30)
"""The shift that has just ended is in hand throughout the grace, also where a clock is a little off."""
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=1)
"""How long a source that failed isn't asked again: twice as long each time. It can ask for longer."""
MAX_DOUBLINGS: Final = 8
LONGEST_WANTED_PAUSE: Final = timedelta(minutes=15)
ASKING_PEOPLE_SECONDS: Final = 5.0
"""How long one look-up may ask about e-mail addresses; the others come with the next one."""
PATIENCE_SECONDS: Final = 1.0
"""How long people wait for one look-up altogether. A source that hangs isn't waited for by every click."""

_LOG = logging.getLogger("countersign.on_call")


class LookupObserver(Protocol):
    """Counts what was asked."""

    def looked_up(self, source: str, outcome: str) -> None:
        """A source was asked: `answered`, `unavailable`, `refused` or `failed`."""
        ...

    def asked(self, outcome: str) -> None:
        """Somebody was asked about: the answer was `in_hand`, was `waited` for, or is `not_known`."""
        ...


class WatchedSchedule:
    """One schedule. Safe for threads; the source is asked on the executor."""

    def __init__(
        self,
        name: OnCallName,
        config: OnCallConfig,
        table: PeopleTable,
        *,
        open_source: Callable[[str, OnCallConfig], ScheduleSource],
        people: PeopleOnCall,
        clock: Clock,
        executor: Executor,
        observer: LookupObserver,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.config = config
        self.table = table
        self._open_source = open_source
        self._people = people
        self._clock = clock
        self._executor = executor
        self._observer = observer
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._source: ScheduleSource | None = None
        self._answer: ScheduleAnswer | None = None
        self._problem = ""
        self._failures = 0
        self._failed_at: datetime | None = None
        self._pause = timedelta()
        self._flight: Future[None] | None = None
        self._started = 0.0
        self._is_closed = False

    @property
    def answer(self) -> ScheduleAnswer | None:
        """The last answer, however old."""
        return self._answer

    @property
    def problem(self) -> str:
        """Why the last look-up failed; empty if it didn't."""
        return self._problem

    @property
    def flight(self) -> Future[None] | None:
        """The look-up that is in flight, if there is one."""
        return self._flight

    def judge(self, ids: Collection[UserId]) -> Duty | None:
        """What the answer in hand says about a person; None when it says nothing."""
        if self._answer is None:
            return None
        duty = judge_duty(self._answer, ids, self._clock.now())
        return duty if duty.is_on_call is not None or duty.may_approve is not None else None

    def refresh(self) -> None:
        """Look the schedule up in the background, if its answer is due to be refreshed."""
        if self._is_due(self._clock.now()):
            self.ask()

    def ask(self) -> tuple[Future[None], float] | None:
        """The look-up that is in flight, or a new one if one is due, and for how long it is worth waiting for.

        None when the source isn't asked now: it failed a moment ago, or the schedule left the policy.
        """
        now = self._clock.now()
        with self._lock:
            flight = self._flight
            if flight is None and not self._is_due(now):
                # The answer arrived since the caller looked.
                return _done(), PATIENCE_SECONDS
            if flight is None:
                if self._is_closed or self._is_paused(now):
                    return None
                try:
                    flight = self._flight = self._executor.submit(self._look)
                except RuntimeError:
                    # The executor was shut down, or the system can't create another thread.
                    return None
                self._started = self._elapsed()
            return flight, max(0.0, self._started + PATIENCE_SECONDS - self._elapsed())

    def close(self) -> None:
        """Ask no more. A look-up in flight closes the source when it is over. Idempotent; doesn't wait."""
        with self._lock:
            self._is_closed = True
            source = None if self._flight is not None else self._take_source()
        _close(source)

    def _is_due(self, now: datetime) -> bool:
        answer = self._answer
        if answer is None or now < answer.answered_at or now >= answer.until:
            return True
        hand_over = answer.next_hand_over(answer.answered_at)
        after = REFRESH_AFTER if answer.is_mapped else REMAP_AFTER
        return now - answer.answered_at >= after or (hand_over is not None and now >= hand_over)

    def _is_paused(self, now: datetime) -> bool:
        failed_at = self._failed_at
        # After the clock was set back, the pause must not last for hours.
        return failed_at is not None and failed_at <= now < failed_at + self._pause

    def _look(self) -> None:
        try:
            self._land(self._find_answer())
            outcome = "answered"
        except ScheduleUnavailable as error:
            outcome = "unavailable"
            self._miss(error.problem, error.retry_after)
        except ScheduleRefused as error:
            outcome = "refused"
            self._miss(f"{error.problem}. {error.fix}", reopens=True)
        except CountersignError as error:
            outcome = "refused"
            self._miss(str(error), reopens=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, the source didn't say who is on call
            outcome = "failed"
            self._miss(f"{type(error).__name__} while reading the answer", reopens=True)
        self._observer.looked_up(self.config.kind, outcome)

    def _find_answer(self) -> ScheduleAnswer:
        asked_at = self._clock.now()
        source = self._opened()
        until = asked_at + LOOK_AHEAD
        shifts = source.find_shifts(asked_at - LOOK_BACK, until)
        # Those who are on call now come first: they are asked about first.
        by_urgency = sorted(shifts, key=lambda each: not each.covers(asked_at))
        ends_at = self._elapsed() + ASKING_PEOPLE_SECONDS
        who = self._people.find_all((each.person for each in by_urgency), self.table, lambda: self._elapsed() < ends_at)
        mapped = tuple(
            MappedShift(person=each.person, who=who[each.person], starts_at=each.starts_at, ends_at=each.ends_at)
            for each in shifts
        )
        return ScheduleAnswer(
            name=self.name,
            source=source.kind,
            schedule=source.schedule,
            shifts=mapped,
            answered_at=asked_at,
            until=until,
        )

    def _opened(self) -> ScheduleSource:
        with self._lock:
            if self._source is None:
                self._source = self._open_source(self.name, self.config)
            return self._source

    def _land(self, answer: ScheduleAnswer) -> None:
        with self._lock:
            self._answer, self._failures, self._failed_at, self._flight = answer, 0, None, None
            was, self._problem = self._problem, ""
            source = self._take_source() if self._is_closed else None
        _close(source)
        if was:
            _LOG.info("%s (%s) can be looked up again", self.name, self.config.kind)

    def _miss(self, problem: str, wanted_pause: timedelta | None = None, *, reopens: bool = False) -> None:
        """The look-up failed. With `reopens`, the source is opened anew next time: its secret may have changed."""
        doubled = FIRST_PAUSE * 2 ** min(self._failures, MAX_DOUBLINGS)
        wanted = min(wanted_pause or timedelta(), LONGEST_WANTED_PAUSE)
        with self._lock:
            self._failures, self._failed_at, self._flight = self._failures + 1, self._clock.now(), None
            self._pause = max(min(doubled, LONGEST_PAUSE), wanted)
            was, self._problem = self._problem, problem
            source = self._take_source() if self._is_closed or reopens else None
        _close(source)
        if problem != was:
            _LOG.warning("%s (%s) can't be looked up: %s", self.name, self.config.kind, problem)

    def _take_source(self) -> ScheduleSource | None:
        source, self._source = self._source, None
        return source


def _done() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done


def _close(source: ScheduleSource | None) -> None:
    if source is None:
        return
    try:
        source.close()
    except Exception as error:  # noqa: BLE001 - it isn't used any more, whatever happened
        _LOG.warning("a source of schedules could not be closed: %s", type(error).__name__)

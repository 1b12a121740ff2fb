"""The playground's pretend schedules: people take turns, and the page can make all of them unreachable.

Invariant: like a real source, one that is unreachable says so and says nothing else. Each state is complete, and
replaces the one before as a whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from core.actor import UserId
from core.clock import Clock, UtcTime
from core.schedules.base import SchedulePerson, ScheduleUnavailable, Shift
from playground.demo_rota import DemoRota
from playground.people import PEOPLE

KIND: Final = "demo"
"""What the policy calls this kind of source."""
_NAMES: Final = {each.person.id: each.person.real_name for each in PEOPLE}


class DemoSchedulesState(BaseModel):
    """Whether the schedules can be reached, and when Countersign asked and was answered last, by schedule."""

    model_config = ConfigDict(frozen=True)

    is_away: bool = False
    asked_at: dict[str, UtcTime] = {}
    answered_at: dict[str, UtcTime] = {}


class DemoSchedules:
    """What all pretend schedules share. Safe for threads.

    `watch` sets what is called after each change, in order; it must not call back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._on_change: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._state = DemoSchedulesState()

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call this after each change from now on."""
        self._on_change = on_change

    @property
    def state(self) -> DemoSchedulesState:
        """The state now. Waits for nothing."""
        return self._state

    def set_away(self, *, is_away: bool) -> None:
        """Make every schedule unreachable, or reachable again."""
        with self._lock:
            self._set(is_away=is_away)

    def note_moved(self) -> None:
        """The clock was moved: other shifts are now and next."""
        with self._lock:
            self._on_change()

    def note_call(self, schedule: str) -> None:
        """Countersign asks this schedule. Raises ScheduleUnavailable while it is away."""
        with self._lock:
            state, now = self._state, self._clock.now()
            asked = {**state.asked_at, schedule: now}
            if state.is_away:
                self._set(asked_at=asked)
                raise ScheduleUnavailable("the pretend schedule doesn't answer: the page made it unreachable")
            self._set(asked_at=asked, answered_at={**state.answered_at, schedule: now})

    def _set(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)
        self._on_change()


class DemoSchedule:
    """One of them, as a source."""

    kind: Final = KIND

    def __init__(self, rota: DemoRota, schedules: DemoSchedules) -> None:
        self.schedule: Final = rota.schedule
        self._rota = rota
        self._schedules = schedules

    def find_shifts(self, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """The shifts that overlap [since, until), in order. Raises ScheduleUnavailable."""
        self._schedules.note_call(self.schedule)
        return tuple(
            Shift(person=_person(each.person), starts_at=each.starts_at, ends_at=each.ends_at)
            for each in self._rota.find_shifts(since, until)
        )

    def check(self) -> str:
        """Its name, for people. Raises ScheduleUnavailable."""
        self._schedules.note_call(self.schedule)
        return self.schedule

    def close(self) -> None:
        """Nothing is open."""


def _person(user: UserId) -> SchedulePerson:
    return SchedulePerson(source_id=user, name=_NAMES.get(user, user), slack_id=user)

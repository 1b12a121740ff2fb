"""A source of schedules whose answers a test sets, and which can be held up.

Invariant: it answers as a source promises: what overlaps the time that was asked for, in order, or one of the two
errors. Every call is counted.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from core.policy.on_call_config import OnCallConfig
from core.schedules.base import ScheduleRefused, ScheduleUnavailable, Shift, order_shifts


class ScriptedSource:
    """Opens itself: `open` is a ScheduleOpener, for every schedule of the policy."""

    kind: Final = "demo"

    def __init__(self, *shifts: Shift) -> None:
        self.schedule = "scripted"
        self.shifts = set(shifts)
        self.failure: ScheduleUnavailable | ScheduleRefused | RuntimeError | None = None
        self.asked: list[tuple[datetime, datetime]] = []
        self.opened: list[str] = []
        self.closed = 0
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._has_begun = threading.Semaphore(0)

    def open(self, name: str, config: OnCallConfig) -> ScriptedSource:
        """The same source for each schedule."""
        self.opened.append(f"{name} {config.schedule}")
        return self

    def hold(self) -> None:
        """Answer nothing until `release`: the source hangs."""
        self._goes_on.clear()

    def release(self) -> None:
        """Answer what was asked."""
        self._goes_on.set()

    def wait_until_asked(self) -> None:
        """Wait until one more call has begun."""
        assert self._has_begun.acquire(timeout=10)

    def find_shifts(self, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """What was set."""
        self.asked.append((since, until))
        self._has_begun.release()
        assert self._goes_on.wait(10)
        if self.failure is not None:
            raise self.failure
        return order_shifts(self.shifts, since, until)

    def check(self) -> str:
        """The name of the schedule."""
        return self.schedule

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def away(retry_after: timedelta | None = None) -> ScheduleUnavailable:
    """The source can't be reached."""
    return ScheduleUnavailable("no answer", retry_after)

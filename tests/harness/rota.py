"""A roster that a test writes down: who is on call, what nobody can say, and how old the answers are.

Invariant: it answers by the rules of `core.duty`, so that an answer that is too old for a right gives none, and a shift
that ended counts for approving only in the grace after it. It counts the questions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from core.actor import UserId
from core.clock import Clock
from core.on_call import APPROVING_FOR, FRESH_FOR, HAND_OVER_GRACE, Duty, OnCallName, on_call_name, schedule_of


class WrittenRota:
    """Shifts of schedules, as PagerDuty would give them. A schedule without a shift has nobody on call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shifts: dict[OnCallName, list[tuple[UserId, datetime, datetime]]] = {}
        self._silent_since: dict[OnCallName, datetime] = {}
        self.questions: list[tuple[UserId, frozenset[OnCallName]]] = []
        self.waits: list[float] = []

    def put(self, schedule: str, person: UserId, until: timedelta, since: timedelta = timedelta()) -> None:
        """The person is on call from now, or from `since` on, for this long."""
        now = self._clock.now()
        self._shifts.setdefault(on_call_name(schedule), []).append((person, now + since, now + until))

    def fall_silent(self, schedule: str) -> None:
        """From now on, the source of this schedule can't be asked: what it said last is all there is."""
        self._silent_since[on_call_name(schedule)] = self._clock.now()

    def duties(
        self, user_id: UserId, names: Collection[OnCallName], *, timeout_seconds: float = 0.0
    ) -> Mapping[OnCallName, Duty]:
        """What the shifts say, as far as the answers still count."""
        self.questions.append((user_id, frozenset(names)))
        self.waits.append(timeout_seconds)
        found = {name: self._judge(name, user_id) for name in names}
        return {name: duty for name, duty in found.items() if duty is not None}

    def on_call_now(self, name: OnCallName) -> tuple[UserId, ...] | None:
        """Those whose shift covers this moment."""
        now = self._clock.now()
        return tuple(who for who, starts_at, ends_at in self._shifts.get(name, []) if starts_at <= now < ends_at)

    def _judge(self, name: OnCallName, person: UserId) -> Duty | None:
        now = self._clock.now()
        answered_at = min(now, self._silent_since.get(name, now))
        age = now - answered_at
        if age > APPROVING_FOR:
            return None
        own = [(since, until) for who, since, until in self._shifts.get(name, []) if who == person]
        shift = next((each for each in own if each[0] <= now < each[1] + HAND_OVER_GRACE), None)
        is_on_call = shift is not None and now < shift[1]
        return Duty(
            name=name,
            is_on_call=is_on_call if age <= FRESH_FOR else None,
            may_approve=shift is not None,
            source="pagerduty",
            schedule=f"P{schedule_of(name).upper()}",
            starts_at=shift[0] if shift is not None else None,
            ends_at=shift[1] if shift is not None else None,
            answered_at=answered_at,
        )

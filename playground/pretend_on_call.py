"""The pretend schedules and the pretend pager of one playground, and how the bot opens them.

Invariant: who is on call follows from the policy in force, the clock, and when the playground began; nothing of it is
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from core.actor import UserId
from core.clock import TICK, Clock
from core.duty import HAND_OVER_GRACE, Duty, OnCallName, on_call_name
from core.pagers.base import PagerOpener
from core.policy import Policy
from core.policy.on_call_config import DEMO_SCHEDULE, DemoScheduleConfig, OnCallConfig
from core.policy.pager_config import DEMO_PAGER
from core.schedules.base import ScheduleRefused
from core.schedules.opening import ScheduleOpener
from playground.demo_pager import DemoPager
from playground.demo_rota import DemoRota
from playground.demo_schedule import DemoSchedule, DemoSchedules

PAGED: Final = "primary"
"""Whom the pager pages: who is on call in the schedule with this name."""
_SHIFT: Final = timedelta(hours=12)


class PretendOnCall:
    """What the bot asks, and what the panels show. Safe for threads."""

    def __init__(self, path: Path, clock: Clock, begins_at: datetime, follow: Callable[[], Policy]) -> None:
        """With the pages of this file. `follow` gives the policy in force. Raises InvalidInput for a broken file."""
        self.clock = clock
        self.schedules = DemoSchedules(clock)
        self.pager = DemoPager(path, clock, self.who)
        self._begins_at = begins_at
        self._follow = follow

    @property
    def schedule_openers(self) -> Mapping[str, ScheduleOpener]:
        """For the bot: opens the policy's `demo` schedules."""
        return {DEMO_SCHEDULE: self._open_schedule}

    @property
    def pager_openers(self) -> Mapping[str, PagerOpener]:
        """For the bot: opens the policy's `demo` pager."""
        return {DEMO_PAGER: lambda _: self.pager}

    def rotas(self, policy: Policy | None = None) -> Mapping[str, DemoRota]:
        """The demo schedules that have people, by their names in this policy or in the one that is in force."""
        found = {name: each.demo for name, each in (policy or self._follow()).document.on_call.items()}
        return {name: self._rota(config) for name, config in found.items() if config is not None and config.people}

    def who(self) -> tuple[UserId, ...]:
        """Who is paged now."""
        rota, now = self.rotas().get(PAGED), self.clock.now()
        shifts = rota.find_shifts(now, now + TICK) if rota is not None else ()
        return tuple(each.person for each in shifts)

    def duties(self, policy: Policy, user: UserId) -> Mapping[OnCallName, Duty]:
        """What the schedules of this policy say of somebody now; nothing while they are unreachable."""
        if self.schedules.state.is_away:
            return {}
        now = self.clock.now()
        return {on_call_name(name): _judge(name, rota, user, now) for name, rota in self.rotas(policy).items()}

    def _open_schedule(self, name: str, config: OnCallConfig) -> DemoSchedule:
        if config.demo is None or not config.demo.people:
            raise ScheduleRefused("this demo schedule has no people", "Write who takes turns: people: [U0SAM, U0AIKO].")
        del name
        return DemoSchedule(self._rota(config.demo), self.schedules)

    def _rota(self, config: DemoScheduleConfig) -> DemoRota:
        people = tuple(UserId(each) for each in config.people)
        return DemoRota(config.schedule, people, config.shift or _SHIFT, self._begins_at)


def _judge(name: str, rota: DemoRota, user: UserId, now: datetime) -> Duty:
    (shift,) = rota.find_shifts(now, now + TICK)
    recent = rota.find_shifts(now - HAND_OVER_GRACE, now + TICK)
    return Duty(
        name=on_call_name(name),
        is_on_call=shift.person == user,
        may_approve=user in {each.person for each in recent},
        source=DEMO_SCHEDULE,
        schedule=rota.schedule,
        starts_at=shift.starts_at,
        ends_at=shift.ends_at,
        answered_at=now,
    )

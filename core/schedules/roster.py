"""The roster of a running bot: the schedules of the policy in force, looked up in the background.

Invariant: a look-up is made in the background before an answer is a minute old, so that a click usually costs none; a
click that needs one shares it with every other. What isn't known is left out, and nothing here raises. A schedule whose
source or people changed in the policy is looked up anew, and what was known about it is forgotten.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from core.actor import UserId
from core.clock import Clock
from core.on_call import FRESH_FOR, Duty, OnCallName, on_call_name
from core.policy import PolicySource
from core.policy.on_call_config import OnCallConfig
from core.schedules.answer import MappedShift, find_on_call
from core.schedules.base import ScheduleSource
from core.schedules.opening import ScheduleOpener, open_source
from core.schedules.people import FindByEmail, IsActive, PeopleOnCall, PeopleTable
from core.schedules.watched import LookupObserver, WatchedSchedule

WORKERS: Final = 8
"""How many schedules may be looked up at once: each look-up takes a bounded time."""
LOOK_EVERY_SECONDS: Final = 1.0
"""How often it is seen whether an answer is due, a hand-over came or the policy changed."""

_LOG = logging.getLogger("countersign.on_call")


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What is known about one schedule: for `doctor`, the Home tab and the playground.

    `answered_at` is None before the first answer. `problem` says why the last look-up failed.
    """

    name: OnCallName
    source: str
    schedule: str
    shifts: tuple[MappedShift, ...] = ()
    answered_at: datetime | None = None
    problem: str = ""


class _NobodyCounts:
    def looked_up(self, source: str, outcome: str) -> None:
        del source, outcome

    def asked(self, outcome: str) -> None:
        del outcome


class ScheduleRoster:
    """The roster. Safe for threads. Without `start`, schedules are looked up only when somebody asks.

    `find_by_email` says whose address one is, and raises NotKnown. `more` opens kinds of sources that Countersign
    doesn't have itself, such as `demo` in the playground.
    """

    def __init__(
        self,
        policy: PolicySource,
        clock: Clock,
        find_by_email: FindByEmail,
        more: Mapping[str, ScheduleOpener] = MappingProxyType({}),
        *,
        observer: LookupObserver | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._more = dict(more)
        self._is_active: IsActive = lambda _: None
        self._people = PeopleOnCall(find_by_email, self._may_act, clock)
        self._observer = observer or _NobodyCounts()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="on-call")
        self._lock = threading.Lock()
        self._digest: str | None = None
        self._watched: dict[OnCallName, WatchedSchedule] = {}
        self._stopping = threading.Event()
        self._refresher: threading.Thread | None = None

    def check_people(self, is_active: IsActive) -> None:
        """Whom to ask which people are active members: from a cache, so it never waits."""
        self._is_active = is_active

    def duties(
        self, user_id: UserId, names: Collection[OnCallName], *, timeout_seconds: float = 0.0
    ) -> Mapping[OnCallName, Duty]:
        """What each of these schedules says about the person; one that isn't known is left out.

        Never raises. Waits at most `timeout_seconds`, for schedules of which no answer counts.
        """
        ids = self._policy.current().ids_of(user_id)
        asked = [each for name, each in self._schedules().items() if name in names]
        if not asked:
            return {}
        known = {each.name: duty for each in asked if (duty := each.judge(ids)) is not None}
        open_ = [each for each in asked if (duty := known.get(each.name)) is None or duty.is_on_call is None]
        for each in asked:
            if each not in open_:
                each.refresh()
        if not open_ or not self._wait_for(open_, timeout_seconds):
            self._observer.asked("not_known" if open_ else "in_hand")
            return known
        known |= {each.name: duty for each in open_ if (duty := each.judge(ids)) is not None}
        is_known = all((duty := known.get(each.name)) is not None and duty.is_on_call is not None for each in asked)
        self._observer.asked("waited" if is_known else "not_known")
        return known

    def on_call_now(self, name: OnCallName) -> tuple[UserId, ...] | None:
        """Who is on call, to notify them; None when that isn't known. Never raises, and never waits."""
        watched = self._schedules().get(name)
        if watched is None:
            return None
        watched.refresh()
        answer = watched.answer
        return find_on_call(answer, self._clock.now()) if answer is not None else None

    def snapshot(self) -> tuple[ScheduleState, ...]:
        """What is known about each schedule of the policy, in its order. Never waits."""
        return _states_of(self._schedules())

    def look(self, timeout_seconds: float) -> tuple[ScheduleState, ...]:
        """The same, after every schedule whose answer is due was looked up, as far as the time allows."""
        schedules = tuple(self._schedules().values())
        for each in schedules:
            each.refresh()
        wait([flight for each in schedules if (flight := each.flight) is not None], timeout=timeout_seconds)
        return self.snapshot()

    def ages(self) -> Mapping[str, float]:
        """The age in seconds of the oldest answer of each kind of source that has one."""
        now, ages = self._clock.now(), dict[str, float]()
        for each in _states_of(self._watched):
            if each.answered_at is not None:
                ages[each.source] = max(ages.get(each.source, 0.0), (now - each.answered_at).total_seconds())
        return ages

    def count_unknown(self) -> int:
        """How many schedules of the policy have no answer that is fresh."""
        now = self._clock.now()
        return sum(
            each.answered_at is None or not timedelta() <= now - each.answered_at < FRESH_FOR
            for each in _states_of(self._watched)
        )

    def refresh(self) -> None:
        """Look up what is due, in the background. `start` does this every second."""
        for each in self._schedules().values():
            each.refresh()

    def start(self) -> None:
        """Keep the answers fresh from now on, in the background."""
        self._refresher = threading.Thread(target=self._keep_fresh, name="on-call-refresh", daemon=True)
        self._refresher.start()

    def close(self) -> None:
        """Look nothing up any more. Doesn't wait for a source that is being asked. Idempotent."""
        self._stopping.set()
        if self._refresher is not None:
            self._refresher.join()
        with self._lock:
            watched = tuple(self._watched.values())
        for each in watched:
            each.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _may_act(self, user_id: UserId) -> bool | None:
        return self._is_active(user_id)

    def _keep_fresh(self) -> None:
        while True:
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - the next second may go better, and people are still answered
                _LOG.exception("the schedules could not be refreshed")
            if self._stopping.wait(LOOK_EVERY_SECONDS):
                return

    def _wait_for(self, schedules: Collection[WatchedSchedule], timeout_seconds: float) -> bool:
        """Wait for look-ups of these schedules. False if there is none to wait for."""
        flights = [found for each in schedules if (found := each.ask()) is not None]
        longest = min(timeout_seconds, max((left for _, left in flights), default=0.0))
        if longest <= 0:
            return False
        wait([each for each, _ in flights], timeout=longest)
        return True

    def _schedules(self) -> dict[OnCallName, WatchedSchedule]:
        """The schedules of the policy in force."""
        with self._lock:
            # Inside the lock: an earlier version that somebody read before must not come back.
            policy = self._policy.current()
            if policy.digest == self._digest:
                return self._watched
            before, current = self._watched, dict[OnCallName, WatchedSchedule]()
            for name, config in policy.document.on_call.items():
                full_name = on_call_name(name)
                table = PeopleTable.of(policy.document, full_name, config.kind)
                known = before.get(full_name)
                if known is None or (known.config, known.table) != (config, table):
                    known = self._watch(full_name, config, table)
                current[full_name] = known
            self._watched, self._digest = current, policy.digest
        kept = set(map(id, current.values()))
        for each in before.values():
            if id(each) not in kept:
                each.close()
        return current

    def _watch(self, name: OnCallName, config: OnCallConfig, table: PeopleTable) -> WatchedSchedule:
        return WatchedSchedule(
            name,
            config,
            table,
            open_source=self._open,
            people=self._people,
            clock=self._clock,
            executor=self._workers,
            observer=self._observer,
        )

    def _open(self, name: str, config: OnCallConfig) -> ScheduleSource:
        return open_source(name, config, self._more, self._clock)


def _states_of(watched: Mapping[OnCallName, WatchedSchedule]) -> tuple[ScheduleState, ...]:
    return tuple(_state_of(each) for each in watched.values())


def _state_of(watched: WatchedSchedule) -> ScheduleState:
    answer = watched.answer
    return ScheduleState(
        watched.name,
        watched.config.kind,
        watched.config.schedule,
        answer.shifts if answer is not None else (),
        answer.answered_at if answer is not None else None,
        watched.problem,
    )

"""A toy with the design that the leaks of other tools have in common: a timer for each edge of each grant, five tries.

Invariant: nothing here is used outside of the test that shows that the judge finds such leaks.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from core.access.holding import OperationKind
from core.targets.base import Absent, Held, InProgress, OperationKey
from tests.core.access.world import ACTIVE_PART, QUIET_PART, RIGHT, Killed, Script, World
from tests.harness.clock import A_MOMENT

TRIES: Final = 5


class EdgeTriggeredWorker:
    """Gives when a window opens and takes when it ends, whatever else is wanted of the right."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._timers: list[tuple[datetime, int, OperationKind, str, int]] = []
        self._numbers = count()
        self._known: set[str] = set()
        self._ended: set[str] = set()

    def wake(self) -> datetime | None:
        for grant in self._world.store.grants.values():
            if grant.id not in self._known:
                self._known.add(grant.id)
                self._set(grant.starts_at, OperationKind.GIVE, grant.id, 0)
                self._set(grant.ends_at, OperationKind.TAKE, grant.id, 0)
            if grant.ended_early is not None and grant.id not in self._ended:
                self._ended.add(grant.id)
                self._set(grant.ended_at, OperationKind.TAKE, grant.id, 0)
        return self._timers[0][0] if self._timers else None

    def act(self) -> bool:
        _, _, kind, grant, tries = heapq.heappop(self._timers)
        world = self._world
        world.acting.append(self)
        try:
            key = OperationKey(grant, tries)
            answer = world.target.give(RIGHT, world.now, key) if kind is OperationKind.GIVE else self._take(key)
            is_done = isinstance(answer, Held | Absent | InProgress)
        except (Killed, OSError):
            is_done = False
        finally:
            world.acting.remove(self)
        if not is_done and tries + 1 < TRIES:
            self._set(world.now + timedelta(seconds=2 ** (tries + 1)), kind, grant, tries + 1)
        return True

    def _take(self, key: OperationKey) -> object:
        return self._world.target.take(RIGHT, key)

    def _set(self, at: datetime, kind: OperationKind, grant: str, tries: int) -> None:
        heapq.heappush(self._timers, (at, next(self._numbers), kind, grant, tries))


def play_edge_triggered(seed: int) -> Sequence[str]:
    """The same history as `world.play`, with the toy: the verdicts of the same judge."""
    world = World(seed)
    worker = EdgeTriggeredWorker(world)
    world.workers = [worker]
    Script(world).write()
    world.run_until(A_MOMENT + ACTIVE_PART, worker.wake)
    world.calm_down()
    world.run_until(A_MOMENT + ACTIVE_PART + QUIET_PART, worker.wake)
    return world.judge.finish(with_records=False)

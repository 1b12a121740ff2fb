"""The lanes: what follows an interaction, on threads of its own kind, so that no kind waits for another.

Invariant: break-glass and closing have their own threads and places for decisions, forms and replies, which nothing
else can use. A form never waits for a reply, and nothing that a person waits for waits for a Home tab or a card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from bot.interactions.fair_executor import FairExecutor, LaneBounds, Task
from bot.observability.metrics import Lane
from bot.observability.tracing import NO_TRACER, Tracer

MAX_WAITING: Final = 1000
"""At fifty clicks a second, the clicks of twenty seconds without a store."""
BOUNDS: Final[Mapping[Lane, LaneBounds]] = MappingProxyType(
    {
        # A click may hold its transport's thread for two seconds: `max_each` also bounds how many one person can hold.
        Lane.DECISION: LaneBounds(workers=32, max_running_each=4, max_each=16, max_total=MAX_WAITING),
        Lane.EMERGENCY_DECISION: LaneBounds(workers=16, max_running_each=2, max_each=8, max_total=500),
        # What waits longer than three seconds has lost its trigger: a long queue would be of no use.
        Lane.FORM: LaneBounds(workers=8, max_running_each=2, max_each=6, max_total=200),
        Lane.EMERGENCY_FORM: LaneBounds(workers=8, max_running_each=2, max_each=6, max_total=200),
        Lane.REPLY: LaneBounds(workers=16, max_running_each=2, max_each=20, max_total=1000),
        Lane.EMERGENCY_REPLY: LaneBounds(workers=8, max_running_each=2, max_each=10, max_total=500),
        # One that is being drawn, and one that waits: each later one takes its place.
        Lane.HOME: LaneBounds(workers=4, max_running_each=1, max_each=2, max_total=1000),
        Lane.CARD: LaneBounds(workers=4, max_running_each=1, max_each=20, max_total=1000),
    }
)


class Lanes:
    """All lanes of one instance. Thread-safe."""

    def __init__(
        self,
        *,
        bounds: Mapping[Lane, LaneBounds] = BOUNDS,
        max_decisions: int | None = None,
        on_refused: Callable[[Lane], None] = lambda _: None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`max_decisions` limits those that aren't emergencies.

        `on_refused` gets the lane of what found no room; it neither waits nor raises.
        """
        self._bind = tracer.bind
        sizes = dict(bounds)
        if max_decisions is not None:
            sizes[Lane.DECISION] = replace(sizes[Lane.DECISION], max_total=max_decisions)
        self._on_refused = on_refused
        # Lane by lane in the order of the enumeration, which is the order in which one hands over to the next.
        self._executors = {lane: FairExecutor(lane.value.replace("_", "-"), sizes[lane]) for lane in Lane}

    def submit(
        self, lane: Lane, person: str, task: Task, *, key: str | None = None, if_full: Task | None = None
    ) -> bool:
        """Run this soon in a lane; see `FairExecutor.submit`. A refusal is counted."""
        if_full = self._bind(if_full) if if_full is not None else None
        if self._executors[lane].submit(person, self._bind(task), key=key, if_full=if_full):
            return True
        self._on_refused(lane)
        return False

    def waiting(self, lane: Lane) -> int:
        """How many tasks of a lane have not started yet."""
        return self._executors[lane].waiting

    def close(self) -> None:
        """Finish what was acknowledged, send its outcomes, then stop. Idempotent."""
        for executor in self._executors.values():
            executor.close()

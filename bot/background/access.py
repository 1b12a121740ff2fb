"""Access in the background: what is decided takes effect, emergencies first, and on threads of their own.

Invariant: an idle deployment makes no call to a target. Each target has a lane of its own, and several emergencies are
opened at once, so a target that is slow or hangs holds up no other. After `stop`, no further right is visited; a visit
in progress ends with its call, or leaves its lease to the next worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.background.access_threads import AccessThreads
from bot.background.loops import Loop, Nudge
from bot.observability.access_metrics import AccessReading
from bot.observability.counted_targets import CountedTargets
from bot.observability.traced_ports import TracedTargets, trace_reconciler
from bot.observability.tracing import NO_TRACER, Tracer
from core.access.due_queue import Room
from core.access.due_rights import DueRights, VisitCounts
from core.access.grant import Grant
from core.access.holding import Urgency
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.audit.trail import EntryDraft
from core.clock import Clock
from core.errors import StoreError
from core.record import Record
from core.stores.access import AccessStore
from core.targets.base import Answer, Target

EMERGENCY_SECONDS: Final = 1.0
"""How often it is checked whether another instance broke the glass. This instance's own commits nudge."""
DUE_SECONDS: Final = 5.0
"""How often it is checked what else is due: a grant ends at most this long after its window."""
AGAIN_SECONDS: Final = 1.0
"""How soon it is checked again after a nudge, as DynamoDB's indexes may lag by a moment, and after a visit."""
EMERGENCY_ROOM: Final = Room(at_once=16, per_target=4)
ROOM: Final = Room(at_once=32, per_target=1)
"""How many threads there are at most, altogether and for one target: none while nothing is due."""
EMERGENCY_LOOP: Final = "open emergency access"
DUE_LOOP: Final = "make access take effect"
MEASURE_LOOP: Final = "measure access"
MEASURE_SECONDS: Final = 10.0
COUNT_EVERY: Final = timedelta(minutes=5)
"""How often live grants are counted: unlike the rest, this costs what is live."""
MAX_COUNTED: Final = 100_000


class AccessWatcher(Protocol):
    """Hears of what the reconciler does. It neither waits nor raises."""

    def changed(self, grant: Grant, entries: Sequence[EntryDraft]) -> None:
        """A change of this grant was committed."""
        ...

    def stepped(self, target: str, step: str, outcome: str) -> None:
        """A target was called."""
        ...


class AccessWork:
    """Reconciles what is due: once, or in loops."""

    def __init__(
        self,
        store: AccessStore,
        targets: Mapping[str, Target],
        clock: Clock,
        watcher: AccessWatcher | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._store = store
        self._clock = clock
        self._watcher = watcher
        counted = CountedTargets(targets, watcher.stepped) if watcher is not None else targets
        traced = TracedTargets(counted, tracer) if tracer.is_on else counted
        reconciler = Reconciler(store, traced, clock, on_change=self._hear)
        self._reconciler = reconciler = trace_reconciler(reconciler, tracer)
        self._all = DueRights(store, reconciler, clock)
        self._emergencies = DueRights(store, reconciler, clock, (Urgency.EMERGENCY,), EMERGENCY_ROOM)
        self._others = DueRights(store, reconciler, clock, (Urgency.REVOKE, Urgency.GRANT, Urgency.LOOK), ROOM)
        self._threads: tuple[AccessThreads, ...] = ()
        self._nudges: tuple[Nudge, ...] = ()
        self._deliver_soon: Callable[[], object] = _nothing
        self._reading: AccessReading | None = None
        self._counted_at: datetime | None = None
        self._is_told = False
        self._grant_changed = threading.Event()

    def sweep(self) -> VisitCounts:
        """Visit every right that is due now, once. Raises StoreUnavailable."""
        return self._all.visit_due()

    def reconcile(self, right: Right) -> Answer | None:
        """Visit this right now; the target's last answer, None if it wasn't called. Raises StoreError."""
        return self._reconciler.reconcile(right)

    def loops(self, stopping: threading.Event, deliver_soon: Callable[[], object]) -> tuple[Loop, ...]:
        """Its loops, which end when `stopping` is set. After each commit, they call `deliver_soon`."""
        nudges = Nudge(stopping, again_seconds=AGAIN_SECONDS), Nudge(stopping, again_seconds=AGAIN_SECONDS)
        emergencies = AccessThreads(self._emergencies, nudges[0], stopping)
        others = AccessThreads(self._others, nudges[1], stopping)
        self._nudges, self._threads, self._deliver_soon = nudges, (emergencies, others), deliver_soon
        return (
            Loop(EMERGENCY_LOOP, emergencies.work, EMERGENCY_SECONDS, nudges[0].rest),
            Loop(DUE_LOOP, others.work, DUE_SECONDS, nudges[1].rest),
            Loop(MEASURE_LOOP, self.measure, MEASURE_SECONDS, stopping.wait),
        )

    def join(self, deadline: float) -> bool:
        """Wait for the visits in progress, but not after the deadline, by `time.monotonic`. True if they have ended.

        To be called after `stopping` was set, and the loops have ended.
        """
        have_ended = [threads.join(deadline) for threads in self._threads]
        return all(have_ended)

    def reading(self) -> AccessReading | None:
        """What was measured some seconds ago; None before the first measurement, or if the last one failed."""
        return self._reading

    def measure(self) -> None:
        """Read when the first live grant ends and, less often, how many are live. Raises StoreError."""
        try:
            first_end, live = self._store.find_first_end(), self._count_live()
        except StoreError:
            self._reading = None
            raise
        self._reading = AccessReading(first_end, live)

    def hear(self, record: Record) -> None:
        """This process committed the record. From the first call on, a nudge without a grant before it does nothing.

        Most changes are of requests: what they make due is a grant, committed with them. Each look is five reads.
        """
        if isinstance(record, Grant):
            self._grant_changed.set()
        self._is_told = True

    def nudge(self) -> None:
        """Something was committed in this process: see now what is due. Never waits."""
        if self._is_told and not self._grant_changed.is_set():
            return
        # Before the looks: a grant that is committed from now on gets its own.
        self._grant_changed.clear()
        self.wake()

    def wake(self) -> None:
        """End the rests of its loops, whatever was committed: so that they see now that they are to stop."""
        for nudge in self._nudges:
            nudge.give()

    def _count_live(self) -> int:
        now, known = self._clock.now(), self._reading
        if known is not None and self._counted_at is not None and now < self._counted_at + COUNT_EVERY:
            return known.live
        live = self._store.count_live(MAX_COUNTED)
        self._counted_at = now
        return live

    def _hear(self, grant: Grant, entries: Sequence[EntryDraft]) -> None:
        if self._watcher is not None:
            self._watcher.changed(grant, entries)
        self._deliver_soon()


def _nothing() -> None:
    """The default for who is to deliver."""

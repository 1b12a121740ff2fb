"""The sweeper: the background work. It expires requests and events, sends reminders and delivers notifications.

Invariant: any number of sweepers may run at once, and nothing is done twice: the store decides. No error ends a loop,
and an unavailable store is asked less and less often until it is back. No loop waits for another: a slow channel
doesn't stop requests from expiring.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from bot.background.access import AccessWork
from bot.background.loops import PROMPT_PAUSE_SECONDS, Loop, Loops, Nudge
from core.access.clock_steps import find_put_off
from core.access.due_rights import NOTHING_VISITED, VisitCounts
from core.audit.checkpoint import Checkpointer
from core.clock import Clock, is_trusted
from core.errors import StoreError, StoreUnavailable
from core.outbox.outbox import DeliveryCounts, Outbox, RunDelivery, Sink, deliver_due, run_delivery
from core.report.monthly import MonthlySummary
from core.services import BreakGlassService, DeviceService, GrantService, RequestService, SessionService
from core.services.due import Rest, no_rest
from core.services.policy_trail import PolicyTrail
from core.stores.base import PurgedStores, Stores
from core.stores.outbox import Backlog

LOOK_SECONDS: Final = 1.0
"""How often the outbox is checked for what other processes committed, and for deferred deliveries."""
POLICY_SECONDS: Final = 1.0
"""How often the policy file is checked while nobody clicks."""
CHECKPOINT_SECONDS: Final = 60.0
"""How often it is checked whether a checkpoint of the audit trail is due, and whether a key was retired."""
WATCH_SECONDS: Final = 30.0
"""How often deadlines and reminders are checked. Decisions don't depend on this: they check the clock themselves."""
DENY_AGAIN_SECONDS: Final = 2.0
"""How soon after a revoked session the next look is: an index may list it a moment later."""
REST_SECONDS: Final = 0.02
"""The pause between two pages of a hundred records: reading them keeps the interpreter from answering clicks."""
PURGE_SECONDS: Final = 3600.0
"""Retention is counted in days."""
MEASURE_SECONDS: Final = 10.0
SUMMARY_SECONDS: Final = 600.0
"""How often it is checked whether a month is over."""
PUT_OFF_SECONDS: Final = 60.0
"""How often it is checked whether a clock that was ahead put off access that is to be opened or ended."""
FINISH_TIMEOUT_SECONDS: Final = 10.0
"""How long `stop` waits. Slack answers within a second; another instance repeats the delivery of a stalled call."""
MAX_COUNTED: Final = 1_000
"""Above this, an operator doesn't need the exact number."""
_log = logging.getLogger("countersign.sweeper")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did, as counts."""

    expired_requests: int
    expired_events: int
    reminded: int
    asked: int
    reviews_reminded: int
    delivered: DeliveryCounts
    access: VisitCounts = NOTHING_VISITED
    ends_reminded: int = 0
    escalated: int = 0


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How many entries are pending and how many are parked, each counted up to MAX_COUNTED; the age of the oldest."""

    depth: int = 0
    oldest_age_seconds: float = 0.0
    parked: int = 0


class TerminalWork(NamedTuple):
    """What ends for terminals by the clock: the sessions of their credentials, and their pairings."""

    sessions: SessionService | None = None
    devices: DeviceService | None = None


class Sweeper:
    """Sweeps once, or in the background until it is stopped. `more` is what else is due, by the name of its loop."""

    summary: MonthlySummary | None = None
    more: Mapping[str, Callable[[Rest], Sequence[object]]] | None = None
    run_delivery: RunDelivery = staticmethod(run_delivery)

    def __init__(
        self,
        requests: RequestService,
        break_glass: BreakGlassService,
        stores: Stores,
        sinks: Sequence[Sink],
        clock: Clock,
        policy_trail: PolicyTrail | None = None,
        checkpointer: Checkpointer | None = None,
        access: AccessWork | None = None,
        grants: GrantService | None = None,
        terminals: TerminalWork | None = None,
    ) -> None:
        self._requests = requests
        self._break_glass = break_glass
        self._stores = stores
        self._sinks = tuple(sinks)
        self._clock = clock
        self._policy_trail = policy_trail
        self._checkpointer = checkpointer
        self._outbox: Outbox | None = None
        self._access = access
        self._grants = grants
        self._sessions, self._devices = terminals or TerminalWork()
        self._stopping = threading.Event()
        self._loops = Loops(self._stopping)
        self._delivery_nudge = Nudge(self._stopping, join_seconds=PROMPT_PAUSE_SECONDS)
        self._deny_nudge = Nudge(self._stopping, again_seconds=DENY_AGAIN_SECONDS)
        self._backlog: Backlog | None = None

    def sweep(self) -> Swept:
        """Do everything that is due, once, and wait for it. Raises StoreError; what was done before it stays done."""
        self._record_policy()
        # Expire first, so that nobody is reminded of something that is over.
        requests, events = self._requests.expire_due(), self._break_glass.expire_due()
        # Escalate before reminding: what has just escalated needs no reminder.
        escalated = self._requests.escalate_due()
        reminded = self._requests.remind_due()
        asked, reviews = self._break_glass.ask_due(), self._break_glass.remind_due()
        for change in (self.more or {}).values():
            change(no_rest)
        self._stores.outbox.adopt(self._clock.now())
        self._seal_checkpoints(lambda: None)
        self._summarise(lambda: None)
        self._purge()
        try:
            access, ends = self._sweep_access()
        finally:
            # What was decided is delivered, even if the table of access is missing, or may not be read.
            delivered = deliver_due(self._stores.outbox, self._sinks, self._clock, run=self.run_delivery)
        return Swept(
            len(requests), len(events), len(reminded), len(asked), len(reviews), delivered, access, ends, len(escalated)
        )

    def retry_parked(self) -> int:
        """Make every parked entry due again. Returns how many there were. Raises StoreError."""
        now, total = self._clock.now(), 0
        self._stores.outbox.adopt(now)
        while batch := tuple(islice(self._stores.outbox.iterate_parked(), MAX_COUNTED)):
            changed = sum(self._stores.outbox.unpark(each, now) for each in batch)
            total += changed
            if not changed:
                # An index may still list entries that are no longer parked.
                break
        return total

    def outbox_state(self) -> OutboxState | None:
        """The outbox as measured some seconds ago; None before the first measurement, or if the last one failed.

        Never waits. The outbox is measured only while the sweeper runs in the background.
        """
        backlog = self._backlog
        if backlog is None:
            return None
        age = (self._clock.now() - backlog.oldest_at).total_seconds() if backlog.oldest_at is not None else 0.0
        return OutboxState(backlog.waiting, max(age, 0.0), backlog.parked)

    def start(self) -> None:
        """Sweep in the background from now on. After `stop`, it can't be started again."""
        outbox = self._outbox = Outbox(self._stores.outbox, self._sinks, self._clock, run=self.run_delivery)
        # A loop for each: one that keeps failing doesn't block the others.
        watched: dict[str, Callable[[Rest], Sequence[object]]] = {
            "end overdue requests": self._requests.expire_due,
            "end overdue events": self._break_glass.expire_due,
            "escalate requests": self._requests.escalate_due,
            "send reminders of requests": self._requests.remind_due,
            "ask whether events are over": self._break_glass.ask_due,
            "send reminders of reviews": self._break_glass.remind_due,
            **(self.more or {}),
        }
        if self._grants is not None:
            watched["send reminders of access that ends"] = self._grants.remind_due
            watched["end what closed events left open"] = self._grants.end_left_open
        if self._devices is not None:
            watched["end devices"] = self._devices.expire_due
        if self._sessions is not None:
            watched["end sessions"] = self._sessions.expire_due
        pause = self._stopping.wait
        self._loops.start(
            [
                Loop("deliver notifications", outbox.hand_out, LOOK_SECONDS, self._delivery_nudge.rest),
                Loop("measure the outbox", self._measure, MEASURE_SECONDS, pause),
                Loop("delete what is kept no longer", self._purge, PURGE_SECONDS, pause),
                Loop("record the policy", self._record_policy, POLICY_SECONDS, pause),
                Loop("seal checkpoints", partial(self._seal_checkpoints, self._rest), CHECKPOINT_SECONDS, pause),
                Loop("summarise the month", partial(self._summarise, self._rest), SUMMARY_SECONDS, pause),
                *(Loop(name, partial(self._change_due, each), WATCH_SECONDS, pause) for name, each in watched.items()),
                *(self._access.loops(self._stopping, self._delivery_nudge.give) if self._access is not None else ()),
                *self._deny_loops(),
                Loop("visit what a wrong clock put off", self._visit_put_off, PUT_OFF_SECONDS, pause),
            ]
        )

    def nudge(self) -> None:
        """Something was committed in this process: deliver it, and let it take effect, now. Never waits."""
        self._delivery_nudge.give()
        if self._access is not None:
            self._access.nudge()
        if self._sessions is not None and self._sessions.is_deny_due:
            self._deny_nudge.give()

    def stop(self) -> bool:
        """Start nothing more, and finish deliveries in progress. False when that takes too long: they are repeated.

        Everything else stays due, for the other instances or the next start.
        """
        deadline = time.monotonic() + FINISH_TIMEOUT_SECONDS
        self._stopping.set()
        self.nudge()
        self._deny_nudge.give()
        if self._access is not None:
            self._access.wake()
        is_finished = self._outbox is None or self._outbox.finish(FINISH_TIMEOUT_SECONDS)
        has_ended = self._loops.join(deadline)
        is_visited = self._access is None or self._access.join(deadline)
        return has_ended and is_visited and is_finished

    def _sweep_access(self) -> tuple[VisitCounts, int]:
        self._visit_put_off()
        if self._grants is not None:
            self._grants.end_left_open()
        access = self._access.sweep() if self._access is not None else NOTHING_VISITED
        if self._devices is not None:
            self._devices.expire_due()
        if self._sessions is not None:
            self._sessions.expire_due()
            self._sessions.clean_up()
        return access, len(self._grants.remind_due()) if self._grants is not None else 0

    def _visit_put_off(self) -> None:
        if self._access is None or not is_trusted(self._clock):
            return
        for right in find_put_off(self._stores.access, self._clock.now()):
            try:
                self._access.reconcile(right)
            except StoreUnavailable:
                raise
            except Exception:  # noqa: BLE001 - whatever is wrong with one right, the others were put off, too
                _log.exception("%s was put off by a wrong clock, and can't be reconciled", right)
            if self._stopping.is_set():
                return

    def _purge(self) -> None:
        if isinstance(self._stores, PurgedStores) and is_trusted(self._clock):
            self._stores.purge(self._clock.now())

    def _rest(self) -> None:
        self._stopping.wait(REST_SECONDS)

    def _deny_loops(self) -> list[Loop]:
        """Credentials of a device that is lost are in use now."""
        if self._sessions is None:
            return []
        work = partial(self._change_due, self._sessions.clean_up)
        return [Loop("deny sessions, and clean up", work, WATCH_SECONDS, self._deny_nudge.rest)]

    def _change_due(self, change: Callable[[Rest], Sequence[object]]) -> None:
        if change(self._rest):
            self.nudge()

    def _record_policy(self) -> None:
        if self._policy_trail is not None and self._policy_trail.record():
            self.nudge()

    def _seal_checkpoints(self, rest: Rest) -> None:
        if self._checkpointer is not None:
            self._checkpointer.refresh_keys()
            if self._checkpointer.seal_due(rest):
                self.nudge()

    def _summarise(self, rest: Rest) -> None:
        if self.summary is not None and self.summary.summarise_due(rest):
            self.nudge()

    def _measure(self) -> None:
        try:
            self._backlog = self._stores.outbox.measure_backlog(MAX_COUNTED)
        except StoreError:
            # An old number would look as if everything were fine.
            self._backlog = None
            raise
        if self._stores.outbox.adopt(self._clock.now()):
            self.nudge()

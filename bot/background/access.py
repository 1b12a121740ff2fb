"""Access in the background: what is decided takes effect, emergencies first, and on a thread of their own.

Invariant: an idle deployment makes no call to a target. A pass takes a few rights of each urgency and begins anew, so a
long list of looks holds up no revoke. After `stop`, no further right is visited; a visit in progress ends with its
call, or leaves its lease to the next worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bot.background.loops import Loop, Nudge
from core.access.due_rights import DueRights, VisitCounts
from core.access.grant import Grant
from core.access.holding import Urgency
from core.access.reconciler import Reconciler
from core.audit.trail import EntryDraft
from core.clock import Clock
from core.stores.access import AccessStore
from core.targets.base import Target

EMERGENCY_SECONDS: Final = 1.0
"""How often it is checked whether another instance broke the glass. This instance's own commits nudge."""
DUE_SECONDS: Final = 5.0
"""How often it is checked what else is due: a grant ends at most this long after its window."""
AGAIN_SECONDS: Final = 1.0
"""How soon after a nudge it is checked again: DynamoDB's indexes may lag by a moment."""
PER_PASS: Final = 50
"""How many rights of each urgency are visited before the most urgent ones are looked for again."""
EMERGENCY_LOOP: Final = "open emergency access"
DUE_LOOP: Final = "make access take effect"

OnChange = Callable[[Grant, Sequence[EntryDraft]], object]


class AccessWork:
    """Reconciles what is due: once, or in loops."""

    def __init__(
        self, store: AccessStore, targets: Mapping[str, Target], clock: Clock, on_change: OnChange | None = None
    ) -> None:
        reconciler = Reconciler(store, targets, clock, on_change=on_change)
        self._all = DueRights(store, reconciler, clock)
        self._emergencies = DueRights(store, reconciler, clock, (Urgency.EMERGENCY,))
        self._others = DueRights(store, reconciler, clock, (Urgency.REVOKE, Urgency.GRANT, Urgency.LOOK))
        self._nudges: tuple[Nudge, ...] = ()

    def sweep(self) -> VisitCounts:
        """Visit every right that is due now, once. Raises StoreUnavailable."""
        return self._all.visit_due()

    def loops(self, stopping: threading.Event) -> tuple[Loop, ...]:
        """Its loops, which end when `stopping` is set."""
        emergencies = Nudge(stopping, again_seconds=AGAIN_SECONDS)
        others = Nudge(stopping, again_seconds=AGAIN_SECONDS)
        self._nudges = (emergencies, others)
        return (
            Loop(EMERGENCY_LOOP, lambda: _visit(self._emergencies, stopping), EMERGENCY_SECONDS, emergencies.rest),
            Loop(DUE_LOOP, lambda: _visit(self._others, stopping), DUE_SECONDS, others.rest),
        )

    def nudge(self) -> None:
        """Something was committed in this process: see now what is due. Never waits."""
        for nudge in self._nudges:
            nudge.give()


def _visit(due: DueRights, stopping: threading.Event) -> None:
    while due.visit_due(PER_PASS, is_stopped=stopping.is_set).is_cut and not stopping.is_set():
        pass

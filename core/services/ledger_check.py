"""Check the ledgers against the events that they count, and rebuild the ones that are damaged.

Invariant: checking changes nothing. A rebuilt ledger counts what the events say, replaces exactly the version that was
found, and is an entry of the audit trail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import JsonValue

from core.actor import OPERATOR
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.mfa import CODES_LEDGER, CodeLedger
from core.services.ledger_recovery import count_anew
from core.services.observer import Unobserved
from core.services.use_case import retry_on_conflict
from core.stores.base import Stores
from core.usage import HORIZON, INVOKER_LEDGER, MAX_USAGES, PROFILE_LEDGER, UsageLedger

CHAIN: Final = "LEDGERS"
REBUILT: Final = "rebuilt"


class LedgerProblem(NamedTuple):
    """What is wrong with a ledger."""

    owner: str
    problem: str


class LedgerCheck:
    """Looks at every ledger of break-glass and of codes. Others are left alone: no event tells what they hold."""

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock
        self.checked = 0

    def find_problems(self) -> Iterator[LedgerProblem]:
        """Every ledger that can't be read, or that lacks an event of the last days. Raises StoreUnavailable."""
        # The events first: a ledger that is read later holds each of them, however many are made meanwhile.
        events = self._recent_events(self._clock.now())
        for owner in sorted({*self._stores.break_glass.iterate_ledger_owners(), *events}):
            empty = empty_ledger(owner)
            if empty is None:
                continue
            self.checked += 1
            problem = self._find_problem(empty, events.get(owner, []))
            if problem is not None:
                yield LedgerProblem(owner, problem)

    def rebuild(self, empty: Ledger) -> None:
        """Count a ledger anew from the events; a ledger of codes starts empty, unless it can be read.

        Raises MalformedRecord when what is stored can't be replaced, StoreUnavailable.
        """
        retry_on_conflict(lambda: self._rebuild(empty), Unobserved())
        details: dict[str, JsonValue] = {"ledger": empty.owner}
        draft = EntryDraft(event=AuditAction.LEDGER_REBUILT, actor=OPERATOR, outcome=REBUILT, details=details)
        self._stores.audit.append(CHAIN, draft)

    def _rebuild(self, empty: Ledger) -> None:
        store = self._stores.break_glass
        try:
            base = store.get_ledger(empty)
        except MalformedRecord:
            base = store.get_replaceable(empty)
        store.put_ledger(count_anew(base, store, self._clock.now()))

    def _find_problem(self, empty: Ledger, events: list[tuple[datetime, str]]) -> str | None:
        try:
            ledger = self._stores.break_glass.get_ledger(empty)
        except MalformedRecord as damage:
            return damage.problem
        if not isinstance(ledger, UsageLedger):
            return None
        newest = [event_id for _, event_id in sorted(events)[-MAX_USAGES:]]
        missing = [event_id for event_id in newest if not ledger.has(event_id)]
        return f"{len(missing)} of {len(newest)} events are missing, such as {missing[-1]}" if missing else None

    def _recent_events(self, now: datetime) -> dict[str, list[tuple[datetime, str]]]:
        found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        for event in self._stores.break_glass.iterate():
            if event.created_at > now - HORIZON:
                found[f"{INVOKER_LEDGER}#{event.invoker}"].append((event.created_at, event.id))
                found[f"{PROFILE_LEDGER}#{event.profile}"].append((event.created_at, event.id))
        return found


def empty_ledger(owner: str) -> Ledger | None:
    """The empty ledger of this owner, if it is one of break-glass or of codes."""
    kind = owner.partition("#")[0]
    if kind in {INVOKER_LEDGER, PROFILE_LEDGER}:
        return UsageLedger(owner=owner)
    return CodeLedger(owner=owner) if kind == CODES_LEDGER else None

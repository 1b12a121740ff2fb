"""Read the ledgers of a declaration; what can't be read is counted from the events, so that it stops no emergency.

Invariant: a ledger that can be read is used as it is. One that can't be is never believed in part: its usages are
counted from the events, the alert goes into the audit trail and the security channel, and the next change replaces
exactly the damaged version that was found. Until then, an event of the last moment may be missing from the count,
because lists of events are read from an index.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from core.actor import CLOCK, DeciderId, ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import MAX_DURATION
from core.clock import Clock
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.services.observer import Observer
from core.stores.base import BreakGlassStore, Stores
from core.stores.record_store import iterate_newest_first
from core.usage import HORIZON, INVOKER_LEDGER, MAX_USAGES, UsageLedger

L = TypeVar("L", bound=Ledger)
COUNTED_ANEW: Final = "counted_from_events"
"""The outcome in the audit entry of a ledger that can't be read."""
_log = logging.getLogger("countersign.ledgers")


@dataclass(frozen=True, slots=True)
class LedgersRead:
    """The ledgers of a declaration. `left_alone` are owners whose damaged ledgers can't be replaced by a write."""

    by_invoker: UsageLedger
    by_profile: UsageLedger
    codes: CodeLedger | None
    notes: DirectoryNotes
    left_alone: frozenset[str] = frozenset()

    def to_write(self, *moved: Ledger) -> list[Ledger]:
        """Those of the changed ledgers that can be written."""
        return [ledger for ledger in moved if ledger.owner not in self.left_alone]


class LedgerRecovery:
    """Reads ledgers. Safe for threads."""

    def __init__(self, stores: Stores, clock: Clock, observer: Observer) -> None:
        self._stores = stores
        self._clock = clock
        self._observer = observer

    def read(self, invoker: UserId, profile: ProfileName, *, codes_of: UserId | None) -> LedgersRead:
        """The ledgers, in one read if all can be read. `codes_of` is the id that typed a code, if one was typed.

        Raises StoreUnavailable, StoreMisconfigured.
        """
        store = self._stores.break_glass
        try:
            return LedgersRead(*store.read_ledgers(invoker, profile, codes_of=codes_of))
        except MalformedRecord:
            return self._recover(invoker, profile, codes_of=codes_of)

    def _recover(self, invoker: UserId, profile: ProfileName, *, codes_of: UserId | None) -> LedgersRead:
        left_alone: set[str] = set()

        def recover(empty: L) -> L:
            return self._recover_one(empty, profile, left_alone)

        return LedgersRead(
            recover(UsageLedger.of_invoker(invoker)),
            recover(UsageLedger.of_profile(profile)),
            recover(CodeLedger.of(codes_of)) if codes_of is not None else None,
            self._stores.directory.notes(),
            frozenset(left_alone),
        )

    def _recover_one(self, empty: L, profile: ProfileName, left_alone: set[str]) -> L:
        store = self._stores.break_glass
        try:
            return store.get_ledger(empty)
        except MalformedRecord as damage:
            self._alert(empty.owner, profile, damage)
        try:
            base = store.get_replaceable(empty)
        except MalformedRecord:
            # Not even its version can be read, so no write can be sure to replace just that.
            left_alone.add(empty.owner)
            base = empty
        return count_anew(base, store, self._clock.now())

    def _alert(self, owner: str, profile: ProfileName, damage: MalformedRecord) -> None:
        _log.error("a ledger can't be read, and is counted from the events: %s", damage)
        self._observer.ledger_unreadable(owner)
        draft = EntryDraft(
            event=AuditAction.LEDGER_UNREADABLE,
            actor=DeciderId(CLOCK),
            outcome=COUNTED_ANEW,
            profile=profile,
            details={"ledger": owner, "problem": damage.problem},
        )
        self._stores.refusals.note(draft)


def count_anew(base: L, store: BreakGlassStore, now: datetime) -> L:
    """The ledger as the events tell it, in the place of `base`. A ledger of codes starts empty. Raises StoreError."""
    if not isinstance(base, UsageLedger):
        return base
    kind, _, owner = base.owner.partition("#")
    attribute = "invoker" if kind == INVOKER_LEDGER else "profile"
    events = iterate_newest_first(store, attribute, owner, now - HORIZON - MAX_DURATION)
    return base.recounted(islice(events, MAX_USAGES))

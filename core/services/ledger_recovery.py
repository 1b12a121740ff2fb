"""Read the ledgers of a declaration; what can't be read is counted from the events, so that it stops no emergency.

Invariant: a ledger that can be read is used as it is. One that can't be is never believed in part: its usages are
counted from the events, the alert goes into the audit trail and the security channel, and the next change replaces
exactly the damaged version that was found. Until then, an event of the last moment may be missing from the count,
because lists of events are read from an index.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
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
from core.open_requests import SERVICE_PREFIX, OpenRequests, count_for
from core.request import MAX_DECIDE_WITHIN, Request
from core.services.observer import Observer
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first
from core.usage import HORIZON, INVOKER_LEDGER, MAX_USAGES, IdsOf, UsageLedger

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

    def read(self, ids_of: IdsOf, invoker: UserId, profile: ProfileName, *, with_codes: bool) -> LedgersRead:
        """The ledgers, in one read if all can be read. Raises StoreUnavailable, StoreMisconfigured.

        All ids of one person have one ledger, so that a limit counts the person. Codes are counted for each id, because
        each has a secret of its own.
        """
        store, codes_of = self._stores.break_glass, invoker if with_codes else None
        try:
            return LedgersRead(*store.read_ledgers(ids_of(invoker)[0], profile, codes_of=codes_of))
        except MalformedRecord:
            return self._recover(ids_of, invoker, profile, with_codes=with_codes)

    def _recover(self, ids_of: IdsOf, invoker: UserId, profile: ProfileName, *, with_codes: bool) -> LedgersRead:
        left_alone: set[str] = set()

        def recover(empty: L) -> L:
            return self._recover_one(empty, profile, ids_of, left_alone)

        return LedgersRead(
            recover(UsageLedger.of_invoker(ids_of(invoker)[0])),
            recover(UsageLedger.of_profile(profile)),
            recover(CodeLedger.of(invoker)) if with_codes else None,
            self._stores.directory.notes(),
            frozenset(left_alone),
        )

    def _recover_one(self, empty: L, profile: ProfileName, ids_of: IdsOf, left_alone: set[str]) -> L:
        store = self._stores.break_glass
        try:
            return store.get_ledger(empty)
        except MalformedRecord as damage:
            _log.error("a ledger can't be read, and is counted from the events: %s", damage)
            alert_unreadable(self._stores, self._observer, empty.owner, profile, damage, COUNTED_ANEW)
        try:
            base = store.get_replaceable(empty)
        except MalformedRecord:
            # Not even its version can be read, so no write can be sure to replace just that.
            left_alone.add(empty.owner)
            base = empty
        return count_anew(base, self._stores, ids_of, self._clock.now())


def alert_unreadable(
    stores: Stores, observer: Observer, owner: str, profile: ProfileName, damage: MalformedRecord, outcome: str
) -> None:
    """Tell the security channel, the audit trail and the metrics that a ledger can't be read."""
    observer.ledger_unreadable(owner)
    draft = EntryDraft(
        event=AuditAction.LEDGER_UNREADABLE,
        actor=DeciderId(CLOCK),
        outcome=outcome,
        profile=profile,
        details={"ledger": owner, "problem": damage.problem},
    )
    stores.refusals.note(draft)


def count_anew(base: L, stores: Stores, ids_of: IdsOf, now: datetime) -> L:
    """The ledger as the records tell it, in the place of `base`. A ledger of codes starts empty. Raises StoreError."""
    if isinstance(base, OpenRequests):
        return base.recounted(_find_requests(base.owner, stores, ids_of, now), now)
    if not isinstance(base, UsageLedger):
        return base
    kind, _, owner = base.owner.partition("#")
    since = now - HORIZON - MAX_DURATION
    # Each id of a person has a list of its own.
    wanted = [("invoker", each) for each in ids_of(UserId(owner))] if kind == INVOKER_LEDGER else [("profile", owner)]
    lists = [iterate_newest_first(stores.break_glass, *each, since) for each in wanted]
    newest_first = merge(*lists, key=lambda event: event.created_at, reverse=True)
    return base.recounted(islice(newest_first, MAX_USAGES), ids_of)


def _find_requests(owner: str, stores: Stores, ids_of: IdsOf, now: datetime) -> Iterator[Request]:
    _, person, profile = owner.split("#", 2)
    since = now - HORIZON - MAX_DECIDE_WITHIN
    if person.startswith(SERVICE_PREFIX):
        listed = iterate_newest_first(stores.requests, "profile", profile, since)
        yield from (request for request in listed if count_for("", request.service) == person)
        return
    for each in ids_of(UserId(person)):
        listed = iterate_newest_first(stores.requests, "requester", each, since)
        yield from (request for request in listed if request.profile == profile and request.service is None)

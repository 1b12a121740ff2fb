"""Check the ledgers against the records that they count, and rebuild the ones that are damaged.

Invariant: checking changes nothing. A rebuilt ledger counts what the records say, replaces exactly the version that was
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
from core.open_requests import MAX_PENDING, OPEN_REQUESTS_LEDGER, OpenRequests, count_for
from core.request import RequestStatus
from core.services.ledger_recovery import count_anew
from core.services.observer import Unobserved
from core.services.use_case import retry_on_conflict
from core.stores.base import Stores
from core.usage import HORIZON, INVOKER_LEDGER, MAX_USAGES, PROFILE_LEDGER, IdsOf, UsageLedger, each_alone

CHAIN: Final = "LEDGERS"
REBUILT: Final = "rebuilt"
_NAMES_PERSON_AND_PROFILE: Final = 2


class LedgerProblem(NamedTuple):
    """What is wrong with a ledger."""

    owner: str
    problem: str


class LedgerCheck:
    """Looks at every ledger of limits and of codes. Others are left alone: no record tells what they hold.

    `ids_of` says which ids are one person, as the policy in force does: they have one ledger.
    """

    def __init__(self, stores: Stores, clock: Clock, ids_of: IdsOf = each_alone) -> None:
        self._stores = stores
        self._clock = clock
        self._ids_of = ids_of
        self.checked = 0

    def find_problems(self) -> Iterator[LedgerProblem]:
        """Every ledger that can't be read, or lacks an event of the last days or an open request.

        Raises StoreUnavailable.
        """
        # The events first: a ledger that is read later holds each of them, however many are made meanwhile.
        events = self._recent_records(self._clock.now())
        for owner in sorted({*self._stores.break_glass.iterate_ledger_owners(), *events}):
            empty = empty_ledger(owner)
            if empty is None:
                continue
            self.checked += 1
            problem = self._find_problem(empty, sorted(events.get(owner, [])))
            if problem is not None:
                yield LedgerProblem(owner, problem)

    def rebuild(self, empty: Ledger) -> None:
        """Count a ledger anew from the records; a ledger of codes starts empty, unless it can be read.

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
        store.put_ledger(count_anew(base, self._stores, self._ids_of, self._clock.now()))

    def _find_problem(self, empty: Ledger, events: list[tuple[datetime, str]]) -> str | None:
        try:
            ledger = self._stores.break_glass.get_ledger(empty)
        except MalformedRecord as damage:
            return damage.problem
        if isinstance(ledger, OpenRequests):
            newest, what = [record_id for _, record_id in events[-MAX_PENDING:]], "open requests"
            missing = self._still_open([each for each in newest if not ledger.has(each)], ledger.owner)
        elif isinstance(ledger, UsageLedger):
            newest, what = [record_id for _, record_id in events[-MAX_USAGES:]], "events"
            missing = [each for each in newest if not ledger.has(each)]
        else:
            return None
        return f"{len(missing)} of {len(newest)} {what} are missing, such as {missing[-1]}" if missing else None

    def _still_open(self, request_ids: list[str], owner: str) -> list[str]:
        """Those that are open after the ledger was read, too, and whose first entry says that the ledger lists them.

        An older version made requests without a ledger.
        """
        found = self._stores.requests.get_each(request_ids) if request_ids else ()
        pending = [each for each in found if each.status is RequestStatus.PENDING]
        return [each.id for each in pending if owner in self._stores.audit.get_chain(each.chain)[0].ledgers]

    def _recent_records(self, now: datetime) -> dict[str, list[tuple[datetime, str]]]:
        found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        for event in self._stores.break_glass.iterate():
            if event.created_at > now - HORIZON:
                found[f"{INVOKER_LEDGER}#{self._ids_of(event.invoker)[0]}"].append((event.created_at, event.id))
                found[f"{PROFILE_LEDGER}#{event.profile}"].append((event.created_at, event.id))
        for request in self._stores.requests.iterate():
            if request.status is RequestStatus.PENDING and not request.is_overdue(now):
                counted = count_for(self._ids_of(request.requester)[0], request.service)
                owner = OpenRequests.of(counted, request.profile).owner
                found[owner].append((request.created_at, request.id))
        return found


def empty_ledger(owner: str) -> Ledger | None:
    """The empty ledger of this owner, if it is one of limits or of codes."""
    kind = owner.partition("#")[0]
    if kind in {INVOKER_LEDGER, PROFILE_LEDGER}:
        return UsageLedger(owner=owner)
    if kind == OPEN_REQUESTS_LEDGER and owner.count("#") == _NAMES_PERSON_AND_PROFILE:
        return OpenRequests(owner=owner)
    return CodeLedger(owner=owner) if kind == CODES_LEDGER else None

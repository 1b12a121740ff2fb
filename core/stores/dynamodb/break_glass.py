"""Break-glass events in DynamoDB, with the ledgers that move with them.

Invariant: an event, its ledgers, its grants and the request that it replaces are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final, TypeVar

from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.break_glass import BreakGlassEvent, EventId
from core.directory import DirectoryNotes
from core.errors import ConcurrentModification, MalformedRecord, StoreMisconfigured
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.stores.access import GrantWrite
from core.stores.base import BreakGlassStore, Replaced
from core.stores.commit import StoreSettings, prepare_create, prepare_update
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.directory import find_notes
from core.stores.dynamodb.grants import DynamoGrants
from core.stores.dynamodb.items import Item
from core.stores.dynamodb.ledgers import (
    LEDGER_PREFIX,
    inspect_stored_ledger,
    ledger_key,
    put_ledger,
    put_ledgers,
    replace_raw,
)
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.records import DynamoRecords
from core.stores.dynamodb.requests import DynamoRequests
from core.stores.ledgers import InvokerLedgers
from core.stores.listing import read_each, read_or_explain
from core.stores.schema import BREAK_GLASS
from core.stores.seals import SealAlarm, seal_ledger
from core.usage import UsageLedger

L = TypeVar("L", bound=Ledger)
_MAX_KEYS: Final = 100
"""The limit of BatchGetItem."""


class DynamoBreakGlass(DynamoRecords[BreakGlassEvent], BreakGlassStore):
    """The BreakGlassStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(connection, prefix, settings, alarm, table=BREAK_GLASS, kind=BreakGlassEvent)
        self._requests = DynamoRequests(connection, prefix, settings, alarm)
        self._grants = DynamoGrants(connection, prefix, settings, alarm)

    def create(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        replacing: Replaced | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        """Store a new event with its audit entry, its ledgers and grants, and with the request that it replaces."""
        commit = prepare_create(event, (entry,), self._settings, ledgers)
        beside = [put_ledgers(self._table, commit.ledgers)]
        if replacing is not None:
            beside.append(self._requests.to_part(replacing.request, replacing.entry))
        parts = [*beside, *self._grants.make(grants)]
        return self._repairing(grants, lambda: self._commit(commit, *parts, is_beside_first=True))

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event, consistently."""
        return self._get(event_id)

    def get_with_notes(self, event_id: EventId) -> tuple[BreakGlassEvent, DirectoryNotes]:
        """Read one event and the notes of changes in the directory, in one round trip."""
        return self._get_with_notes(event_id)

    def get_each(self, event_ids: Sequence[str]) -> tuple[BreakGlassEvent, ...]:
        """Read these events, consistently, a hundred in one read."""
        keys = [self._key(event_id) for event_id in dict.fromkeys(event_ids)]
        found = (
            self._connection.get_many(self._table, keys[at : at + _MAX_KEYS]) for at in range(0, len(keys), _MAX_KEYS)
        )
        return tuple(read_each(chain.from_iterable(found), self._read))

    def update(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        ended: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`, and end its grants."""
        commit = prepare_update(self.prove(event), (entry,), self._settings, ledgers)
        parts = [put_ledgers(self._table, commit.ledgers), *self._grants.end_early(ended)]
        return self._repairing(ended, lambda: self._commit(commit, *parts))

    def _repairing(self, writes: Sequence[GrantWrite], write: Callable[[], BreakGlassEvent]) -> BreakGlassEvent:
        """Nobody who damages the item of a right stops an emergency, or its end, by that."""
        try:
            return write()
        except StoreMisconfigured:
            if not self._grants.repair(each.grant.right for each in writes):
                raise
        return write()

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, each read consistently, in one read."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        found = self._find_ledgers(by_invoker, by_profile)
        return self._read_ledger(by_invoker, found), self._read_ledger(by_profile, found)

    def get_ledgers_and_codes(
        self, invoker: UserId, profile: ProfileName
    ) -> tuple[UsageLedger, UsageLedger, CodeLedger]:
        """The same, with the ledger of the invoker's codes."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        codes = CodeLedger.of(invoker)
        found = self._find_ledgers(by_invoker, by_profile, codes)
        usages = (self._read_ledger(by_invoker, found), self._read_ledger(by_profile, found))
        return *usages, self._read_ledger(codes, found)

    def get_codes(self, person: UserId) -> CodeLedger:
        """The ledger of one person's codes, read consistently."""
        codes = CodeLedger.of(person)
        return self._read_ledger(codes, self._find_ledgers(codes))

    def read_ledgers(self, invoker: UserId, profile: ProfileName, *, codes_of: UserId | None) -> InvokerLedgers:
        """All that a declaration is judged on, in one round trip."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        codes = CodeLedger.of(codes_of) if codes_of is not None else None
        wanted: list[Ledger] = [by_invoker, by_profile, DirectoryNotes(), *([codes] if codes is not None else [])]
        found = self._find_ledgers(*wanted)
        return InvokerLedgers(
            self._read_ledger(by_invoker, found),
            self._read_ledger(by_profile, found),
            self._read_ledger(codes, found) if codes is not None else None,
            find_notes(found.values(), self._settings),
        )

    def scan_ledgers(self) -> Iterator[tuple[str, Ledger | MalformedRecord]]:
        """Every stored ledger by its owner, or what is wrong with it."""
        items = self._connection.scan_all(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": LEDGER_PREFIX}},
        )
        inspect = partial(inspect_stored_ledger, keyring=self._settings.keyring)
        return ((item["pk"]["S"].removeprefix(LEDGER_PREFIX), read_or_explain(item, inspect)) for item in items)

    def get_ledger(self, empty: L) -> L:
        """The stored ledger with this owner, read consistently, or the empty one."""
        return self._read_ledger(empty, self._find_ledgers(empty))

    def get_replaceable(self, empty: L) -> L:
        """The empty ledger, which may replace whatever is stored for its owner now."""
        return replace_raw(empty, self._find_ledgers(empty))

    def iterate_ledger_owners(self) -> Iterator[str]:
        """The owner of every stored ledger, in no order."""
        items = self._connection.scan_all(
            TableName=self._table,
            FilterExpression="begins_with(pk, :prefix)",
            ProjectionExpression="pk",
            ExpressionAttributeValues={":prefix": {"S": LEDGER_PREFIX}},
        )
        return (str(item["pk"]["S"]).removeprefix(LEDGER_PREFIX) for item in items)

    def put_ledger(self, ledger: Ledger) -> None:
        """Replace only this ledger, if it still has the version that was read."""
        sealed = seal_ledger(ledger, self._settings.clock.now(), self._settings.keyring)
        try:
            self._connection.write("put_item", **put_ledger(self._table, sealed))
        except ConditionFailed as failure:
            raise ConcurrentModification(f"{LEDGER_PREFIX}{ledger.owner}") from failure

    def put_codes(self, codes: CodeLedger) -> None:
        """Replace the ledger of codes, if it still has the version `codes.updated_at`."""
        self.put_ledger(codes)

    def _find_ledgers(self, *empty: Ledger) -> dict[str, Item]:
        items = self._connection.get_many(self._table, [ledger_key(each) for each in empty])
        return {item["pk"]["S"]: item for item in items}

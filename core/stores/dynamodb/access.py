"""Access in DynamoDB: the grants, the holdings, and what is due.

Invariant: a holding is written in one step with the grant that moves with it, under the condition that neither it nor
the right's `nudge` changed since they were read. The holding is read first: whatever changed between that and the
reading of the grants makes the commit fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any, Final

from pydantic import JsonValue

from core.access.grant import Grant, GrantId
from core.access.holding import Holding, Urgency
from core.access.right import Right, right_key
from core.audit.trail import EntryDraft
from core.clock import format_time, parse_time
from core.errors import BrokenSeal, ConcurrentModification, MalformedRecord
from core.stores.access import AccessStore, DueRight, GrantWrite, RightState
from core.stores.commit import prepare_update
from core.stores.due import DueRow, Stage, read_due
from core.stores.dynamodb.entries import place_key, read_entry
from core.stores.dynamodb.grants import DynamoGrants
from core.stores.dynamodb.items import Item, from_attributes
from core.stores.dynamodb.ledgers import HOLDING_PREFIX
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.parts import Part
from core.stores.dynamodb.rights import (
    check_beside,
    find_live,
    find_nudge,
    holding_changed,
    holding_key,
    key_of,
    names_of,
    plain_holding,
    replace_holding,
)
from core.stores.inspection import compare_beside, inspect_holding
from core.stores.listing import read_each, read_or_explain
from core.stores.record_store import DEFAULT_LIMIT
from core.stores.right_state import (
    FoundGrants,
    FoundRight,
    after_commit,
    explain_longer_chain,
    seal_holding,
    tells_of_giving,
    to_state,
)
from core.stores.schema import TTL_ATTRIBUTE
from core.stores.seals import SEAL, SealedLedger, as_written, read_sealed_ledger, unsealed_if_unreadable

_MAX_KEYS: Final = 100
"""The limit of BatchGetItem."""
_FIRST: Final = "0"
_LAST: Final = "~"
"""Before and after every place in an index: these begin with a year."""


class DynamoAccess(DynamoGrants, AccessStore):
    """The AccessStore in DynamoDB."""

    def get(self, grant_id: GrantId) -> Grant:
        """Read one grant, consistently."""
        return self._get(grant_id)

    def get_each(self, grant_ids: Sequence[str]) -> tuple[Grant, ...]:
        """Read these grants, consistently, in one read."""
        return tuple(read_each(self._find_grants(grant_ids), self._read))

    def get_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        """Everything about a right: its own item, and then its grants."""
        item = self._connection.get(self._table, holding_key(right_key(right)))
        found, live = self._read_found(right, item or {}), find_live(item or {})
        last = found.holding.last_grant if found.holding is not None else None
        wanted = {*live, *also, *([last] if last is not None else [])}
        grants = FoundGrants.read(self._find_grants(sorted(wanted)), self._read_grant)
        return to_state(replace(found, is_known=item is not None), grants, lambda each: self._was_given(each, right))

    def find_rolled_back(self, grants: Sequence[Grant]) -> frozenset[str]:
        """The ids of those of the grants whose chain goes on after what was read."""
        places = [place_key(each.chain, each.audit_length + 1) for each in grants]
        items = self._connection.get_many(self._audit_table, places) if places else []
        found = {str(item["chain"]["S"]) for item in items}
        longer = [each for each in grants if each.chain in found]
        for grant in longer:
            stored = next(iter(self.get_each([grant.id])), None)
            explain_longer_chain(grant, stored, self._alarm)
        return frozenset(each.id for each in longer)

    def end(self, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        """Store that somebody ended these grants early."""
        commits = self._prepare_end(writes)
        if commits:
            first, *others = commits
            self._commit(first, *map(self._to_part, others), self._nudge([write.grant for write in writes]))
        return tuple(commit.record for commit in commits)

    def delete(self, record: Grant, entry: EntryDraft) -> None:
        """Remove the grant as it was read, and make its right due."""
        self._remove(record, entry, self._nudge([record], is_gone=True))

    def commit(
        self, state: RightState, holding: Holding, grant: Grant | None = None, entries: Sequence[EntryDraft] = ()
    ) -> RightState:
        """Replace the holding that was read, and the grant with its entries."""
        change = prepare_update(self.prove(grant), entries, self._settings) if grant is not None else None
        sealed = seal_holding(state.holding, holding, self._settings)
        written = change.record if change is not None else None
        changed = after_commit(state, as_written(holding, sealed), written)
        update = {"TableName": self._table, **replace_holding(state, changed, sealed, written)}
        if change is None:
            self._write_holding(update, sealed)
        else:
            self._commit(change, Part([{"Update": update}], holding_changed(holding)), is_beside_first=True)
        return changed

    def list_due(
        self, urgency: Urgency, now: datetime, *, limit: int = DEFAULT_LIMIT, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        """The rights that are due now, as urgent as this, longest due first."""
        return self._list("gsi-due", urgency, now, limit, after)

    def list_overdue(
        self, now: datetime, *, limit: int = DEFAULT_LIMIT, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        """The rights of pending and active grants whose window has passed, longest ago first."""
        return self._list("gsi-end", Stage.WANTED, now, limit, after)

    def find_first_end(self) -> datetime | None:
        """When the first of all live grants ends, or was to end."""
        first = [row for stage in Stage for row in self._places("gsi-end", stage, (_FIRST, _LAST), 1)]
        return min((parse_time(at) for at, *_ in first), default=None)

    def count_live(self, most: int) -> int:
        """How many grants are not final: of each, the place in one index."""
        return min(sum(len(self._places("gsi-end", stage, (_FIRST, _LAST), most)) for stage in Stage), most)

    def scan_holdings(self) -> Iterator[tuple[str, Holding | MalformedRecord]]:
        """Every stored holding by the key of its right, or what is wrong with it."""
        items = self._connection.scan_all(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :prefix) AND attribute_exists(#holding)",
            ExpressionAttributeNames=names_of("holding"),
            ExpressionAttributeValues={":prefix": {"S": HOLDING_PREFIX}},
        )
        return ((key_of(item), read_or_explain(item, self._inspect_holding)) for item in items)

    def _find_grants(self, grant_ids: Sequence[str]) -> Iterator[Item]:
        keys = [self._key(each) for each in dict.fromkeys(grant_ids)]
        pages = (keys[at : at + _MAX_KEYS] for at in range(0, len(keys), _MAX_KEYS))
        return chain.from_iterable(self._connection.get_many(self._table, page) for page in pages)

    def _read_found(self, right: Right, item: Item) -> FoundRight:
        """The right's own item; raises the alarm when it can't be trusted. Raises MalformedRecord."""
        empty = Holding.empty(right)
        with suppress(BrokenSeal), self._alarm.watch():
            with unsealed_if_unreadable():
                nudge = check_beside(right_key(right), item)
                stored = plain_holding(item) if "holding" in item else None
            if stored is None:
                return FoundRight(right, None, nudge)
            return FoundRight(right, read_sealed_ledger(empty, stored, self._settings.keyring), nudge)
        return FoundRight(right, None, find_nudge(item), damaged=item)

    def _read_grant(self, raw: Item) -> Grant:
        with self._alarm.watch(), unsealed_if_unreadable():
            from_attributes(raw, f"{Grant.KIND}#{self._id_of(raw)}")
        return self._read(raw)

    def _was_given(self, grant_id: str, right: Right) -> bool:
        items = self._connection.query_all(
            TableName=self._audit_table,
            ConsistentRead=True,
            KeyConditionExpression="chain = :chain AND seq > :head",
            ExpressionAttributeValues={":chain": {"S": f"{Grant.KIND}#{grant_id}"}, ":head": {"N": "0"}},
        )
        return tells_of_giving(read_each(items, read_entry), right, self._settings.keyring)

    def _write_holding(self, update: dict[str, Any], sealed: SealedLedger) -> None:
        try:
            self._connection.write("update_item", **update)
        except ConditionFailed as failure:
            stored = self._connection.get(self._table, update["Key"]) if failure.is_retry else None
            # Written by an earlier attempt, whose answer was lost: nobody else writes this seal.
            if stored is None or plain_holding(stored).get(SEAL) != sealed.item[SEAL]:
                raise ConcurrentModification(sealed.ledger.key) from failure

    def _list(self, index: str, value: str, now: datetime, limit: int, after: DueRight | None) -> tuple[DueRight, ...]:
        # Times have a fixed width, and a key of a right begins with a letter or a digit.
        end = f"{format_time(now)} {_LAST}"

        def find_rows(last: DueRow | None, count: int) -> list[DueRow]:
            # The least text that comes after it: a key has no space.
            start = f"{' '.join(last)} " if last is not None else _FIRST
            # AWS refuses a BETWEEN whose bounds are reversed.
            return self._places(index, value, (start, end), count) if start <= end else []

        return read_due(find_rows, limit=limit, after=after)

    def _places(self, index: str, value: str, bounds: tuple[str, str], count: int) -> list[DueRow]:
        """The first places in an index between two, as many as asked, or all there are."""
        key = self._layout.table.indexes[index]
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#partition = :value AND #sort BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#partition": key.partition, "#sort": key.sort},
            "ExpressionAttributeValues": {
                ":value": {"S": value}, ":first": {"S": bounds[0]}, ":last": {"S": bounds[1]},
            },
            "ProjectionExpression": "#sort, pk",
        }  # fmt: skip
        rows: list[DueRow] = []
        while len(rows) < count:
            page = self._connection.query(**query, Limit=count - len(rows))
            rows.extend(_to_row(item, key.sort) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return rows

    def _inspect_holding(self, item: Item) -> Holding:
        stored = plain_holding(item)
        holding = inspect_holding(key_of(item), stored, self._settings.keyring)
        if holding.next_look_at is None:
            return holding
        # A nudge may have moved both since; what is neither due nor kept would never be looked at again.
        beside: dict[str, JsonValue] = {
            "is_due": "due" in item and "urgency" in item,
            "is_kept": TTL_ATTRIBUTE not in item,
        }
        return compare_beside(holding, beside, dict.fromkeys(beside, True))


def _to_row(item: Item, sort: str | None) -> DueRow:
    at, _, right = str(item[str(sort)]["S"]).partition(" ")
    pk = str(item["pk"]["S"])
    return (at, right) if pk.startswith(HOLDING_PREFIX) else (at, right, pk.removeprefix(f"{Grant.KIND}#"))

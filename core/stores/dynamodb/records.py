"""Requests and break-glass events in DynamoDB.

Invariant: a change is one TransactWriteItems of the record, its audit entries and its ledgers, under conditions that
say all that `explain_refusal` demands. No read comes before the write; when a condition fails, what DynamoDB returns
says why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import JsonValue

from core.actor import ProfileName, UserId
from core.audit import AuditEntry, EntryDraft
from core.break_glass import BreakGlassEvent, EventId
from core.clock import format_time
from core.errors import BrokenChain, ConcurrentModification, CountersignError, MalformedRecord
from core.record import Record, check_record_id
from core.request import Request, RequestId
from core.stores.commit import (
    Commit,
    StoreSettings,
    existing,
    explain_refusal,
    missing,
    must_be_stored,
    prepare_create,
    prepare_delete,
    prepare_update,
    read_record,
    stamp_ledger,
)
from core.stores.dynamodb.audit import put_entry
from core.stores.dynamodb.connection import ConditionFailed, Connection
from core.stores.dynamodb.deliveries import entry_key
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.listing import EventLists, RecordLists, RequestLists, Row
from core.stores.paging import Position
from core.stores.schema import AUDIT, BREAK_GLASS, REQUESTS, TTL_ATTRIBUTE, Table
from core.usage import UsageLedger

R = TypeVar("R", bound=Record)
_log = logging.getLogger("countersign.store")
_LEDGER = "LEDGER"
_NOT_PART_OF_A_RECORD = frozenset({"pk", TTL_ATTRIBUTE})


class _DynamoRecords(RecordLists[R, Item]):
    """What both kinds of record have in common."""

    def __init__(
        self, connection: Connection, prefix: str, settings: StoreSettings, table: Table, kind: type[R]
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._schema = table
        self._table = table.name(prefix)
        self._audit_table = AUDIT.name(prefix)
        self._kind = kind

    def iterate(self) -> Iterator[R]:
        """Every record, in no order; malformed ones are logged and skipped."""
        for item in self._connection.scan_all(TableName=self._table, ConsistentRead=True):
            if self._is_record(item):
                try:
                    yield self._read(item)
                except MalformedRecord as error:
                    _log.warning("skipped: %s", error)

    def delete(self, record: R, entry: EntryDraft) -> None:
        """Remove the record as it was read; its audit chain stays and ends with this entry."""
        last = prepare_delete(record, entry, self._settings)
        condition = _all_equal({"updated_at": format_time(record.updated_at)})
        removal = {"Delete": {"TableName": self._table, "Key": self._key(record.id), **condition}}
        try:
            self._connection.transact([removal, put_entry(self._audit_table, last)], last.id)
        except ConditionFailed as failure:
            if self._has_taken_effect(last, failure):
                return
            if not failure.failed[0]:
                raise BrokenChain(record.chain) from failure
            is_gone = failure.stored[0] is None
            raise (missing(self._kind, record.id) if is_gone else ConcurrentModification(record.chain)) from failure

    def _create(self, record: R, drafts: Sequence[EntryDraft], ledgers: Sequence[UsageLedger] = ()) -> R:
        commit = prepare_create(record, drafts, self._settings)
        condition = {"ConditionExpression": f"attribute_not_exists({self._schema.key.partition})"}
        return self._commit(commit, condition, ledgers)

    def _update(self, record: R, draft: EntryDraft, ledgers: Sequence[UsageLedger] = ()) -> R:
        commit = prepare_update(record, (draft,), self._settings)
        condition = _all_equal(must_be_stored(commit), statuses=record.legal_sources())
        return self._commit(commit, condition, ledgers)

    def _commit(self, commit: Commit[R], condition: dict[str, Any], ledgers: Sequence[UsageLedger]) -> R:
        writes = [
            {"Put": {"TableName": self._table, "Item": self._item(commit), **condition}},
            *(put_entry(self._audit_table, entry) for entry in commit.entries),
            *(self._put_ledger(ledger, commit) for ledger in ledgers),
        ]
        try:
            self._connection.transact(writes, commit.entries[0].id)
        except ConditionFailed as failure:
            if not self._has_taken_effect(commit.entries[0], failure):
                raise self._explain(commit, failure) from failure
        return commit.record

    def _has_taken_effect(self, entry: AuditEntry, failure: ConditionFailed) -> bool:
        """True when the entry in the table is this very attempt's: it took effect, and only its answer was lost."""
        stored = failure.stored[1]
        if stored is None and failure.is_retry:
            stored = self._connection.get(self._audit_table, entry_key(entry))
        return stored is not None and stored.get("id") == {"S": entry.id}

    def _explain(self, commit: Commit[R], failure: ConditionFailed) -> CountersignError:
        record = commit.record
        if commit.as_read is None:
            # A ledger that changed comes first: who reads it again finds the same invocation in it.
            has_ledger_changed = any(failure.failed[1 + len(commit.entries) :])
            return ConcurrentModification(f"{_LEDGER} of {record.chain}") if has_ledger_changed else existing(record)
        if failure.failed[0]:
            stored = failure.stored[0]
            proposed = record.model_copy(update={"updated_at": commit.as_read})
            refusal = explain_refusal(self._read(stored) if stored is not None else None, proposed)
            return refusal or ConcurrentModification(record.chain)
        if failure.failed[1]:
            return BrokenChain(record.chain)
        return ConcurrentModification(f"{_LEDGER} of {record.chain}")

    def _get(self, record_id: str) -> R:
        check_record_id(record_id)
        item = self._connection.get(self._table, self._key(record_id))
        if item is None:
            raise missing(self._kind, record_id)
        return self._read(item)

    def _key(self, record_id: str) -> Item:
        return {self._schema.key.partition: {"S": self._partition(record_id)}}

    def _partition(self, record_id: str) -> str:
        return record_id if self._schema.key.partition == "id" else f"{self._kind.KIND}#{record_id}"

    def _is_record(self, item: Item) -> bool:
        partition = str(item[self._schema.key.partition].get("S", ""))
        return not partition.startswith(f"{_LEDGER}#")

    def _item(self, commit: Commit[R]) -> Item:
        item = to_attributes(commit.item) | self._key(commit.record.id)
        if commit.kept_until is not None:
            item[TTL_ATTRIBUTE] = {"N": str(int(commit.kept_until.timestamp()))}
        return item

    def _put_ledger(self, ledger: UsageLedger, commit: Commit[R]) -> dict[str, Any]:
        stamped = stamp_ledger(ledger, commit)
        as_read = format_time(ledger.updated_at) if ledger.updated_at is not None else None
        item = {
            **to_attributes(stamped.to_item()),
            "pk": {"S": f"{_LEDGER}#{ledger.owner}"},
            TTL_ATTRIBUTE: {"N": str(int(stamped.kept_until().timestamp()))},
        }
        return {"Put": {"TableName": self._table, "Item": item, **_all_equal({"updated_at": as_read})}}

    def _read(self, raw: Item) -> R:
        record_id = str(raw[self._schema.key.partition]["S"]).removeprefix(f"{self._kind.KIND}#")
        plain = from_attributes(raw, f"{self._kind.KIND}#{record_id}")
        return read_record(
            self._kind,
            record_id,
            {name: value for name, value in plain.items() if name not in _NOT_PART_OF_A_RECORD},
        )

    def _rows(
        self, attribute: str, value: str, after: Position | None, since: datetime | None, count: int
    ) -> list[Row[Item]]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": f"gsi-{attribute}",
            "KeyConditionExpression": "#attribute = :value",
            "ExpressionAttributeNames": {"#attribute": attribute},
            "ExpressionAttributeValues": {":value": {"S": value}},
            "ScanIndexForward": False,
        }
        if since is not None:
            # `created_at` is a key of the index, and AWS refuses a key in a filter.
            query["KeyConditionExpression"] += " AND created_at >= :since"
            query["ExpressionAttributeValues"][":since"] = {"S": format_time(since)}
        if after is not None:
            query["ExclusiveStartKey"] = {
                attribute: {"S": value},
                "created_at": {"S": after.created_at},
                self._schema.key.partition: {"S": after.id},
            }
        rows: list[Row[Item]] = []
        while len(rows) < count:
            page = self._connection.query(**query, Limit=count - len(rows))
            rows.extend(self._row(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return rows

    def _row(self, item: Item) -> Row[Item]:
        # The position holds the table's own key, so that a malformed item is a place to go on from, too.
        return Row(Position(item["created_at"]["S"], item[self._schema.key.partition]["S"]), item)


class DynamoRequests(_DynamoRecords[Request], RequestLists[Item]):
    """The RequestStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        super().__init__(connection, prefix, settings, REQUESTS, Request)

    def create(self, request: Request, *entries: EntryDraft) -> Request:
        """Store a new request with its first audit entries."""
        return self._create(request, entries)

    def get(self, request_id: RequestId) -> Request:
        """Read one request, consistently."""
        return self._get(request_id)

    def update(self, request: Request, entry: EntryDraft) -> Request:
        """Replace the request that was read with `request.updated_at`."""
        return self._update(request, entry)


class DynamoBreakGlass(_DynamoRecords[BreakGlassEvent], EventLists[Item]):
    """The BreakGlassStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        super().__init__(connection, prefix, settings, BREAK_GLASS, BreakGlassEvent)

    def create(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[UsageLedger] = ()) -> BreakGlassEvent:
        """Store a new event with its audit entry and its ledgers."""
        return self._create(event, (entry,), ledgers)

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event, consistently."""
        return self._get(event_id)

    def update(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[UsageLedger] = ()) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`."""
        return self._update(event, entry, ledgers)

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, each read consistently, in one read."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        keys = [{"pk": {"S": f"{_LEDGER}#{each.owner}"}} for each in (by_invoker, by_profile)]
        found = {item["pk"]["S"]: item for item in self._connection.get_many(self._table, keys)}
        return _read_ledger(by_invoker, found), _read_ledger(by_profile, found)


def _read_ledger(empty: UsageLedger, found: Mapping[str, Item]) -> UsageLedger:
    item = found.get(f"{_LEDGER}#{empty.owner}")
    if item is None:
        return empty
    plain = from_attributes(item, f"{_LEDGER}#{empty.owner}")
    return UsageLedger.from_item({name: value for name, value in plain.items() if name not in _NOT_PART_OF_A_RECORD})


def _all_equal(facts: Mapping[str, JsonValue], statuses: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A condition: each attribute has this value, or is absent for None; and the status is one of these.

    Every name is aliased, because `status`, `duration` and others are reserved words.
    """
    names = {f"#a{number}": name for number, name in enumerate(facts)}
    values = to_attributes({f":a{number}": value for number, value in enumerate(facts.values())})
    parts = [
        f"{alias} = :{alias[1:]}" if f":{alias[1:]}" in values else f"attribute_not_exists({alias})" for alias in names
    ]
    if statuses:
        names["#status"] = "status"
        allowed = {f":s{number}": {"S": status} for number, status in enumerate(sorted(statuses))}
        parts.append(f"#status IN ({', '.join(allowed)})")
        values |= allowed
    condition = {"ConditionExpression": " AND ".join(parts), "ExpressionAttributeNames": names}
    # DynamoDB refuses an empty map of values.
    return {**condition, "ExpressionAttributeValues": values} if values else condition

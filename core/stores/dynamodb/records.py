"""Records in DynamoDB: what all kinds share.

Invariant: a change is one TransactWriteItems of the record, its audit entries and what changes with them, under
conditions that express everything `explain_refusal` demands. No read comes before the write; when a condition fails,
the item that DynamoDB returns shows why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from core.audit.trail import AuditEntry, EntryDraft
from core.clock import format_time
from core.directory import DirectoryNotes
from core.errors import BrokenChain, ConcurrentModification, CountersignError, MalformedRecord
from core.ledger import Ledger
from core.record import Record, check_record_id
from core.stores.commit import (
    Commit,
    StoreSettings,
    as_it_was_read,
    existing,
    explain_refusal,
    missing,
    must_be_stored,
    prepare_delete,
    prepare_update,
)
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.directory import find_notes, notes_key
from core.stores.dynamodb.entries import entry_key, put_entries, read_entry
from core.stores.dynamodb.items import Item, to_attributes
from core.stores.dynamodb.layout import Layout
from core.stores.dynamodb.ledgers import read_ledger
from core.stores.dynamodb.outbox import put_deliveries
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.parts import Part, explain_parts, join_writes
from core.stores.inspection import compare_beside, inspect_record
from core.stores.listing import StoredRow, read_each, read_or_explain, read_page
from core.stores.paging import Position
from core.stores.record_store import Page
from core.stores.schema import AUDIT, AWAITS_ATTRIBUTE, BREAK_GLASS, OUTBOX, TTL_ATTRIBUTE, Table
from core.stores.seals import SealAlarm, read_sealed_record

R = TypeVar("R", bound=Record)
L = TypeVar("L", bound=Ledger)


class DynamoRecords(Generic[R]):
    """What all kinds of record have in common."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        settings: StoreSettings,
        alarm: SealAlarm,
        *,
        table: Table,
        kind: type[R],
        body: str | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._alarm = alarm
        self._layout = Layout(table, kind, body)
        self._table = table.name(prefix)
        self._audit_table = AUDIT.name(prefix)
        self._outbox_table = OUTBOX.name(prefix)
        self._ledger_table = BREAK_GLASS.name(prefix)
        self._kind = kind

    def iterate(self) -> Iterator[R]:
        """Every record, in no order; malformed ones are logged and skipped."""
        items = self._connection.scan_all(TableName=self._table, ConsistentRead=True)
        return read_each(filter(self._layout.is_record, items), self._read)

    def iterate_ids(self) -> Iterator[str]:
        """The id of every record, in no order."""
        names = {"#key": self._layout.partition_key}
        keys = self._connection.scan_all(
            TableName=self._table, ConsistentRead=True, ProjectionExpression="#key", ExpressionAttributeNames=names
        )
        return (self._id_of(item) for item in keys if self._layout.is_record(item))

    def find_many(self, record_ids: Sequence[str]) -> Mapping[str, R | MalformedRecord]:
        """The records with these ids that exist, in one read."""
        items = self._connection.get_many(self._table, [self._key(each) for each in record_ids]) if record_ids else ()
        return {self._id_of(item): read_or_explain(item, self._inspect) for item in items}

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[R]:
        """The records whose attribute has this value, newest first, from the attribute's index."""

        def find_rows(after: Position | None, count: int) -> list[StoredRow[Item]]:
            return self._rows(attribute, value, after, since, count)

        return read_page(find_rows, self._read, limit=limit, cursor=cursor, since=since)

    def delete(self, record: R, entry: EntryDraft) -> None:
        """Remove the record as it was read; its audit chain stays and ends with this entry."""
        self._remove(record, entry)

    def _remove(self, record: R, entry: EntryDraft, *beside: Part) -> None:
        record = self.prove(record)
        last = prepare_delete(record, entry, self._settings)
        condition = self._layout.all_equal(as_it_was_read(record))
        removal = {"Delete": {"TableName": self._table, "Key": self._key(record.id), **condition}}
        try:
            own = Part([removal, *self._put_entries((last,))])
            self._connection.transact(join_writes(own, *beside), last.id)
        except ConditionFailed as failure:
            if self._has_taken_effect(last, failure):
                return
            if not failure.failed[0]:
                raise BrokenChain(record.chain) from failure
            is_gone = failure.stored[0] is None
            raise (missing(self._kind, record.id) if is_gone else ConcurrentModification(record.chain)) from failure

    def to_writes(self, commit: Commit[R]) -> list[dict[str, Any]]:
        """The record and its entries as the writes of a transaction, under all the conditions of the change."""
        if commit.is_new:
            condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({self._layout.partition_key})"}
        else:
            condition = self._layout.all_equal(must_be_stored(commit), statuses=commit.record.legal_sources())
        put = {"Put": {"TableName": self._table, "Item": self._item(commit), **condition}}
        return [put, *self._put_entries(commit.entries)]

    def to_part(self, record: R, entry: EntryDraft) -> Part:
        """The next version of a record that was read, for somebody else's transaction."""
        commit = prepare_update(self.prove(record), (entry,), self._settings)
        return Part(self.to_writes(commit), partial(self.explain, commit))

    def _put_entries(self, entries: Sequence[AuditEntry]) -> list[dict[str, Any]]:
        # The deliveries last: they have no condition, so the conditions of the others keep their numbers.
        return [*put_entries(self._audit_table, entries), *put_deliveries(self._outbox_table, entries)]

    def explain(self, commit: Commit[R], failure: ConditionFailed) -> CountersignError | None:
        """The outcome of a transaction's first conditions, those of this change; None if the change is allowed."""
        if commit.is_new:
            return existing(commit.record) if any(failure.failed[: 1 + len(commit.entries)]) else None
        if failure.failed[0]:
            stored = failure.stored[0]
            refusal = explain_refusal(self._read(stored) if stored is not None else None, commit.proposed)
            return refusal or ConcurrentModification(commit.record.chain)
        return BrokenChain(commit.record.chain) if failure.failed[1] else None

    def _commit(self, commit: Commit[R], *beside: Part, is_beside_first: bool = False) -> R:
        """Write the change and what changes with it; a failed condition is raised as the matching error.

        With `is_beside_first`, conflicts on other items come first: a caller that reads again finds them there.
        """
        own = Part(self.to_writes(commit), partial(self.explain, commit))
        try:
            self._connection.transact(join_writes(own, *beside), commit.entries[0].id)
        except ConditionFailed as failure:
            if self._has_taken_effect(commit.entries[0], failure):
                return commit.record
            reasons = explain_parts((own, *beside), failure)
            ordered = (*reasons[1:], reasons[0]) if is_beside_first else reasons
            conflict = ConcurrentModification(commit.record.chain)
            raise next(filter(None, ordered), conflict) from failure
        return commit.record

    def _has_taken_effect(self, entry: AuditEntry, failure: ConditionFailed) -> bool:
        """True when the entry in the table is from this very attempt: it took effect, and only its answer was lost."""
        stored = failure.stored[1]
        if stored is None and failure.is_retry:
            stored = self._connection.get(self._audit_table, entry_key(entry))
        return stored is not None and stored.get("id") == {"S": entry.id}

    def prove(self, record: R) -> R:
        """The record with the proof of what it replaces. One that a caller built has none: it is read for it."""
        if record.as_read.digest:
            return record
        return record.model_copy(update={"as_read": self._get(record.id).as_read})

    def _find_entry(self, chain: str, seq: int) -> AuditEntry | None:
        item = self._connection.get(self._audit_table, {"chain": {"S": chain}, "seq": {"N": str(seq)}})
        return None if item is None else read_entry(item)

    def _get(self, record_id: str) -> R:
        check_record_id(record_id)
        item = self._connection.get(self._table, self._key(record_id))
        if item is None:
            raise missing(self._kind, record_id)
        return self._read(item)

    def _get_with_notes(self, record_id: str) -> tuple[R, DirectoryNotes]:
        record, items = self._get_beside(record_id, notes_key())
        return record, find_notes(items, self._settings)

    def _get_beside(self, record_id: str, *keys: Item) -> tuple[R, Sequence[Item]]:
        """A record and the ledgers with these keys that exist, consistently, in one round trip."""
        check_record_id(record_id)
        key = self._key(record_id)
        wanted: dict[str, list[Item]] = {self._table: [key]}
        wanted.setdefault(self._ledger_table, []).extend(keys)
        found = self._connection.get_batch(wanted)
        item = next((each for each in found[self._table] if key.items() <= each.items()), None)
        if item is None:
            raise missing(self._kind, record_id)
        return self._read(item), found[self._ledger_table]

    def _key(self, record_id: str) -> Item:
        return self._layout.key(record_id)

    def _id_of(self, item: Item) -> str:
        return self._layout.id_of(item)

    def _item(self, commit: Commit[R]) -> Item:
        item = self._layout.item(commit.record, commit.item)
        if commit.kept_until is not None:
            item[TTL_ATTRIBUTE] = {"N": str(int(commit.kept_until.timestamp()))}
        return item | to_attributes(self._beside(commit.record))

    def _beside(self, record: R) -> dict[str, JsonValue]:
        """What stands beside a record of this kind, so that it can be found."""
        return {AWAITS_ATTRIBUTE: record.awaits}

    def _inspect(self, raw: Item) -> R:
        stored, beside = self._layout.plain(raw)
        record = inspect_record(self._kind, self._id_of(raw), stored, self._settings.keyring)
        expected = {**self._beside(record), "pk": self._key(record.id).get("pk", {}).get("S")}
        return compare_beside(record, beside, expected, ttl=beside.get(TTL_ATTRIBUTE))

    def _read(self, raw: Item) -> R:
        stored, _ = self._layout.plain(raw)
        with self._alarm.watch():
            return read_sealed_record(self._kind, self._id_of(raw), stored, self._settings.keyring, self._find_entry)

    def _rows(
        self, attribute: str, value: str, after: Position | None, since: datetime | None, count: int
    ) -> list[StoredRow[Item]]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": f"gsi-{attribute}",
            "KeyConditionExpression": "#attribute = :value",
            "ExpressionAttributeNames": {"#attribute": attribute},
            "ExpressionAttributeValues": {":value": {"S": self._layout.value(value)}},
            "ScanIndexForward": False,
        }
        if since is not None:
            # `created_at` is a key of the index, and AWS refuses a key in a filter.
            query["KeyConditionExpression"] += " AND created_at >= :since"
            query["ExpressionAttributeValues"][":since"] = {"S": format_time(since)}
        if after is not None:
            query["ExclusiveStartKey"] = {
                attribute: {"S": self._layout.value(value)},
                "created_at": {"S": after.created_at},
                self._layout.partition_key: {"S": after.id},
            }
        rows: list[StoredRow[Item]] = []
        while len(rows) < count:
            page = self._connection.query(**query, Limit=count - len(rows))
            rows.extend(self._row(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return rows

    def _row(self, item: Item) -> StoredRow[Item]:
        # The position holds the table's own key, so that reading can continue from a malformed item too.
        return StoredRow(Position(item["created_at"]["S"], item[self._layout.partition_key]["S"]), item)

    def _read_ledger(self, empty: L, found: Mapping[str, Item]) -> L:
        with self._alarm.watch():
            return read_ledger(empty, found, self._settings.keyring)

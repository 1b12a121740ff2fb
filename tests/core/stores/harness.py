"""One engine with empty tables and a store on them, and a way to look at, and to spoil, what is stored.

Invariant: a store under test is used through its protocols only; whatever a test does behind its back, it does here.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.items import from_attributes, to_attributes
from core.stores.schema import AUDIT, BREAK_GLASS, REQUESTS, TABLES, Table
from core.stores.sqlite import SqliteStores
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from core.record import Record
    from core.stores.base import Stores

KEYRING: Final = AuditKeyring.from_text("k" * 64)
Stored = dict[str, Any]


class StoreHarness(ABC):
    """An engine, empty at the beginning of a test. `stores` is one instance on it, as one running bot has it."""

    def __init__(self, name: str, clock: FrozenClock) -> None:
        self.name = name
        self.clock = clock
        self.settings = StoreSettings(keyring=KEYRING, clock=clock)
        self._opened: list[Stores] = []
        self.stores = self.open()

    def open(self) -> Stores:
        """One more instance on the same tables, as a second running bot has it."""
        stores = self._open()
        self._opened.append(stores)
        return stores

    def close(self) -> None:
        """Close every instance."""
        for stores in self._opened:
            stores.close()

    def exempt(self, engine: str, reason: str) -> None:
        """Leave out the rest of the test on one engine, and say why."""
        if self.name == engine:
            pytest.skip(f"{engine}: {reason}")

    @abstractmethod
    def _open(self) -> Stores: ...

    @abstractmethod
    def stored(self, record: Record) -> Stored | None:
        """All that is stored of a record, as plain values; None: nothing."""

    @abstractmethod
    def spoil(self, record: Record, changes: Mapping[str, object]) -> None:
        """Change attributes of a stored record behind the store's back; None removes one."""

    @abstractmethod
    def make_unreadable(self, record: Record) -> None:
        """Store something under a record's key that no version ever wrote."""

    @abstractmethod
    def stored_entries(self) -> list[tuple[str, int]]:
        """The places, chain and number, of every audit entry."""

    @abstractmethod
    def spoil_entry(self, entry: AuditEntry) -> None:
        """Make one audit entry unreadable, in its place."""

    @abstractmethod
    def remove_entry(self, entry: AuditEntry) -> None:
        """Remove one audit entry behind the store's back."""

    @abstractmethod
    def add_entry(self, entry: AuditEntry) -> None:
        """Put an audit entry behind the store's back."""

    @abstractmethod
    def damage_ledger(self, owner: str) -> None:
        """Make one ledger unreadable, in its place."""

    @abstractmethod
    def stored_ledgers(self) -> dict[str, Stored]:
        """Every ledger as it is stored, by its owner."""

    @abstractmethod
    def spoil_ledger(self, owner: str, changes: Mapping[str, object]) -> None:
        """Change attributes of a stored ledger behind the store's back; None removes one."""

    @abstractmethod
    def remove_ledger(self, owner: str) -> None:
        """Remove a ledger behind the store's back."""


class SqliteHarness(StoreHarness):
    """A file of its own for each test."""

    def __init__(self, path: Path, clock: FrozenClock) -> None:
        self.path = path
        super().__init__("sqlite", clock)

    def _open(self) -> SqliteStores:
        return SqliteStores(str(self.path), self.settings)

    def ask(self, statement: str, *values: object) -> list[Any]:
        """Run one statement past the store."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def stored(self, record: Record) -> Stored | None:
        rows = self.ask(f"SELECT body FROM {_sqlite_table(record)} WHERE id = ?", record.id)  # noqa: S608
        return dict(json.loads(rows[0][0])) if rows else None

    def spoil(self, record: Record, changes: Mapping[str, object]) -> None:
        stored = self.stored(record) or {}
        self._write(
            record, json.dumps({name: each for name, each in {**stored, **changes}.items() if each is not None})
        )

    def make_unreadable(self, record: Record) -> None:
        self._write(record, "{")

    def stored_entries(self) -> list[tuple[str, int]]:
        return self.ask("SELECT chain, seq FROM audit")

    def spoil_entry(self, entry: AuditEntry) -> None:
        self.ask("UPDATE audit SET body = '{' WHERE chain = ? AND seq = ?", entry.chain, entry.seq)

    def remove_entry(self, entry: AuditEntry) -> None:
        self.ask("DELETE FROM audit WHERE chain = ? AND seq = ?", entry.chain, entry.seq)

    def add_entry(self, entry: AuditEntry) -> None:
        item = entry.to_item()
        values = (item["chain"], item["seq"], item["id"], item["at"], json.dumps(item))
        self.ask("INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)", *values)

    def damage_ledger(self, owner: str) -> None:
        self.ask("UPDATE ledgers SET body = '{' WHERE owner = ?", owner)

    def stored_ledgers(self) -> dict[str, Stored]:
        return {owner: json.loads(body) for owner, body in self.ask("SELECT owner, body FROM ledgers")}

    def spoil_ledger(self, owner: str, changes: Mapping[str, object]) -> None:
        item = {**self.stored_ledgers()[owner], **changes}
        body = json.dumps({name: value for name, value in item.items() if value is not None})
        version = changes.get("updated_at") or item["updated_at"]
        self.ask("UPDATE ledgers SET body = ?, updated_at = ? WHERE owner = ?", body, version, owner)

    def remove_ledger(self, owner: str) -> None:
        self.ask("DELETE FROM ledgers WHERE owner = ?", owner)

    def _write(self, record: Record, body: str) -> None:
        self.ask(f"UPDATE {_sqlite_table(record)} SET body = ? WHERE id = ?", body, record.id)  # noqa: S608


class DynamoHarness(StoreHarness):
    """Tables that many tests use one after the other, emptied before each."""

    def __init__(self, name: str, url: str, client: Any, prefix: str, clock: FrozenClock) -> None:  # noqa: ANN401
        self.url = url
        self.client = client
        self.prefix = prefix
        for table in TABLES:
            _empty(client, table, table.name(prefix))
        super().__init__(name, clock)

    def _open(self) -> DynamoStores:
        connection = Connection(self.client)
        return DynamoStores(connection, self.prefix, self.settings)

    @contextmanager
    def calls(self) -> Iterator[list[tuple[str, Stored]]]:
        """What is asked of DynamoDB meanwhile: the operations with their arguments, in order."""
        seen: list[tuple[str, Stored]] = []

        def note(params: Stored, model: Any, **_: object) -> None:  # noqa: ANN401  botocore's OperationModel
            seen.append((model.name, params))

        events, event = self.client.meta.events, "before-parameter-build.dynamodb"
        events.register(event, note)
        try:
            yield seen
        finally:
            events.unregister(event, note)

    def stored(self, record: Record) -> Stored | None:
        item = self.client.get_item(**self._place(record), ConsistentRead=True).get("Item")
        return dict(from_attributes(item, "item")) if item is not None else None

    def spoil(self, record: Record, changes: Mapping[str, object]) -> None:
        stored = self.client.get_item(**self._place(record), ConsistentRead=True)["Item"]
        removed = {name for name, value in changes.items() if value is None}
        changed = {name: _typed(value) for name, value in changes.items() if value is not None}
        item = {name: value for name, value in (stored | changed).items() if name not in removed}
        self.client.put_item(TableName=_dynamo_table(record).name(self.prefix), Item=item)

    def make_unreadable(self, record: Record) -> None:
        stored = self.client.get_item(**self._place(record), ConsistentRead=True)["Item"]
        item = stored | {"justification": {"B": b"\x00"}}
        self.client.put_item(TableName=_dynamo_table(record).name(self.prefix), Item=item)

    def stored_entries(self) -> list[tuple[str, int]]:
        items = self.client.scan(TableName=AUDIT.name(self.prefix), ConsistentRead=True)["Items"]
        return [(item["chain"]["S"], int(item["seq"]["N"])) for item in items]

    def spoil_entry(self, entry: AuditEntry) -> None:
        key = {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}}
        self.client.update_item(
            TableName=AUDIT.name(self.prefix),
            Key=key,
            UpdateExpression="SET details = :junk",
            ExpressionAttributeValues={":junk": {"B": b"\x00"}},
        )

    def remove_entry(self, entry: AuditEntry) -> None:
        key = {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}}
        self.client.delete_item(TableName=AUDIT.name(self.prefix), Key=key)

    def spoil_places(self, record: Record, junk: Stored) -> None:
        """Put attributes where the places of a record's messages stand."""
        item = {"chain": {"S": record.chain}, "seq": {"N": "0"}, **junk}
        self.client.put_item(TableName=AUDIT.name(self.prefix), Item=item)

    def add_entry(self, entry: AuditEntry) -> None:
        item = to_attributes(entry.to_item()) | {"month": {"S": entry.to_item()["at"]}}
        self.client.put_item(TableName=AUDIT.name(self.prefix), Item=item)

    def damage_ledger(self, owner: str) -> None:
        self.client.update_item(
            TableName=BREAK_GLASS.name(self.prefix),
            Key={"pk": {"S": f"LEDGER#{owner}"}},
            UpdateExpression="SET #owner = :junk",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":junk": {"B": b"\x00"}},
        )

    def stored_ledgers(self) -> dict[str, Stored]:
        items = self.client.scan(TableName=BREAK_GLASS.name(self.prefix), ConsistentRead=True)["Items"]
        return {item["owner"]["S"]: dict(from_attributes(item, "item")) for item in items if "owner" in item}

    def spoil_ledger(self, owner: str, changes: Mapping[str, object]) -> None:
        place = {"TableName": BREAK_GLASS.name(self.prefix), "Key": {"pk": {"S": f"LEDGER#{owner}"}}}
        item = self.client.get_item(**place, ConsistentRead=True)["Item"]
        item |= {name: _typed(value) for name, value in changes.items() if value is not None}
        kept = {name: value for name, value in item.items() if name not in changes or changes[name] is not None}
        self.client.put_item(TableName=place["TableName"], Item=kept)

    def remove_ledger(self, owner: str) -> None:
        self.client.delete_item(TableName=BREAK_GLASS.name(self.prefix), Key={"pk": {"S": f"LEDGER#{owner}"}})

    def _place(self, record: Record) -> Stored:
        table = _dynamo_table(record)
        partition = record.id if table is REQUESTS else record.chain
        return {"TableName": table.name(self.prefix), "Key": {table.key.partition: {"S": partition}}}


def _sqlite_table(record: Record) -> str:
    return "requests" if record.KIND == "REQUEST" else "break_glass"


def _dynamo_table(record: Record) -> Table:
    return REQUESTS if record.KIND == "REQUEST" else BREAK_GLASS


def _typed(value: object) -> Stored:
    if isinstance(value, float):
        return {"N": str(value)}
    assert isinstance(value, str | int)
    return to_attributes({"value": value})["value"]  # type: ignore[no-any-return]


def _empty(client: Any, table: Table, name: str) -> None:  # noqa: ANN401  boto3's client, with a loose type
    items = client.scan(TableName=name, ConsistentRead=True)["Items"]
    removals = [{"DeleteRequest": {"Key": {each: item[each] for each in table.key.names()}}} for item in items]
    for first in range(0, len(removals), 25):
        client.batch_write_item(RequestItems={name: removals[first : first + 25]})
    if removals:
        # A scan gives a page of 1 MB at most.
        _empty(client, table, name)

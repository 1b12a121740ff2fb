"""One engine with empty tables and a store on them, and a way to look at, and to spoil, what is stored.

Invariant: a store under test is used through its protocols only; whatever a test does behind its back, it does here.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time, parse_time
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.deployment import AwsAccount, Role, iam_policy
from core.stores.dynamodb.items import from_attributes, to_attributes
from core.stores.schema import ACCESS, AUDIT, BREAK_GLASS, OUTBOX, REQUESTS, TABLES, Table
from core.stores.sqlite import SqliteStores
from tests.harness.clock import FrozenClock
from tests.harness.iam import IamClient
from tests.harness.keys import AUDIT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from core.access.grant import Grant
    from core.access.right import Right
    from core.record import Record
    from core.stores.base import Stores
    from core.stores.messages import MessageRef

_BODIES: Final = {"SESSION": "session", "DEVICE": "device"}
"""The attribute that holds a record of this kind whole."""
KEYRING: Final = AuditKeyring.from_text(AUDIT_KEY)
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
    def spoil_delivery(self, entry: AuditEntry) -> None:
        """Make what the outbox would deliver of an entry unreadable."""

    @abstractmethod
    def queue(self, place: AuditEntry, entry: AuditEntry) -> None:
        """Queue this entry for delivery in a place, behind the store's back, in everything that a delivery reads."""

    @abstractmethod
    def leave_undelivered(self, entry: AuditEntry, *, is_parked: bool = False, **progress: object) -> None:
        """Queue a stored entry the way an older version did, instead of the way this one does."""

    @abstractmethod
    def hide_entry(self, entry: AuditEntry) -> None:
        """Keep one audit entry out of the order of time."""

    @abstractmethod
    def remove(self, record: Record) -> None:
        """Remove a record behind the store's back."""

    @abstractmethod
    def put_back(self, record: Record, stored: Stored) -> None:
        """Store what was stored of a record earlier, with what stood beside it."""

    @abstractmethod
    def remove_refusals(self, chain: str) -> None:
        """Remove a chain of refused attempts together with its head."""

    @abstractmethod
    def damage_ledger(self, owner: str) -> None:
        """Make one ledger unreadable, in its place."""

    @abstractmethod
    def spoil_beside(self, record: Record, changes: Mapping[str, object]) -> None:
        """Change what stands beside a record, and no seal covers, behind the store's back."""

    @abstractmethod
    def stored_ledgers(self) -> dict[str, Stored]:
        """Every ledger as it is stored, by its owner."""

    @abstractmethod
    def spoil_ledger(self, owner: str, changes: Mapping[str, object]) -> None:
        """Change attributes of a stored ledger behind the store's back; None removes one."""

    @abstractmethod
    def remove_ledger(self, owner: str) -> None:
        """Remove a ledger behind the store's back."""

    @abstractmethod
    def stored_holding(self, right: Right) -> Stored | None:
        """What is stored of a right's holding, without what stands beside it; None: nothing."""

    @abstractmethod
    def spoil_holding(self, right: Right, changes: Mapping[str, object]) -> None:
        """Change attributes of a stored holding behind the store's back; None removes one."""

    @abstractmethod
    def remove_right(self, right: Right) -> None:
        """Remove, behind the store's back, all that is stored of a right but its grants."""

    @abstractmethod
    def list_with(self, right: Right, grant: Grant) -> None:
        """List a grant with a right that isn't its own, behind the store's back."""

    @abstractmethod
    def forget_due(self, right: Right) -> None:
        """Take away, behind the store's back, that a right is due."""

    @abstractmethod
    def damage_due(self, right: Right) -> None:
        """Make the list of what is due name something that is no right, in place of this one."""

    @abstractmethod
    def kept_until(self, right: Right) -> datetime | None:
        """Until when the store keeps what it knows of a right; None: for ever."""


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

    def spoil_delivery(self, entry: AuditEntry) -> None:
        self.spoil_entry(entry)

    def queue(self, place: AuditEntry, entry: AuditEntry) -> None:
        self.ask("DELETE FROM audit WHERE chain = ? AND seq = ?", place.chain, place.seq)
        self.ask("DELETE FROM outbox WHERE chain = ? AND seq = ?", place.chain, place.seq)
        at, body = format_time(entry.at), json.dumps(entry.to_item())
        columns, values = "(chain, seq, id, at, body)", (place.chain, place.seq, entry.id, at, body)
        self.ask(f"INSERT INTO audit {columns} VALUES (?, ?, ?, ?, ?)", *values)  # noqa: S608
        self.ask("INSERT INTO outbox (chain, seq, at, due_at) VALUES (?, ?, ?, ?)", place.chain, place.seq, at, at)

    def leave_undelivered(self, entry: AuditEntry, *, is_parked: bool = False, **progress: object) -> None:
        self.ask("DELETE FROM outbox WHERE chain = ? AND seq = ?", entry.chain, entry.seq)
        delivered_to = json.dumps(progress.pop("delivered_to", ()))
        columns = {"due_at": format_time(entry.at), "is_parked": is_parked, "delivered_to": delivered_to, **progress}
        changes = ", ".join(f"{column} = ?" for column in columns)
        place = (entry.chain, entry.seq)
        self.ask(f"UPDATE audit SET {changes} WHERE chain = ? AND seq = ?", *columns.values(), *place)  # noqa: S608

    def hide_entry(self, entry: AuditEntry) -> None:
        self.ask(
            "UPDATE audit SET at = '2099-01-01T00:00:00.000000Z' WHERE (chain, seq) = (?, ?)", entry.chain, entry.seq
        )

    def put_back(self, record: Record, stored: Stored) -> None:
        body = {name: each for name, each in stored.items() if each is not None}
        self._write(record, json.dumps(body))
        table = _sqlite_table(record)
        self.ask(
            f"UPDATE {table} SET status = ?, updated_at = ? WHERE id = ?",  # noqa: S608
            body["status"],
            body["updated_at"],
            record.id,
        )

    def remove_refusals(self, chain: str) -> None:
        self.ask("DELETE FROM audit WHERE chain = ?", chain)
        self.ask("DELETE FROM refusal_heads WHERE chain = ?", chain)

    def remove(self, record: Record) -> None:
        self.ask(f"DELETE FROM {_sqlite_table(record)} WHERE id = ?", record.id)  # noqa: S608

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

    def spoil_beside(self, record: Record, changes: Mapping[str, object]) -> None:
        for column, value in changes.items():
            self.ask(f"UPDATE {_sqlite_table(record)} SET {column} = ? WHERE id = ?", value, record.id)  # noqa: S608

    def stored_holding(self, right: Right) -> Stored | None:
        rows = self.ask("SELECT body FROM holdings WHERE right_key = ? AND body IS NOT NULL", str(right))
        return dict(json.loads(rows[0][0])) if rows else None

    def spoil_holding(self, right: Right, changes: Mapping[str, object]) -> None:
        item = {**(self.stored_holding(right) or {}), **changes}
        body = json.dumps({name: value for name, value in item.items() if value is not None})
        self.ask("UPDATE holdings SET body = ? WHERE right_key = ?", body, str(right))

    def remove_right(self, right: Right) -> None:
        self.ask("DELETE FROM holdings WHERE right_key = ?", str(right))

    def list_with(self, right: Right, grant: Grant) -> None:
        self.ask("UPDATE grants SET right_key = ? WHERE id = ?", str(right), grant.id)

    def forget_due(self, right: Right) -> None:
        self.ask("UPDATE holdings SET due_at = NULL WHERE right_key = ?", str(right))

    def damage_due(self, right: Right) -> None:
        self.ask("UPDATE holdings SET right_key = 'no right' WHERE right_key = ?", str(right))

    def kept_until(self, right: Right) -> datetime | None:
        ((text,),) = self.ask("SELECT kept_until FROM holdings WHERE right_key = ?", str(right))
        return parse_time(text) if text is not None else None

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
        # Every call of the contract suite is one that the printed policies allow, to the bot or to an operator who
        # reads; but for the deletion of records, which the stores can do, and no policy allows.
        reading = _read_only(iam_policy(Role.OPERATOR, self.prefix))
        policies = (iam_policy(Role.BOT, self.prefix), reading, self._deleting_records())
        return DynamoStores(Connection(IamClient(self.client, *policies)), self.prefix, self.settings)

    def _deleting_records(self) -> Stored:
        arns = [AwsAccount().table_arn(table.name(self.prefix)) for table in (REQUESTS, BREAK_GLASS, ACCESS)]
        return {"Statement": [{"Action": ["dynamodb:DeleteItem"], "Resource": arns}]}

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
        body = _BODIES.get(record.KIND)
        if item is not None and body is not None:
            item = item[body]["M"]
        return dict(from_attributes(item, "item")) if item is not None else None

    def spoil(self, record: Record, changes: Mapping[str, object]) -> None:
        stored = self.client.get_item(**self._place(record), ConsistentRead=True)["Item"]
        body = _BODIES.get(record.KIND)
        item = stored | {body: {"M": _changed(stored[body]["M"], changes)}} if body else _changed(stored, changes)
        self.client.put_item(TableName=_dynamo_table(record).name(self.prefix), Item=item)

    def make_unreadable(self, record: Record) -> None:
        stored = self.client.get_item(**self._place(record), ConsistentRead=True)["Item"]
        item = stored | {_BODIES.get(record.KIND, "justification"): {"B": b"\x00"}}
        self.client.put_item(TableName=_dynamo_table(record).name(self.prefix), Item=item)

    def raw(self, record: Record) -> Stored:
        """The whole item of a record, with what stands beside it."""
        return dict(self.client.get_item(**self._place(record), ConsistentRead=True)["Item"])

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
        self.client.put_item(TableName=OUTBOX.name(self.prefix), Item=item)

    def add_older_place(self, record: Record, name: str, place: MessageRef) -> None:
        """Save the place of a message where an older version saved it."""
        self.client.update_item(
            TableName=AUDIT.name(self.prefix),
            Key={"chain": {"S": record.chain}, "seq": {"N": "0"}},
            UpdateExpression="SET #place = :place",
            ExpressionAttributeNames={"#place": f"place:{name}"},
            ExpressionAttributeValues={":place": {"M": to_attributes(place.model_dump())}},
        )

    def spoil_delivery(self, entry: AuditEntry) -> None:
        self.client.update_item(
            TableName=OUTBOX.name(self.prefix),
            Key={"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}},
            UpdateExpression="SET entry.details = :junk",
            ExpressionAttributeValues={":junk": {"B": b"\x00"}},
        )

    def queue(self, place: AuditEntry, entry: AuditEntry) -> None:
        at = format_time(entry.at)
        item: Stored = {"chain": place.chain, "seq": place.seq, "at": at, "due_at": at, "delivery": "due"}
        copy = {"M": to_attributes(entry.to_item())}
        self.client.put_item(TableName=OUTBOX.name(self.prefix), Item=to_attributes(item) | {"entry": copy})

    def leave_undelivered(self, entry: AuditEntry, *, is_parked: bool = False, **progress: object) -> None:
        key = {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}}
        self.client.delete_item(TableName=OUTBOX.name(self.prefix), Key=key)
        stored = self.client.get_item(TableName=AUDIT.name(self.prefix), Key=key, ConsistentRead=True)["Item"]
        beside: Stored = {"delivery": "parked" if is_parked else "due", "due_at": format_time(entry.at), **progress}
        beside |= {name: list(value) for name, value in progress.items() if isinstance(value, tuple)}
        item = {**stored, **to_attributes(beside)}
        self.client.put_item(TableName=AUDIT.name(self.prefix), Item=item)

    def add_entry(self, entry: AuditEntry) -> None:
        item = to_attributes(entry.to_item()) | {"month": {"S": str(entry.to_item()["at"])[:7]}}
        self.client.put_item(TableName=AUDIT.name(self.prefix), Item=item)

    def hide_entry(self, entry: AuditEntry) -> None:
        self.client.update_item(
            TableName=AUDIT.name(self.prefix),
            Key={"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}},
            UpdateExpression="REMOVE #month",
            ExpressionAttributeNames={"#month": "month"},
        )

    def put_back(self, record: Record, stored: Stored) -> None:
        item = to_attributes({name: each for name, each in stored.items() if each is not None})
        if body := _BODIES.get(record.KIND):
            item = self.client.get_item(**self._place(record), ConsistentRead=True)["Item"] | {body: {"M": item}}
        self.client.put_item(TableName=_dynamo_table(record).name(self.prefix), Item=item)

    def remove_refusals(self, chain: str) -> None:
        for table in (AUDIT.name(self.prefix), OUTBOX.name(self.prefix)):
            items = self.client.scan(TableName=table, ConsistentRead=True)["Items"]
            for item in items:
                if item["chain"] == {"S": chain}:
                    self.client.delete_item(TableName=table, Key={"chain": item["chain"], "seq": item["seq"]})

    def remove(self, record: Record) -> None:
        self.client.delete_item(**self._place(record))

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
        table, key = BREAK_GLASS.name(self.prefix), {"pk": {"S": f"LEDGER#{owner}"}}
        stored = self.client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        changed = stored | {name: _typed(value) for name, value in changes.items() if value is not None}
        removed = {name for name, value in changes.items() if value is None}
        item = {name: value for name, value in changed.items() if name not in removed}
        self.client.put_item(TableName=table, Item=item)

    def remove_ledger(self, owner: str) -> None:
        self.client.delete_item(TableName=BREAK_GLASS.name(self.prefix), Key={"pk": {"S": f"LEDGER#{owner}"}})

    def spoil_beside(self, record: Record, changes: Mapping[str, object]) -> None:
        stored = self.client.get_item(**self._place(record), ConsistentRead=True)["Item"]
        self.client.put_item(TableName=_dynamo_table(record).name(self.prefix), Item=_changed(stored, changes))

    def stored_holding(self, right: Right) -> Stored | None:
        item = self._right(right)
        return dict(from_attributes(item["holding"]["M"], "item")) if "holding" in item else None

    def spoil_holding(self, right: Right, changes: Mapping[str, object]) -> None:
        item = self._right(right)
        held = item["holding"]["M"] | {name: _typed(value) for name, value in changes.items() if value is not None}
        removed = {name for name, value in changes.items() if value is None}
        kept = {name: value for name, value in held.items() if name not in removed}
        self.client.put_item(TableName=ACCESS.name(self.prefix), Item=item | {"holding": {"M": kept}})

    def change_right(self, right: Right, changes: Stored) -> None:
        """Put attributes where those of a right stand."""
        self.client.put_item(TableName=ACCESS.name(self.prefix), Item=self._right(right) | changes)

    def remove_right(self, right: Right) -> None:
        self.client.delete_item(TableName=ACCESS.name(self.prefix), Key={"pk": {"S": f"HOLDING#{right}"}})

    def list_with(self, right: Right, grant: Grant) -> None:
        live = self._right(right).get("live", {"SS": []})["SS"]
        self.change_right(right, {"live": {"SS": [*live, grant.id]}})

    def forget_due(self, right: Right) -> None:
        item = {name: value for name, value in self._right(right).items() if name != "due"}
        self.client.put_item(TableName=ACCESS.name(self.prefix), Item=item)

    def damage_due(self, right: Right) -> None:
        item = self._right(right)
        at = item["due"]["S"].split()[0]
        self.client.put_item(TableName=ACCESS.name(self.prefix), Item=item | {"due": {"S": f"{at} no right"}})

    def kept_until(self, right: Right) -> datetime | None:
        item = self._right(right)
        return datetime.fromtimestamp(int(item["ttl"]["N"]), UTC) if "ttl" in item else None

    def _right(self, right: Right) -> Stored:
        key = {"pk": {"S": f"HOLDING#{right}"}}
        return dict(self.client.get_item(TableName=ACCESS.name(self.prefix), Key=key, ConsistentRead=True)["Item"])

    def _place(self, record: Record) -> Stored:
        table = _dynamo_table(record)
        partition = record.id if table is REQUESTS else record.chain
        return {"TableName": table.name(self.prefix), "Key": {table.key.partition: {"S": partition}}}


def _read_only(policy: Stored) -> Stored:
    return {"Statement": [each for each in policy["Statement"] if each["Sid"] == "ReadTheTrail"]}


def _sqlite_table(record: Record) -> str:
    tables = {"REQUEST": "requests", "GRANT": "grants", "SESSION": "sessions", "DEVICE": "devices"}
    return tables.get(record.KIND, "break_glass")


def _dynamo_table(record: Record) -> Table:
    tables = {"REQUEST": REQUESTS, "GRANT": ACCESS, "SESSION": ACCESS, "DEVICE": ACCESS}
    return tables.get(record.KIND, BREAK_GLASS)


def _changed(item: Stored, changes: Mapping[str, object]) -> Stored:
    removed = {name for name, value in changes.items() if value is None}
    changed = {name: _typed(value) for name, value in changes.items() if value is not None}
    return {name: value for name, value in (item | changed).items() if name not in removed}


def _typed(value: object) -> Stored:
    if isinstance(value, float):
        return {"N": str(value)}
    assert isinstance(value, str | int | list | dict)
    return to_attributes({"value": value})["value"]  # type: ignore[no-any-return]


def _empty(client: Any, table: Table, name: str) -> None:  # noqa: ANN401  boto3's client, with a loose type
    items = client.scan(TableName=name, ConsistentRead=True)["Items"]
    removals = [{"DeleteRequest": {"Key": {each: item[each] for each in table.key.names()}}} for item in items]
    for first in range(0, len(removals), 25):
        client.batch_write_item(RequestItems={name: removals[first : first + 25]})
    if removals:
        # A scan gives a page of 1 MB at most.
        _empty(client, table, name)

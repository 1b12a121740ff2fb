"""How records stand in the items of a table: beside the attributes that find them, or whole in one attribute of theirs.

Invariant: several kinds may share a table and its indexes, and no list of one kind shows another: what is stored whole
in one attribute is found by values that begin with the name of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from core.errors import MalformedRecord
from core.record import Record
from core.stores.dynamodb.conditions import all_equal
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.schema import AWAITS_ATTRIBUTE, TTL_ATTRIBUTE, Table

SESSION_BODY: Final = "session"
"""The attribute that holds a session whole."""
DEVICE_BODY: Final = "device"
"""The same of a device."""
BESIDE_A_RECORD: Final = frozenset({"pk", AWAITS_ATTRIBUTE, TTL_ATTRIBUTE, "stage", "ends"})
"""What stands beside a record in its item, so that it can be found, or forgotten; no seal covers it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the records of one kind are stored.

    `body` is the attribute that holds such a record whole; without one, its fields are attributes of the item.
    """

    table: Table
    kind: type[Record]
    body: str | None = None

    @property
    def partition_key(self) -> str:
        """The attribute that is the table's key."""
        return self.table.key.partition

    def key(self, record_id: str) -> Item:
        """Where the record with this id is."""
        partition = record_id if self.partition_key == "id" else f"{self.kind.KIND}#{record_id}"
        return {self.partition_key: {"S": partition}}

    def is_record(self, item: Item) -> bool:
        """True for an item of this kind."""
        partition = str(item[self.partition_key].get("S", ""))
        return self.partition_key == "id" or partition.startswith(f"{self.kind.KIND}#")

    def id_of(self, item: Item) -> str:
        """The id that the key of an item says."""
        return str(item[self.partition_key]["S"]).removeprefix(f"{self.kind.KIND}#")

    def item(self, record: Record, stored: Mapping[str, JsonValue]) -> Item:
        """The stored form of a record, as an item with its key."""
        attributes = to_attributes(stored)
        return (attributes if self.body is None else {self.body: {"M": attributes}}) | self.key(record.id)

    def plain(self, item: Item) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
        """The stored form of the record in an item, and what stands beside it. Raises MalformedRecord."""
        name = f"{self.kind.KIND}#{self.id_of(item)}"
        every = from_attributes(item, name)
        if self.body is None:
            return {each: value for each, value in every.items() if each not in BESIDE_A_RECORD}, every
        stored = every.pop(self.body, None)
        if not isinstance(stored, dict):
            raise MalformedRecord(name, "it is not an object")
        return stored, every

    def all_equal(self, facts: Mapping[str, JsonValue], statuses: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The condition of a write that these attributes of the stored record have these values."""
        return all_equal(facts, statuses, inside=self.body)

    def value(self, value: str) -> str:
        """The value by which an index finds records of this kind."""
        return value if self.body is None else f"{self.kind.KIND}#{value}"

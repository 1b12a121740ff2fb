"""Ledgers in DynamoDB: items in the table of break-glass events, with a key prefix of their own.

Invariant: a ledger is written only over the version that was read, alone or in the transaction of the change it belongs
to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from core.clock import format_time
from core.ledger import Ledger
from core.stores.commit import stamp_ledger
from core.stores.dynamodb.conditions import all_equal
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.schema import TTL_ATTRIBUTE

L = TypeVar("L", bound=Ledger)
LEDGER_PREFIX: Final = "LEDGER#"
_NOT_PART_OF_A_LEDGER: Final = frozenset({"pk", TTL_ATTRIBUTE})


def ledger_key(ledger: Ledger) -> Item:
    """The key under which a ledger is stored."""
    return {"pk": {"S": f"{LEDGER_PREFIX}{ledger.owner}"}}


def put_ledger(table: str, ledger: Ledger, at: datetime) -> dict[str, Any]:
    """The arguments of the write that replaces the ledger, if it still has the version that was read."""
    stamped = stamp_ledger(ledger, at)
    as_read = format_time(ledger.updated_at) if ledger.updated_at is not None else None
    item = {
        **to_attributes(stamped.to_item()),
        **ledger_key(ledger),
        TTL_ATTRIBUTE: {"N": str(int(stamped.kept_until().timestamp()))},
    }
    return {"TableName": table, "Item": item, **all_equal({"updated_at": as_read})}


def read_ledger(empty: L, found: Mapping[str, Item]) -> L:
    """The ledger with this key among the items, or an empty one. Raises MalformedRecord."""
    key = ledger_key(empty)["pk"]["S"]
    if key not in found:
        return empty
    plain = from_attributes(found[key], key)
    return type(empty).from_item({name: value for name, value in plain.items() if name not in _NOT_PART_OF_A_LEDGER})

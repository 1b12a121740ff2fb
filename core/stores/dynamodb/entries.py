"""Audit entries as items of the audit table.

Invariant: an entry is only ever put where there was none, and an item holds nothing that changes later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.inspection import check_filed

HEAD_SEQ: Final = 0
"""Before a chain's first entry: where the outbox table holds the head of a chain of refusals, and the places of any
chain. Older versions held them there in the audit table.
"""
_MONTH: Final = len("2026-01")
_NOT_PART_OF_AN_ENTRY: Final = frozenset(
    {"month", "delivery", "due_at", "attempts", "delivered_to", "problem", "lease", "leased_until"}
)
"""The key of an index, and what older versions wrote beside an entry about its delivery."""


def entry_key(entry: AuditEntry) -> Item:
    """The key under which an entry is stored, and its delivery."""
    return place_key(entry.chain, entry.seq)


def place_key(chain: str, seq: int) -> Item:
    """The key of a place in a chain."""
    return {"chain": {"S": chain}, "seq": {"N": str(seq)}}


def put_entries(table: str, entries: Iterable[AuditEntry]) -> list[dict[str, Any]]:
    """The writes that add sealed entries, for the caller's transaction; their places must be free."""
    return [
        {
            "Put": {
                "TableName": table,
                "Item": to_attributes(entry.to_item()) | {"month": {"S": format_time(entry.at)[:_MONTH]}},
                "ConditionExpression": "attribute_not_exists(seq)",
            }
        }
        for entry in entries
    ]


def read_entry(item: Item) -> AuditEntry:
    """The entry that an item holds. Raises MalformedRecord."""
    plain = from_attributes(item, entry_name(item))
    return AuditEntry.from_item({name: value for name, value in plain.items() if name not in _NOT_PART_OF_AN_ENTRY})


def read_filed_entry(item: Item, keyring: AuditKeyring) -> AuditEntry:
    """The entry that an item holds. Raises MalformedRecord, also when lists by time would leave it out."""
    return check_filed(read_entry(item), item.get("month", {}).get("S"), keyring, _MONTH)


def entry_name(item: Item) -> str:
    """How an error names the entry."""
    return f"audit entry {item['chain']['S']}/{item['seq']['N']}"

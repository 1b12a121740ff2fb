"""How much a store holds: the pages of a SQLite file, or the items of the tables as DynamoDB counts them.

Invariant: of DynamoDB, every copy in an index counts, with the hundred bytes that AWS adds to each item and each copy.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from core.stores.schema import TABLES, Table
from tests.harness.aws import dynamodb_client

_OVERHEAD: Final = 100
_OF_A_CONTAINER: Final = 3


def read_size(store: str) -> Counter[str]:
    """Bytes in the store with this URL; of DynamoDB, by table."""
    if store.startswith("sqlite:"):
        with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
            pages, free, size = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        return Counter({"file": (pages - free) * size})
    prefix, url = urlsplit(store).path[1:], parse_qs(urlsplit(store).query)["endpoint_url"][0]
    with dynamodb_client(url) as client:
        found: Counter[str] = Counter()
        for table in TABLES:
            for page in client.get_paginator("scan").paginate(TableName=table.name(prefix)):
                found[table.suffix] += sum(_stored(item, table) for item in page["Items"])
        return found


def _stored(item: dict[str, Any], table: Table) -> int:
    copies = 1 + sum(set(key.names()) <= item.keys() for key in table.indexes.values())
    return copies * (size_of_item(item) + _OVERHEAD)


def size_of_item(item: dict[str, Any]) -> int:
    """Bytes of an item by AWS's rules: names and values in UTF-8, numbers by their digits."""
    return sum(len(name.encode()) + _size_of_value(value) for name, value in item.items())


def _size_of_value(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            size = len(content.encode())
        case "N":
            size = (len(content.strip("-0.")) + 1) // 2 + 1
        case "L":
            size = _OF_A_CONTAINER + sum(1 + _size_of_value(each) for each in content)
        case "M":
            size = _OF_A_CONTAINER + len(content) + size_of_item(content)
        case "BOOL" | "NULL":
            size = 1
        case _:
            raise ValueError(f"Countersign writes nothing of the type {kind}")
    return size

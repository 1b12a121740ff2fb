"""Read tables of SQLite page by page, and the JSON in their rows.

Invariant: no read keeps its transaction open while the caller works on the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import JsonValue

from core.errors import MalformedRecord
from core.stores.sqlite.database import Database

ROWS_PER_READ: Final = 500


def iterate_rows(
    database: Database,
    table: str,
    key: tuple[str, ...],
    columns: str,
    *,
    start: tuple[str | int, ...],
    condition: str = "",
    values: tuple[str, ...] = (),
) -> Iterator[Any]:
    """The rows after `start` in the order of `key`: first the key's own columns, then `columns`.

    All but `start` and `values` are constants of the caller, never anybody's input.
    """
    names, marks = ", ".join(key), ", ".join("?" for _ in key)
    select = (
        f"SELECT {names}, {columns} FROM {table}"  # noqa: S608 - constants
        f" WHERE {condition and f'{condition} AND '}({names}) > ({marks}) ORDER BY {names} LIMIT ?"
    )
    while True:
        with database.read() as connection:
            rows = connection.execute(select, (*values, *start, ROWS_PER_READ)).fetchall()
        yield from rows
        if len(rows) < ROWS_PER_READ:
            return
        start = rows[-1][: len(key)]


def read_body(name: str, body: str) -> dict[str, JsonValue]:
    """The JSON object that a row holds. Raises MalformedRecord, naming what it should be."""
    try:
        item = json.loads(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedRecord(name, "it is not JSON") from error
    if not isinstance(item, dict):
        raise MalformedRecord(name, "it is not an object")
    return item

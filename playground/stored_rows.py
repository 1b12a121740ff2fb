"""Rows of the playground's store, read and written past Countersign, as anybody who has the file could.

Invariant: it opens that one file only, and takes names of tables and columns from here, never from a request.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

RecordTable: TypeAlias = Literal["requests", "break_glass", "grants"]
Row: TypeAlias = dict[str, Any]
TABLES: Final[tuple[RecordTable, ...]] = ("requests", "break_glass", "grants")
_BUSY_SECONDS: Final = 5.0


class StoredRows:
    """The rows of the records, and the audit entries of their chains."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self, table: RecordTable, count: int) -> list[Row]:
        """The records that changed last, the newest first."""
        with self._open() as connection:
            found = connection.execute(
                f"SELECT * FROM {table} ORDER BY updated_at DESC LIMIT ?",  # noqa: S608 - a constant
                (count,),
            )
            return [dict(row) for row in found]

    def find(self, table: RecordTable, record_id: str) -> Row | None:
        """One record as it is stored."""
        with self._open() as connection:
            found = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (record_id,)).fetchone()  # noqa: S608
            return None if found is None else dict(found)

    def entries(self, chain: str) -> list[Row]:
        """The audit entries of a chain, the oldest first."""
        with self._open() as connection:
            return [
                dict(row) for row in connection.execute("SELECT * FROM audit WHERE chain = ? ORDER BY seq", (chain,))
            ]

    def write(self, table: RecordTable, record_id: str, row: Row | None) -> None:
        """Put this row in the place of the record; None deletes it."""
        with self._open() as connection, _transaction(connection):
            connection.execute(f"DELETE FROM {table} WHERE id = ?", (record_id,))  # noqa: S608 - a constant
            if row is not None:
                _insert(connection, table, row)

    def write_entries(self, rows: list[Row]) -> None:
        """Put these entries in their places. Others of their chains stay as they are."""
        with self._open() as connection, _transaction(connection):
            for row in rows:
                connection.execute("DELETE FROM audit WHERE chain = ? AND seq = ?", (row["chain"], row["seq"]))
                _insert(connection, "audit", row)

    def delete_entries(self, chain: str) -> None:
        """Delete the whole chain."""
        with self._open() as connection, _transaction(connection):
            connection.execute("DELETE FROM audit WHERE chain = ?", (chain,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection


def body_of(row: Row) -> dict[str, Any]:
    """What is stored of a record or an entry."""
    body: dict[str, Any] = json.loads(row["body"])
    return body


def with_body(row: Row, body: dict[str, Any], **columns: str) -> Row:
    """The row with another body, and these columns beside it."""
    return {**row, **columns, "body": json.dumps(body)}


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    marks = ", ".join("?" for _ in row)
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})",  # noqa: S608 - names of an existing row
        tuple(row.values()),
    )

"""The rows of a report while it is made, in a private file of the system's temporary folder.

Invariant: memory doesn't grow with the number of rows, and nothing is left behind: the file has no name, and the system
frees it when the book is closed or the process ends.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Self, TypeVar

from core.report.rows import ReportRow

T = TypeVar("T", bound=ReportRow)
MAX_IN_MEMORY: Final = 2_000
"""How many rows are kept at hand: those that the next entries are probably about."""
_ROWS_PER_READ: Final = 500


class SpooledRows:
    """A RowBook that keeps few rows in memory. Use it as a context manager."""

    def __init__(self) -> None:
        # SQLite's name for a file without a name.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA cache_size=-8000")
        self._connection.execute("CREATE TABLE rows (kind TEXT, id TEXT, at TEXT, body TEXT, PRIMARY KEY (kind, id))")
        self._connection.execute("CREATE INDEX by_time ON rows (kind, at, id)")
        self._connection.execute("BEGIN")
        self._recent: OrderedDict[tuple[str, str], ReportRow] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def find(self, kind: type[T], row_id: str) -> T | None:
        """The row with this id."""
        key = (kind.KIND, row_id)
        if isinstance(known := self._recent.get(key), kind):
            self._recent.move_to_end(key)
            return known
        found = self._connection.execute("SELECT body FROM rows WHERE kind = ? AND id = ?", key).fetchone()
        return None if found is None else kind.from_text(found[0])

    def put(self, row: ReportRow) -> None:
        """Keep a row, in the place of the one with its id."""
        key = (row.KIND, row.id)
        self._recent[key] = row
        self._recent.move_to_end(key)
        if len(self._recent) > MAX_IN_MEMORY:
            self._write(self._recent.popitem(last=False)[1])

    def iterate(self, kind: type[T], *, newest_first: bool = False, limit: int = -1) -> Iterator[T]:
        """The rows of a kind by the time at which they began."""
        self._flush()
        order = "DESC" if newest_first else "ASC"
        rows = self._connection.execute(
            f"SELECT body FROM rows WHERE kind = ? ORDER BY at {order}, id {order} LIMIT ?",  # noqa: S608 - constants
            (kind.KIND, limit),
        )
        while batch := rows.fetchmany(_ROWS_PER_READ):
            yield from (kind.from_text(body) for (body,) in batch)

    def count(self, kind: type[ReportRow]) -> int:
        """How many there are."""
        self._flush()
        (found,) = self._connection.execute("SELECT count(*) FROM rows WHERE kind = ?", (kind.KIND,)).fetchone()
        return int(found)

    def _flush(self) -> None:
        while self._recent:
            self._write(self._recent.popitem()[1])

    def _write(self, row: ReportRow) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", (row.KIND, row.id, row.at, row.to_text())
        )

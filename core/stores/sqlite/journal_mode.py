"""The switch of a SQLite file to its write-ahead log, which the file then keeps.

Invariant: it waits for another writer with jitter and within one deadline, never in a hot loop.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import Final

_FIRST_PAUSE_SECONDS: Final = 0.01
_MAX_PAUSE_SECONDS: Final = 0.2
_PRIMARY_CODE: Final = 0xFF
"""The bits of an error code that say what happened; those above say where."""


def switch_to_wal(
    connection: sqlite3.Connection, timeout_seconds: float, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Switch the file to WAL, unless it uses it already; `timeout_seconds` is the connection's busy timeout afterwards.

    Raises the sqlite3.OperationalError of the last attempt when others held the file until the deadline.
    """
    deadline = time.monotonic() + timeout_seconds
    left, pause = timeout_seconds, _FIRST_PAUSE_SECONDS
    while True:
        # SQLite itself waits for readers, but not for another writer: two that switch could wait for each other.
        _set_busy_timeout(connection, left)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
                raise
            # Half of it is jitter: writers that were refused together must not retry together, nor at once.
            chosen = random.uniform(pause / 2, pause)  # noqa: S311 - not a secret
            left = deadline - time.monotonic() - chosen
            if left <= 0:
                raise
        sleep(chosen)
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)
    _set_busy_timeout(connection, timeout_seconds)


def _set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")

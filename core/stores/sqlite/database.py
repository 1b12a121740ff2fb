"""One SQLite file: its connections, its transactions and its schema.

Invariant: a write transaction begins IMMEDIATE and is on disk when it returns (WAL, `synchronous=FULL`), so it is
atomic against threads, other processes and kill -9; every sqlite3 error leaves as one of `core.errors`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.errors import StoreMisconfigured, StoreUnavailable
from core.stores.sqlite.journal_mode import switch_to_wal

SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 5.0
"""How long a transaction waits for another process's before it gives up."""
_RECORD_COLUMNS = """
    id TEXT PRIMARY KEY, person TEXT NOT NULL, profile TEXT NOT NULL, status TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, expires_at TEXT NOT NULL, body TEXT NOT NULL"""
_SCHEMA: Final = {
    "requests": f"CREATE TABLE IF NOT EXISTS requests ({_RECORD_COLUMNS})",
    "break_glass": f"CREATE TABLE IF NOT EXISTS break_glass ({_RECORD_COLUMNS}, awaits TEXT)",
    "ledgers": """CREATE TABLE IF NOT EXISTS ledgers (
        owner TEXT PRIMARY KEY, updated_at TEXT NOT NULL, body TEXT NOT NULL)""",
    # From `due_at` on, only an older version writes: it had its outbox there. See `SqliteDeliveries.adopt`.
    "audit": """CREATE TABLE IF NOT EXISTS audit (
        chain TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
        due_at TEXT, is_parked INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
        delivered_to TEXT NOT NULL DEFAULT '[]', problem TEXT, lease TEXT, leased_until TEXT,
        PRIMARY KEY (chain, seq)) WITHOUT ROWID""",
    "refusal_heads": """CREATE TABLE IF NOT EXISTS refusal_heads (
        chain TEXT PRIMARY KEY, length INTEGER NOT NULL, digest TEXT NOT NULL)""",
}
_ADDED: Final = {
    "places": """CREATE TABLE IF NOT EXISTS places (
        chain TEXT NOT NULL, name TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
        PRIMARY KEY (chain, name)) WITHOUT ROWID""",
    "outbox": """CREATE TABLE IF NOT EXISTS outbox (
        chain TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, due_at TEXT NOT NULL,
        is_parked INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
        delivered_to TEXT NOT NULL DEFAULT '[]', problem TEXT, lease TEXT, leased_until TEXT,
        PRIMARY KEY (chain, seq)) WITHOUT ROWID""",
    "traces": "CREATE TABLE IF NOT EXISTS traces (chain TEXT, seq INTEGER, traceparent TEXT, PRIMARY KEY (chain, seq))",
    "grants": f"""CREATE TABLE IF NOT EXISTS grants ({_RECORD_COLUMNS},
        awaits TEXT, right_key TEXT NOT NULL, stage TEXT, ended_at TEXT)""",
    # `body` is the holding; without one, nothing is known of the right yet.
    "holdings": """CREATE TABLE IF NOT EXISTS holdings (
        right_key TEXT PRIMARY KEY, nudge INTEGER NOT NULL DEFAULT 0, due_at TEXT, urgency TEXT, kept_until TEXT,
        updated_at TEXT, body TEXT) WITHOUT ROWID""",
    "devices": """CREATE TABLE IF NOT EXISTS devices (
        id TEXT PRIMARY KEY, person TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL, expires_at TEXT NOT NULL, body TEXT NOT NULL, awaits TEXT, used_at TEXT)""",
    "sessions": f"""CREATE TABLE IF NOT EXISTS sessions ({_RECORD_COLUMNS},
        awaits TEXT, grant_id TEXT NOT NULL, right_key TEXT NOT NULL)""",
}
"""What a file of an older version lacks. Opening adds it; the older version does not mind, and may go on beside."""
_INDEXES: Final = (
    *(
        f"CREATE INDEX IF NOT EXISTS {table}_by_{column} ON {table} ({column}, created_at, id)"
        for table in ("requests", "break_glass")
        for column in ("person", "profile", "status")
    ),
    "CREATE INDEX IF NOT EXISTS break_glass_by_awaits ON break_glass (awaits, created_at, id) WHERE awaits IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS audit_by_at ON audit (at, chain, seq)",
    "CREATE INDEX IF NOT EXISTS audit_due ON audit (is_parked, due_at) WHERE due_at IS NOT NULL",
)
_ADDED_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS outbox_due ON outbox (is_parked, due_at)",
    *(
        f"CREATE INDEX IF NOT EXISTS grants_by_{column} ON grants ({column}, created_at, id)"
        for column in ("person", "profile", "status")
    ),
    *(
        f"CREATE INDEX IF NOT EXISTS sessions_by_{column} ON sessions ({column}, created_at, id)"
        for column in ("person", "profile", "status")
    ),
    *(
        f"CREATE INDEX IF NOT EXISTS devices_by_{column} ON devices ({column}, created_at, id)"
        for column in ("person", "status")
    ),
    "CREATE INDEX IF NOT EXISTS devices_by_awaits ON devices (awaits, created_at, id) WHERE awaits IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS sessions_by_grant ON sessions (grant_id)",
    # Of a right only those that still await something.
    "CREATE INDEX IF NOT EXISTS sessions_by_awaits ON sessions (awaits, created_at, id) WHERE awaits IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS sessions_by_right ON sessions (right_key) WHERE awaits IS NOT NULL",
    # Those of live grants only.
    "CREATE INDEX IF NOT EXISTS grants_by_awaits ON grants (awaits, created_at, id) WHERE awaits IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS grants_by_right ON grants (right_key) WHERE awaits IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS grants_by_end ON grants (stage, ended_at, right_key) WHERE stage IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS holdings_due ON holdings (urgency, due_at, right_key) WHERE due_at IS NOT NULL",
)
_creating: Final = threading.Lock()


class Database:
    """Connections to one file, shared by threads; each one is used by one thread at a time.

    With `is_upgraded`, what a file of an older version lacks is added; without it, `find_differences` names that.
    `sleep` pauses between two attempts, in seconds.
    """

    def __init__(self, path: str, *, is_upgraded: bool = True, sleep: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        # Within one process, waiting for a lock is fair and fast; SQLite's own waiting sleeps in steps of up to 100 ms.
        self._writing = threading.Lock()
        self._owner = os.getpid()
        self._is_closed = False
        self._create_file()
        try:
            self._prepare_schema(is_upgraded=is_upgraded)
            # Nothing is changed in a file that is not ours, so this comes last.
            with self.read() as connection:
                switch_to_wal(connection, BUSY_SECONDS, sleep=sleep)
        except BaseException:
            # No one else could close the connections opened for these.
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for one SELECT, which sees one consistent moment."""
        with self._mapped_errors(), self._connection() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and on disk when the block ends, undone when it raises."""
        with self._mapped_errors(), self._writer_turn(), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._commit(connection)

    def close(self) -> None:
        """Close every idle connection; one that is in use closes when it is given back. Idempotent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _writer_turn(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise StoreUnavailable("the database was busy with other changes for too long")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._take()
        is_sound = True
        try:
            yield connection
        except (sqlite3.Error, StoreUnavailable):
            # The state of a connection is unknown after an error of the engine; a fresh one costs a millisecond. One
            # whose COMMIT failed may still hold its transaction, and with it the lock of the whole file.
            is_sound = False
            raise
        finally:
            with self._lock:
                is_kept = is_sound and not self._is_closed
                if is_kept:
                    self._idle.append(connection)
            if not is_kept:
                connection.close()

    @staticmethod
    def _commit(connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            # The last frame may have reached the disk before the error did.
            raise StoreUnavailable(str(error), is_outcome_unknown=True) from error

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("the store was closed")
            if self._owner != os.getpid():
                # SQLite forbids carrying a connection across fork(); the parent still uses these.
                raise StoreUnavailable("the store was opened before this process was forked; open it again here")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA trusted_schema=OFF")
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_file(self) -> None:
        # A file that exists is not opened here: closing it again would take away the locks of every connection that
        # this process has to it (POSIX), and another process would then remove the log under them. For the same
        # reason, nobody in this process may connect between the opening and the closing of a new one.
        with _creating:
            try:
                # Only its owner may read it: it holds people's reasons, and the audit trail.
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            except FileExistsError:
                self._check_file()
            except OSError as error:
                raise self._unusable(error.strerror) from error

    def _check_file(self) -> None:
        if not Path(self.path).is_file():
            raise self._unusable("it is not a file")
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise self._unusable("this process may not write it")

    def _unusable(self, problem: str | None) -> StoreMisconfigured:
        folder = Path(self.path).parent
        return StoreMisconfigured(
            f"{self.path} cannot be opened: {problem}",
            f"Check that the folder {folder} exists and that this process may write there",
        )

    def _prepare_schema(self, *, is_upgraded: bool) -> None:
        if self._is_new():
            with self.write() as connection:
                if self._is_empty(connection):
                    for statement in (*_SCHEMA.values(), *_ADDED.values(), *_INDEXES, *_ADDED_INDEXES):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        differences = self.find_differences()
        lacking = {_missing(table): statement for table, statement in _ADDED.items() if _missing(table) in differences}
        problems = [each for each in differences if each not in lacking]
        if lacking and is_upgraded and not problems:
            with self.write() as connection:
                for statement in (*lacking.values(), *_ADDED_INDEXES):
                    connection.execute(statement)
        if problems:
            raise StoreMisconfigured(
                f"{self.path} is not a database of this version of Countersign: {'; '.join(problems)}",
                "Name another file, or run the version that made this one",
            )

    def _is_new(self) -> bool:
        with self.read() as connection:
            return self._is_empty(connection)

    @staticmethod
    def _is_empty(connection: sqlite3.Connection) -> bool:
        has_version = connection.execute("PRAGMA user_version").fetchone()[0] != 0
        return not has_version and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0

    def find_differences(self) -> tuple[str, ...]:
        """How this file differs from the schema, in words; empty when it does not."""
        with self.read() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            found = dict(
                connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL")
            )
        problems = [] if version == SCHEMA_VERSION else [f"its version is {version}, not {SCHEMA_VERSION}"]
        for table, statement in (_SCHEMA | _ADDED).items():
            if table not in found:
                problems.append(_missing(table))
            elif _columns(found[table]) != _columns(statement):
                problems.append(f"the table {table} has other columns")
        return tuple(problems)

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            # "database is locked", "disk I/O error", "database or disk is full": a transaction that raised was undone.
            raise StoreUnavailable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise StoreMisconfigured(
                f"{self.path} cannot be used: {error}", "Name a file that is a database of Countersign, or a new one"
            ) from error


def _missing(table: str) -> str:
    return f"the table {table} is missing"


def _columns(statement: str) -> str:
    return "".join(statement.partition("(")[2].split())

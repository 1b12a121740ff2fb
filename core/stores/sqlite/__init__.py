"""The embedded stores: one SQLite file, with the same promises as DynamoDB.

Invariant: WAL with `synchronous=FULL` and IMMEDIATE transactions, so that any number of threads and processes may
share the file and kill -9 loses nothing that was acknowledged.
"""

from __future__ import annotations

from core.stores.commit import StoreSettings
from core.stores.refusal_log import BackgroundRefusalLog
from core.stores.sqlite.audit import SqliteAudit
from core.stores.sqlite.break_glass import SqliteBreakGlass
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import SqliteDirectory
from core.stores.sqlite.messages import SqliteMessages
from core.stores.sqlite.outbox import SqliteDeliveries
from core.stores.sqlite.records import SqliteRequests


class SqliteStores:
    """The stores of one SQLite file, which is created if it is missing."""

    def __init__(self, path: str, settings: StoreSettings) -> None:
        self._database = Database(path)
        self.requests = SqliteRequests(self._database, settings)
        self.break_glass = SqliteBreakGlass(self._database, settings)
        self.audit = SqliteAudit(self._database, settings)
        self.directory = SqliteDirectory(self._database, settings)
        self.outbox = SqliteDeliveries(self._database)
        self.messages = SqliteMessages(self._database)
        self.refusals = BackgroundRefusalLog(self.audit, settings)

    def close(self) -> None:
        """Write what was noted, and close every connection. Idempotent."""
        self.refusals.close()
        self._database.close()


__all__ = ["SqliteStores"]

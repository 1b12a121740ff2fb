"""The embedded stores: one SQLite file, with the same promises as DynamoDB.

Invariant: WAL with `synchronous=FULL` and IMMEDIATE transactions, so that any number of threads and processes may
share the file and kill -9 loses nothing that was acknowledged.
"""

from __future__ import annotations

from datetime import datetime

from core.stores.commit import StoreSettings
from core.stores.preferences import LedgerPreferences
from core.stores.refusal_log import BackgroundRefusalLog
from core.stores.seals import SealAlarm
from core.stores.sqlite.access import SqliteAccess
from core.stores.sqlite.audit import SqliteAudit
from core.stores.sqlite.break_glass import SqliteBreakGlass
from core.stores.sqlite.database import Database
from core.stores.sqlite.devices import SqliteDevices
from core.stores.sqlite.directory import SqliteDirectory
from core.stores.sqlite.messages import SqliteMessages
from core.stores.sqlite.outbox import SqliteDeliveries
from core.stores.sqlite.requests import SqliteRequests
from core.stores.sqlite.resealing import reseal_all
from core.stores.sqlite.retention import purge
from core.stores.sqlite.sessions import SqliteSessions


class SqliteStores:
    """The stores of one SQLite file, which is created if it is missing."""

    def __init__(self, path: str, settings: StoreSettings) -> None:
        self._database = Database(path)
        self._settings = settings
        self._retention = settings.retention
        self.audit = SqliteAudit(self._database, settings)
        self.refusals = BackgroundRefusalLog(self.audit, settings)
        alarm = SealAlarm(self.refusals)
        self.requests = SqliteRequests(self._database, settings, alarm)
        self.break_glass = SqliteBreakGlass(self._database, settings, alarm)
        self.preferences = LedgerPreferences(self.break_glass)
        self.access = SqliteAccess(self._database, settings, alarm)
        self.sessions = SqliteSessions(self._database, settings, alarm)
        self.devices = SqliteDevices(self._database, settings, alarm)
        self.directory = SqliteDirectory(self._database, settings)
        self.outbox = SqliteDeliveries(self._database, settings)
        self.messages = SqliteMessages(self._database)

    def reseal(self) -> int:
        """Seal every record and ledger with the key that seals now; how many weren't."""
        return reseal_all(self._database, self._settings)

    def purge(self, now: datetime) -> int:
        """Delete the records whose retention has ended. Returns how many. Raises StoreUnavailable."""
        return purge(self._database, now, self._retention)

    def close(self) -> None:
        """Write what was noted, and close every connection. Idempotent."""
        self.refusals.close()
        self._database.close()


__all__ = ["SqliteStores"]

"""The DynamoDB stores.

Invariant: every change is one TransactWriteItems under `updated_at`; every read that a decision rests on is consistent.
"""

from __future__ import annotations

from core.stores.commit import StoreSettings
from core.stores.dynamodb.access import DynamoAccess
from core.stores.dynamodb.audit import DynamoAudit
from core.stores.dynamodb.break_glass import DynamoBreakGlass
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.devices import DynamoDevices
from core.stores.dynamodb.directory import DynamoDirectory
from core.stores.dynamodb.messages import DynamoMessages
from core.stores.dynamodb.outbox import DynamoDeliveries
from core.stores.dynamodb.requests import DynamoRequests
from core.stores.dynamodb.resealing import reseal_all
from core.stores.dynamodb.sessions import DynamoSessions
from core.stores.preferences import LedgerPreferences
from core.stores.refusal_log import BackgroundRefusalLog
from core.stores.seals import SealAlarm


class DynamoStores:
    """The stores of one deployment: the existing tables with a common prefix."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        self._connection = connection
        self._prefix = prefix
        self._settings = settings
        self.audit = DynamoAudit(connection, prefix, settings)
        self.refusals = BackgroundRefusalLog(self.audit, settings)
        alarm = SealAlarm(self.refusals)
        self.requests = DynamoRequests(connection, prefix, settings, alarm)
        self.break_glass = DynamoBreakGlass(connection, prefix, settings, alarm)
        self.preferences = LedgerPreferences(self.break_glass)
        self.access = DynamoAccess(connection, prefix, settings, alarm)
        self.sessions = DynamoSessions(connection, prefix, settings, alarm)
        self.devices = DynamoDevices(connection, prefix, settings, alarm)
        self.directory = DynamoDirectory(connection, prefix, settings)
        self.outbox = DynamoDeliveries(connection, prefix, settings)
        self.messages = DynamoMessages(connection, prefix)

    def reseal(self) -> int:
        """Seal every record and ledger with the key that seals now; how many weren't."""
        return reseal_all(self._connection, self._prefix, self._settings)

    def close(self) -> None:
        """Write what was noted, and close every connection. Idempotent."""
        self.refusals.close()
        self._connection.close()


__all__ = ["DynamoStores"]

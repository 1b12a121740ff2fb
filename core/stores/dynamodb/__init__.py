"""The DynamoDB stores.

Invariant: every change is one TransactWriteItems under `updated_at`; every read that a decision rests on is consistent.
"""

from __future__ import annotations

from core.stores.commit import StoreSettings
from core.stores.dynamodb.audit import DynamoAudit
from core.stores.dynamodb.break_glass import DynamoBreakGlass
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.directory import DynamoDirectory
from core.stores.dynamodb.messages import DynamoMessages
from core.stores.dynamodb.outbox import DynamoDeliveries
from core.stores.dynamodb.records import DynamoRequests
from core.stores.refusal_log import BackgroundRefusalLog


class DynamoStores:
    """The stores of one deployment: three existing tables with a common prefix."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        self._connection = connection
        self.requests = DynamoRequests(connection, prefix, settings)
        self.break_glass = DynamoBreakGlass(connection, prefix, settings)
        self.audit = DynamoAudit(connection, prefix, settings)
        self.directory = DynamoDirectory(connection, prefix, settings)
        self.outbox = DynamoDeliveries(connection, prefix)
        self.messages = DynamoMessages(connection, prefix)
        self.refusals = BackgroundRefusalLog(self.audit, settings)

    def close(self) -> None:
        """Write what was noted, and close every connection. Idempotent."""
        self.refusals.close()
        self._connection.close()


__all__ = ["DynamoStores"]

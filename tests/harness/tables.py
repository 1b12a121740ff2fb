"""Countersign's tables in an engine, for tests whose clock stands still.

Invariant: nothing vanishes from them. DynamoDB Local removes within seconds what is expired by the machine's clock, and
a FrozenClock stands long before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import create_tables
from core.stores.schema import TABLES, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def make_tables(client: DynamoDBClient, prefix: str) -> None:
    """The tables of the schema, with TTL switched off again."""
    create_tables(Connection(client), prefix)
    for table in TABLES:
        name = table.name(prefix)
        if client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED":
            client.update_time_to_live(
                TableName=name, TimeToLiveSpecification={"Enabled": False, "AttributeName": TTL_ATTRIBUTE}
            )

"""Countersign's tables in an engine, for tests whose clock stands still.

Invariant: nothing vanishes from them. DynamoDB Local removes within seconds what is expired by the machine's clock, and
a FrozenClock stands long before that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.stores.dynamodb.comparison import attribute_definitions, index_definition, key_schema
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import create_tables
from core.stores.schema import AUDIT, DELIVERY_INDEX, OUTBOX, TABLES, TTL_ATTRIBUTE

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


def make_older_audit_table(client: DynamoDBClient, prefix: str) -> None:
    """The audit table as an older version made it: with an index for the outbox that it kept there, and TTL."""
    older = replace(AUDIT, indexes={**AUDIT.indexes, DELIVERY_INDEX: OUTBOX.indexes[DELIVERY_INDEX]})
    definition: Any = {
        "TableName": AUDIT.name(prefix),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attribute_definitions(older, older.key, *older.indexes.values()),
        "KeySchema": key_schema(older.key),
        "GlobalSecondaryIndexes": [index_definition(index, key) for index, key in older.indexes.items()],
    }
    client.create_table(**definition)
    client.update_time_to_live(
        TableName=AUDIT.name(prefix), TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
    )

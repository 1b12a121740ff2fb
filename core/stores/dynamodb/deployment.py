"""The tables as a CloudFormation template, and the least privileges in IAM, both made from the schema.

Invariant: pure. The files in `deploy/` are what these functions make; a test compares them. The bot may not delete
anything, may not change a table, and may not scan one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from core.stores.dynamodb.comparison import attribute_definitions, index_definition, key_schema
from core.stores.schema import AUDIT, BREAK_GLASS, REQUESTS, TABLES, TTL_ATTRIBUTE, Table

DEFAULT_PREFIX: Final = "countersign"
Document = dict[str, Any]
"""JSON, in the order in which people read it."""


class Role(StrEnum):
    """Who calls DynamoDB."""

    BOT = "bot"
    """`countersign serve` and `countersign sweep`."""
    OPERATOR = "operator"
    """`countersign tables` and `countersign audit`."""


_OF_THE_BOT: Final = (
    (REQUESTS, ("GetItem", "PutItem", "Query")),
    # Ledgers are read two at a time.
    (BREAK_GLASS, ("BatchGetItem", "GetItem", "PutItem", "Query")),
    # An entry is put once; the updates beside it say whether it still has to be delivered.
    (AUDIT, ("ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem")),
)
_TO_READ_THE_TRAIL: Final = ("BatchGetItem", "GetItem", "Query", "Scan")
_TO_CHECK_TABLES: Final = ("DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive")
_TO_MAKE_TABLES: Final = ("CreateTable", "UpdateContinuousBackups", "UpdateTable", "UpdateTimeToLive")


def cloudformation(prefix: str = DEFAULT_PREFIX) -> Document:
    """A template for the tables that `countersign tables create` makes, for people who use CloudFormation.

    Its tables outlive the stack. Its one parameter is a KMS key; without it, the account's own key encrypts.
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The tables of Countersign. Made by: countersign tables template",
        "Parameters": {
            "KmsKey": {
                "Type": "String",
                "Default": "",
                "Description": "A KMS key's id, ARN or alias. Empty: the account's own key for DynamoDB.",
            }
        },
        "Conditions": {"HasKmsKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "KmsKey"}, ""]}]}},
        "Resources": {_resource_name(table): _resource(table, prefix) for table in TABLES},
    }


def iam_policy(role: Role, prefix: str = DEFAULT_PREFIX) -> Document:
    """The least privileges for this role. Your own KMS key needs more: see docs/operators.md."""
    statements = _bot_statements(prefix) if role is Role.BOT else _operator_statements(prefix)
    return {"Version": "2012-10-17", "Statement": statements}


def _bot_statements(prefix: str) -> list[Document]:
    return [_allow(f"Use{_resource_name(table)}", actions, _arns(table, prefix)) for table, actions in _OF_THE_BOT]


def _operator_statements(prefix: str) -> list[Document]:
    tables = [arn for table in TABLES for arn in _arns(table, prefix)[:1]]
    indexes = [arn for table in TABLES for arn in _arns(table, prefix)[1:]]
    return [
        _allow("CheckTables", _TO_CHECK_TABLES, tables),
        _allow("MakeTables", _TO_MAKE_TABLES, [*tables, *indexes]),
        _allow("ReadTheTrail", _TO_READ_THE_TRAIL, [*tables, *indexes]),
    ]


def _allow(name: str, actions: tuple[str, ...], arns: list[str]) -> Document:
    return {
        "Sid": name,
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in actions],
        "Resource": arns,
    }


def _arns(table: Table, prefix: str) -> list[str]:
    arn = f"arn:aws:dynamodb:*:*:table/{table.name(prefix)}"
    return [arn, f"{arn}/index/*"]


def _resource_name(table: Table) -> str:
    return table.suffix.title().replace("-", "")


def _resource(table: Table, prefix: str) -> Document:
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": table.name(prefix),
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attribute_definitions(table, table.key, *table.indexes.values()),
            "KeySchema": key_schema(table.key),
            "GlobalSecondaryIndexes": [index_definition(index, key) for index, key in table.indexes.items()],
            "SSESpecification": {
                "SSEEnabled": True,
                "SSEType": "KMS",
                "KMSMasterKeyId": {"Fn::If": ["HasKmsKey", {"Ref": "KmsKey"}, {"Ref": "AWS::NoValue"}]},
            },
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": TTL_ATTRIBUTE, "Enabled": True},
            "DeletionProtectionEnabled": True,
        },
    }

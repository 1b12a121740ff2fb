"""The tables as a CloudFormation template, and the least privileges in IAM, both made from the schema.

Invariant: pure. The files in `deploy/` are what these functions make; a test compares them. The bot may not delete
anything, may not change a table, and may not scan one. Into the audit table it may only put, and only in a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.stores.dynamodb.audit_copy import audit_copy, stream_specification
from core.stores.dynamodb.comparison import attribute_definitions, index_definition, key_schema
from core.stores.schema import ACCESS, AUDIT, BREAK_GLASS, OUTBOX, PERSON_INDEX, REQUESTS, TABLES, TTL_ATTRIBUTE, Table

DEFAULT_PREFIX: Final = "countersign"
Document = dict[str, Any]
"""JSON, in the order in which people read it."""


class Role(StrEnum):
    """Who calls DynamoDB."""

    BOT = "bot"
    """`countersign serve` and `countersign sweep`."""
    BROKER = "broker"
    """`countersign broker`: it issues credentials, and decides nothing."""
    OPERATOR = "operator"
    """`countersign tables` and `countersign audit`."""


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """Where the tables are. The defaults are placeholders, for a person to replace."""

    region: str = "REGION"
    id: str = "ACCOUNT_ID"

    def table_arn(self, name: str) -> str:
        """The ARN of a table of this name."""
        partition = next((found for start, found in _PARTITIONS.items() if self.region.startswith(start)), "aws")
        return f"arn:{partition}:dynamodb:{self.region}:{self.id}:table/{name}"


_PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
_OF_THE_BOT: Final = (
    # A record is read together with the notes of the directory, and ledgers several at a time.
    ("UseRequests", REQUESTS, ("BatchGetItem", "GetItem", "PutItem", "Query")),
    ("UseBreakGlass", BREAK_GLASS, ("BatchGetItem", "GetItem", "PutItem", "Query")),
    # A grant is put; its right is made due by an update that reads nothing; a session is stored while it is unchanged.
    ("UseAccess", ACCESS, ("BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem")),
    # Where a session is stored, the chain of its grant must have nothing after what was read.
    ("ReadAudit", AUDIT, ("BatchGetItem", "ConditionCheckItem", "GetItem", "Query")),
    # What changes: deliveries, the places of messages, the heads of chains of refusals.
    ("UseOutbox", OUTBOX, ("BatchGetItem", "ConditionCheckItem", "PutItem", "Query", "UpdateItem")),
)
_TTL: Final = {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}
_TO_WRITE: Final = ("PutItem", "UpdateItem")
_IN_A_TRANSACTION: Final = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
_KEYS_READ_BY_THE_BROKER: Final = ("GRANT#*", "SESSION#*", "SESSIONS#*", "DEVICE#*")
_KEYS_WRITTEN_BY_THE_BROKER: Final = ("SESSION#*", "SESSIONS#*")
_CHAINS_OF_THE_BROKER: Final = ("SESSION#*", "REFUSALS#*")
_DIRECTORY: Final = ("LEDGER#DIRECTORY*",)
_TO_READ_THE_TRAIL: Final = ("BatchGetItem", "GetItem", "Query", "Scan")
_TO_CHECK_TABLES: Final = ("DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive")
_TO_MAKE_TABLES: Final = ("CreateTable", "UpdateContinuousBackups", "UpdateTable", "UpdateTimeToLive")


def cloudformation(prefix: str = DEFAULT_PREFIX) -> Document:
    """A template for the tables that `countersign tables create` makes, for people who use CloudFormation.

    Its tables outlive the stack. Without a KMS key, the account's own key encrypts; without a bucket, there is no copy.
    """
    copy = audit_copy(prefix)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The tables of Countersign. Made by: countersign tables template",
        "Parameters": {
            "KmsKey": {
                "Type": "String",
                "Default": "",
                "Description": "A KMS key's id, ARN or alias. Empty: the account's own key for DynamoDB.",
            },
            **copy["Parameters"],
        },
        "Conditions": {"HasKmsKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "KmsKey"}, ""]}]}, **copy["Conditions"]},
        "Resources": {**{_resource_name(table): _resource(table, prefix) for table in TABLES}, **copy["Resources"]},
        "Outputs": copy["Outputs"],
    }


def iam_policy(role: Role, prefix: str = DEFAULT_PREFIX, account: AwsAccount | None = None) -> Document:
    """The least privileges for this role. Your own KMS key needs more: see docs/operators.md."""
    statements = _STATEMENTS[role](prefix, account or AwsAccount())
    return {"Version": "2012-10-17", "Statement": statements}


def _bot_statements(prefix: str, account: AwsAccount) -> list[Document]:
    add = _allow("AddToAudit", ("PutItem",), _arns(AUDIT, prefix, account)[:1])
    uses = [_allow(name, actions, _arns(table, prefix, account)) for name, table, actions in _OF_THE_BOT]
    return [*uses, {**add, "Condition": _IN_A_TRANSACTION}]


def _broker_statements(prefix: str, account: AwsAccount) -> list[Document]:
    access, (ledgers, _), (audit, _), (outbox, _) = (
        _arns(table, prefix, account) for table in (ACCESS, BREAK_GLASS, AUDIT, OUTBOX)
    )
    by_person = [f"{access[0]}/index/{PERSON_INDEX}"]
    reading = ("BatchGetItem", "ConditionCheckItem", "GetItem")
    chains = _only_keys(_CHAINS_OF_THE_BROKER)
    return [
        {**_allow("ReadAccess", reading, access[:1]), "Condition": _only_keys(_KEYS_READ_BY_THE_BROKER)},
        _allow("FindGrants", ("Query",), by_person),
        {**_allow("WriteSessions", _TO_WRITE, access[:1]), "Condition": _only_keys(_KEYS_WRITTEN_BY_THE_BROKER)},
        {**_allow("ReadDirectory", ("BatchGetItem", "GetItem"), [ledgers]), "Condition": _only_keys(_DIRECTORY)},
        {**_allow("CheckGrants", ("ConditionCheckItem",), [audit]), "Condition": _only_keys(("GRANT#*",))},
        # After a lost answer, it looks for its own entry.
        {**_allow("ReadAudit", ("BatchGetItem", "GetItem"), [audit]), "Condition": chains},
        {**_allow("AddToAudit", ("PutItem",), [audit]), "Condition": {**chains, **_IN_A_TRANSACTION}},
        {**_allow("AddToOutbox", ("BatchGetItem", *_TO_WRITE), [outbox]), "Condition": chains},
    ]


def _only_keys(patterns: tuple[str, ...]) -> Document:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(patterns)}}


def _operator_statements(prefix: str, account: AwsAccount) -> list[Document]:
    tables = [arn for table in TABLES for arn in _arns(table, prefix, account)[:1]]
    indexes = [arn for table in TABLES for arn in _arns(table, prefix, account)[1:]]
    return [
        _allow("CheckTables", _TO_CHECK_TABLES, tables),
        _allow("MakeTables", _TO_MAKE_TABLES, [*tables, *indexes]),
        _allow("ReadTheTrail", _TO_READ_THE_TRAIL, [*tables, *indexes]),
    ]


_STATEMENTS: Final = {
    Role.BOT: _bot_statements,
    Role.BROKER: _broker_statements,
    Role.OPERATOR: _operator_statements,
}


def _allow(name: str, actions: tuple[str, ...], arns: list[str]) -> Document:
    return {
        "Sid": name,
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in actions],
        "Resource": arns,
    }


def _arns(table: Table, prefix: str, account: AwsAccount) -> list[str]:
    arn = account.table_arn(table.name(prefix))
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
            **({"TimeToLiveSpecification": _TTL} if table.forgets else {}),
            **(stream_specification() if table is AUDIT else {}),
            "DeletionProtectionEnabled": True,
        },
    }

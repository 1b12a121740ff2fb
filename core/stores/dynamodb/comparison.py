"""How a table differs from the schema, and the call that fixes it, if there is one.

Invariant: pure. What is compared is what DynamoDB described; what an engine does not describe is reported as such, and
never called right or wrong. No fix deletes anything, or changes the meaning of an index or a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.stores.schema import TTL_ATTRIBUTE, Key, Table

Description = Mapping[str, Any]
"""boto3's description of a table or an index."""

RUN_CREATE: Final = "Run `countersign tables create`: it fixes this and keeps what is in the table"
LATER: Final = "Wait, then run it again"
_UNDER_WAY: Final = frozenset({"CREATING", "UPDATING"})
_ON: Final = frozenset({"ENABLED", "ENABLING", "UPDATING"})


@dataclass(frozen=True, slots=True)
class Repair:
    """The call that fixes a difference: boto3's name of the operation, and its arguments besides the table's name."""

    operation: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a table and the schema, and how to fix it. `repair` is None if a person has to do it."""

    table: str
    problem: str
    fix: str
    repair: Repair | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.table}: {self.problem}. {self.fix}."


@dataclass(frozen=True, slots=True)
class Described:
    """One table as DynamoDB describes it: DescribeTable, DescribeTimeToLive and DescribeContinuousBackups.

    `ttl` and `recovery` are None where the engine does not know the operation.
    """

    table: Description
    ttl: Description | None
    recovery: str | None

    @property
    def tells_protection(self) -> bool:
        """True for AWS. DynamoDB Local of 2020 takes encryption and deletion protection, and describes neither."""
        return "DeletionProtectionEnabled" in self.table

    def is_under_way(self, schema: Table) -> bool:
        """True while DynamoDB still makes or changes the table, or an index of the schema."""
        indexes = _indexes(self.table)
        states = [
            self.table["TableStatus"],
            *(indexes[name]["IndexStatus"] for name in schema.indexes & indexes.keys()),
        ]
        return any(state in _UNDER_WAY for state in states)


def compare(schema: Table, name: str, found: Described, kms_key: str | None = None) -> Iterator[Difference]:
    """Every difference; those that can be fixed are in the order in which DynamoDB accepts the fixes."""
    wrong_keys = tuple(_compare_keys(schema, name, found.table))
    yield from wrong_keys
    yield from _compare_state(name, found.table)
    if wrong_keys or found.table["TableStatus"] != "ACTIVE":
        # A table with other keys is a different table: nothing in it may be changed.
        return
    if found.tells_protection and not found.table["DeletionProtectionEnabled"]:
        repair = Repair("update_table", {"DeletionProtectionEnabled": True})
        yield Difference(name, "deletion protection is off", RUN_CREATE, repair)
    if found.table.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        repair = Repair("update_table", {"BillingMode": "PAY_PER_REQUEST"})
        yield Difference(name, "its capacity is provisioned, not on demand", RUN_CREATE, repair)
    yield from _compare_indexes(schema, name, found.table)
    yield from _compare_encryption(name, found, kms_key)
    yield from (_compare_ttl if schema.forgets else _compare_no_ttl)(name, found.ttl)
    if found.recovery not in (None, "ENABLED"):
        specification = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
        repair = Repair("update_continuous_backups", specification)
        yield Difference(name, "point-in-time recovery is off", RUN_CREATE, repair)


def missing(name: str) -> Difference:
    """The difference for a missing table."""
    return Difference(name, "this table is missing", "Run `countersign tables create`")


def find_undescribed(found: Described, kms_key: str | None = None) -> Iterator[str]:
    """What the engine does not describe, in words that follow "cannot tell"."""
    if not found.tells_protection:
        yield "whether the tables are encrypted with KMS"
        yield "whether deletion protection is on"
    elif kms_key is not None and _is_alias(kms_key):
        yield f"whether {kms_key} is the key that encrypts: DynamoDB names the key behind an alias"
    if found.ttl is None:
        yield "whether TTL is on"
    if found.recovery is None:
        yield "whether point-in-time recovery is on"


def key_schema(key: Key) -> list[dict[str, str]]:
    """A key the way DynamoDB writes it."""
    kinds = zip(key.names(), ("HASH", "RANGE"), strict=False)
    return [{"AttributeName": attribute, "KeyType": kind} for attribute, kind in kinds]


def attribute_definitions(schema: Table, *keys: Key) -> list[dict[str, str]]:
    """The types of these keys' attributes, each named once, in the order of their names."""
    names = sorted({attribute for key in keys for attribute in key.names()})
    return [{"AttributeName": each, "AttributeType": schema.attribute_type(each)} for each in names]


def index_definition(index: str, key: Key) -> dict[str, Any]:
    """A global secondary index the way DynamoDB writes it. All of them project everything."""
    return {"IndexName": index, "KeySchema": key_schema(key), "Projection": {"ProjectionType": "ALL"}}


def encryption(kms_key: str | None) -> dict[str, Any]:
    """KMS with this key, or with the account's own key for DynamoDB."""
    named = {"KMSMasterKeyId": kms_key} if kms_key else {}
    return {"Enabled": True, "SSEType": "KMS", **named}


def _compare_keys(schema: Table, name: str, table: Description) -> Iterator[Difference]:
    wanted, actual = _spell(schema, schema.key), _spell_found(table, table["KeySchema"])
    if wanted != actual:
        yield Difference(
            name,
            f"its key is {actual} and has to be {wanted}",
            "No table's key can be changed: name another prefix in COUNTERSIGN_STORE, or remove this table yourself",
        )


def _compare_state(name: str, table: Description) -> Iterator[Difference]:
    status = table["TableStatus"]
    if status in _UNDER_WAY or status == "DELETING":
        yield Difference(name, f"it is {status}", LATER)
    elif status == "INACCESSIBLE_ENCRYPTION_CREDENTIALS":
        yield Difference(
            name, "DynamoDB may not use its KMS key", "Switch the key on again, or give DynamoDB its grant"
        )
    elif status != "ACTIVE":
        yield Difference(name, f"it is {status}", "Restore it, or name another prefix in COUNTERSIGN_STORE")


def _compare_indexes(schema: Table, name: str, table: Description) -> Iterator[Difference]:
    existing = _indexes(table)
    for index, key in schema.indexes.items():
        if index not in existing:
            yield Difference(name, f"the index {index} is missing", RUN_CREATE, _add_index(schema, index, key, table))
            continue
        found = existing[index]
        wanted, actual = _spell(schema, key), _spell_found(table, found["KeySchema"])
        remake = f"Delete the index {index} yourself, which deletes no item, then run `countersign tables create`"
        if wanted != actual:
            yield Difference(name, f"the key of the index {index} is {actual} and has to be {wanted}", remake)
        if found["Projection"]["ProjectionType"] != "ALL":
            yield Difference(name, f"the index {index} leaves out attributes and has to project ALL", remake)
        if found["IndexStatus"] != "ACTIVE":
            yield Difference(name, f"the index {index} is {found['IndexStatus']}", LATER)


def _add_index(schema: Table, index: str, key: Key, table: Description) -> Repair:
    known = {each["AttributeName"]: each for each in table["AttributeDefinitions"]}
    for each in attribute_definitions(schema, key):
        known.setdefault(each["AttributeName"], each)
    creation = {"GlobalSecondaryIndexUpdates": [{"Create": index_definition(index, key)}]}
    return Repair("update_table", {"AttributeDefinitions": list(known.values()), **creation})


def _compare_encryption(name: str, found: Described, kms_key: str | None) -> Iterator[Difference]:
    if not found.tells_protection:
        return
    actual = found.table.get("SSEDescription", {})
    repair = Repair("update_table", {"SSESpecification": encryption(kms_key)})
    if actual.get("SSEType") != "KMS" or actual.get("Status") not in _ON:
        yield Difference(name, "it is not encrypted with KMS", RUN_CREATE, repair)
    elif kms_key and not _is_alias(kms_key) and not _is_key(actual.get("KMSMasterKeyArn", ""), kms_key):
        yield Difference(name, f"it is encrypted with another key than {kms_key}", f"{RUN_CREATE} (--kms-key)", repair)


def _compare_ttl(name: str, ttl: Description | None) -> Iterator[Difference]:
    if ttl is None:
        return
    status, attribute = ttl.get("TimeToLiveStatus"), ttl.get("AttributeName")
    if status == "DISABLING":
        yield Difference(name, "TTL is being switched off", "Wait an hour, then run `countersign tables create`")
    elif status not in _ON:
        specification = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}}
        yield Difference(name, "TTL is off", RUN_CREATE, Repair("update_time_to_live", specification))
    elif attribute != TTL_ATTRIBUTE:
        yield Difference(
            name,
            f"TTL is on the attribute {attribute} and has to be on {TTL_ATTRIBUTE}",
            "Switch TTL off yourself, wait an hour, then run `countersign tables create`",
        )


def _compare_no_ttl(name: str, ttl: Description | None) -> Iterator[Difference]:
    if ttl is None or ttl.get("TimeToLiveStatus") not in _ON:
        return
    # An older version switched it on. No entry ever had the attribute, so nothing was lost, and nothing may be.
    specification = {"TimeToLiveSpecification": {"Enabled": False, "AttributeName": ttl.get("AttributeName", "")}}
    yield Difference(
        name,
        "TTL is on, so that anyone who may write an entry may have it deleted",
        RUN_CREATE,
        Repair("update_time_to_live", specification),
    )


def _indexes(table: Description) -> dict[str, Description]:
    return {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes") or ()}


def _spell(schema: Table, key: Key) -> str:
    return " + ".join(f"{attribute} ({schema.attribute_type(attribute)})" for attribute in key.names())


def _spell_found(table: Description, keys: list[dict[str, str]]) -> str:
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    in_order = sorted(keys, key=lambda each: each["KeyType"])  # HASH comes before RANGE.
    return " + ".join(f"{each['AttributeName']} ({types.get(each['AttributeName'], '?')})" for each in in_order)


def _is_alias(kms_key: str) -> bool:
    return "alias/" in kms_key


def _is_key(arn: str, kms_key: str) -> bool:
    return arn.rpartition("/")[2] == kms_key.rpartition("/")[2]

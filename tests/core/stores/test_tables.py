"""The tables: made, fixed and checked, on moto and on AWS's DynamoDB Local."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from botocore.exceptions import ClientError

from core.errors import StoreMisconfigured
from core.stores.dynamodb.comparison import Described, compare
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import check_tables, create_tables
from core.stores.schema import ACCESS, AUDIT, BREAK_GLASS, OUTBOX, REQUESTS, TABLES, Key, Table
from tests.harness.aws import dynamodb_client
from tests.harness.tables import make_older_audit_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Client: TypeAlias = Any
"""boto3's client, or a wrapper around it."""
Answer: TypeAlias = Any
_LOCAL = pytest.param("dynamodb_local_url", marks=pytest.mark.engine)
_DESIGNED = {
    "requests": (
        "id:S",
        {
            "gsi-requester": "requester:S created_at:S",
            "gsi-status": "status:S created_at:S",
            "gsi-profile": "profile:S created_at:S",
        },
    ),
    "break-glass": (
        "pk:S",
        {
            "gsi-invoker": "invoker:S created_at:S",
            "gsi-status": "status:S created_at:S",
            "gsi-profile": "profile:S created_at:S",
            "gsi-awaits": "awaits:S created_at:S",
        },
    ),
    "access": (
        "pk:S",
        {
            "gsi-grantee": "grantee:S created_at:S",
            "gsi-status": "status:S created_at:S",
            "gsi-profile": "profile:S created_at:S",
            "gsi-awaits": "awaits:S created_at:S",
            "gsi-end": "stage:S ends:S",
            "gsi-due": "urgency:S due:S",
        },
    ),
    "audit": ("chain:S seq:N", {"gsi-month": "month:S at:S"}),
    "outbox": ("chain:S seq:N", {"gsi-delivery": "delivery:S due_at:S"}),
}
"""What the design and the release before promise, written out: a change of the schema has to be seen here."""


class Aws:
    """A client whose calls go to moto, but first as slow and as unwilling as AWS can be.

    `statuses` are what the next DescribeTable answers say instead of ACTIVE; `refusals` the codes with which the next
    calls of an operation are refused. It also changes a table's encryption, which moto does not.
    """

    def __init__(self, client: Client, *, statuses: tuple[str, ...] = (), **refusals: tuple[str, ...]) -> None:
        self._client = client
        self.meta = client.meta
        self._statuses = list(statuses)
        self._refusals = {operation: list(codes) for operation, codes in refusals.items()}
        self._encryption: dict[str, dict[str, str]] = {}

    def __getattr__(self, operation: str) -> Callable[..., Answer]:
        return partial(self._call, operation)

    def _call(self, operation: str, **arguments: Answer) -> Answer:
        if self._refusals.get(operation):
            code = self._refusals[operation].pop(0)
            raise ClientError({"Error": {"Code": code, "Message": f"AWS says {code}"}}, operation)
        if "SSESpecification" in arguments and operation == "update_table":
            key = arguments["SSESpecification"].get("KMSMasterKeyId", "arn:aws:kms:eu-west-1:123456789012:key/default")
            self._encryption[arguments["TableName"]] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
            return {}
        answer = getattr(self._client, operation)(**arguments)
        if operation == "describe_table":
            if arguments["TableName"] in self._encryption:
                answer["Table"]["SSEDescription"] = self._encryption[arguments["TableName"]]
            if self._statuses:
                answer["Table"]["TableStatus"] = self._statuses.pop(0)
        return answer


@pytest.fixture(params=["moto_url", _LOCAL])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of each engine in turn."""
    with dynamodb_client(request.getfixturevalue(request.param)) as client:
        yield Aws(client) if request.param == "moto_url" else client


@pytest.fixture
def moto(moto_url: str) -> Iterator[Client]:
    """A client of moto, which tells what DynamoDB Local of 2020 does not: encryption, recovery, protection."""
    with dynamodb_client(moto_url) as client:
        yield Aws(client)


def test_created_tables_are_those_of_the_design(client: Client, table_prefix: str) -> None:
    create_tables(Connection(client), table_prefix)

    for suffix, (key, indexes) in _DESIGNED.items():
        table = client.describe_table(TableName=f"{table_prefix}-{suffix}")["Table"]
        assert _spell(table, table) == key
        assert {each["IndexName"]: _spell(table, each) for each in table["GlobalSecondaryIndexes"]} == indexes
        assert {each["Projection"]["ProjectionType"] for each in table["GlobalSecondaryIndexes"]} == {"ALL"}
        assert {each["IndexStatus"] for each in table["GlobalSecondaryIndexes"]} == {"ACTIVE"}
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        ttl = client.describe_time_to_live(TableName=table["TableName"])["TimeToLiveDescription"]
        has_ttl = {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
        assert ttl == ({"TimeToLiveStatus": "DISABLED"} if suffix == "audit" else has_ttl)


def test_new_tables_are_encrypted_protected_and_recoverable(moto: Client, table_prefix: str) -> None:
    report = create_tables(Connection(moto), table_prefix)

    assert report.is_fine
    assert report.untold == ()
    for name in _names(table_prefix):
        table = moto.describe_table(TableName=name)["Table"]
        assert table["SSEDescription"]["SSEType"] == "KMS"
        assert table["DeletionProtectionEnabled"] is True
        backups = moto.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_report_names_what_was_made_and_finds_no_difference(client: Client, table_prefix: str) -> None:
    report = create_tables(Connection(client), table_prefix)

    assert report.made == _names(table_prefix)
    assert report.repaired == ()
    assert report.differences == check_tables(Connection(client), table_prefix).differences == ()


def test_second_run_makes_and_fixes_nothing(client: Client, table_prefix: str) -> None:
    create_tables(Connection(client), table_prefix)
    before = _everything(client, table_prefix)

    again = create_tables(Connection(client), table_prefix)

    assert (again.made, again.repaired, again.differences) == ((), (), ())
    assert _everything(client, table_prefix) == before


def test_two_runs_at_once_end_with_the_same_tables(client: Client, table_prefix: str) -> None:
    start, reports = threading.Barrier(4), []

    def run() -> None:
        start.wait()
        reports.append(create_tables(Connection(client), table_prefix))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report.differences for report in reports] == [()] * 4
    assert sorted(name for report in reports for name in report.made) == sorted(_names(table_prefix))


@pytest.mark.engine
def test_what_an_old_engine_does_not_report_is_no_difference(dynamodb_local_url: str, table_prefix: str) -> None:
    with dynamodb_client(dynamodb_local_url) as client:
        report = create_tables(Connection(client), table_prefix)

    assert report.is_fine
    assert report.untold == (
        "whether the tables are encrypted with KMS",
        "whether deletion protection is on",
        "whether point-in-time recovery is on",
    )


def test_missing_tables_are_named_and_not_made_by_a_check(client: Client, table_prefix: str) -> None:
    report = check_tables(Connection(client), table_prefix)

    assert [str(each) for each in report.differences] == [
        f"{name}: this table is missing. Run `countersign tables create`." for name in _names(table_prefix)
    ]
    assert not set(_names(table_prefix)) & set(client.list_tables()["TableNames"])


def test_half_made_table_is_named_then_fixed_and_keeps_its_items(client: Client, table_prefix: str) -> None:
    name = REQUESTS.name(table_prefix)
    _make(client, name, REQUESTS, BillingMode="PROVISIONED", indexes=("gsi-status", "gsi-profile"))
    client.put_item(TableName=name, Item={"id": {"S": "kept"}})

    found = [each.problem for each in check_tables(Connection(client), table_prefix).differences if each.table == name]
    report = create_tables(Connection(client), table_prefix)

    wanted = ["its capacity is provisioned, not on demand", "the index gsi-requester is missing", "TTL is off"]
    assert [each for each in found if each in wanted] == wanted
    assert set(report.repaired) == {f"{name}: {each}" for each in found}
    assert report.is_fine
    assert name not in report.made
    assert "Item" in client.get_item(TableName=name, Key={"id": {"S": "kept"}})


def test_indexes_are_added_one_after_the_other_as_aws_demands(moto: Client, table_prefix: str) -> None:
    for table in TABLES:
        _make(moto, table.name(table_prefix), table, indexes=())

    report = create_tables(Connection(moto), table_prefix)

    assert sum("index" in each for each in report.repaired) == 15
    assert report.is_fine


def test_encryption_recovery_and_protection_are_switched_on(moto: Client, table_prefix: str) -> None:
    name = AUDIT.name(table_prefix)
    _make(moto, name, AUDIT)

    assert [
        each.problem for each in check_tables(Connection(moto), table_prefix).differences if each.table == name
    ] == [
        "deletion protection is off",
        "it is not encrypted with KMS",
        "point-in-time recovery is off",
    ]
    assert len(create_tables(Connection(moto), table_prefix).repaired) == 3
    assert check_tables(Connection(moto), table_prefix).is_fine


def test_check_changes_nothing(client: Client, table_prefix: str) -> None:
    for table in TABLES:
        _make(client, table.name(table_prefix), table, indexes=())
    before = _everything(client, table_prefix)

    assert not check_tables(Connection(client), table_prefix).is_fine
    assert _everything(client, table_prefix) == before


def test_table_with_another_key_is_named_and_left_as_it_is(client: Client, table_prefix: str) -> None:
    name = AUDIT.name(table_prefix)
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "chain", "KeyType": "HASH"}, {"AttributeName": "seq", "KeyType": "RANGE"}],
        AttributeDefinitions=[_attribute("chain", "S"), _attribute("seq", "S")],
    )
    before = client.describe_table(TableName=name)["Table"]

    report = create_tables(Connection(client), table_prefix)

    assert [str(each) for each in report.differences] == [
        (
            f"{name}: its key is chain (S) + seq (S) and has to be chain (S) + seq (N). No table's key can be changed: "
            "name another prefix in COUNTERSIGN_STORE, or remove this table yourself."
        )
    ]
    assert client.describe_table(TableName=name)["Table"] == before
    assert client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}]},
            "the key of the index gsi-status is status (S) and has to be status (S) + created_at (S)",
        ),
        (
            {"Projection": {"ProjectionType": "KEYS_ONLY"}},
            "the index gsi-status leaves out attributes and has to project ALL",
        ),
    ],
)
def test_index_that_differs_is_named_and_left_to_a_person(
    client: Client, table_prefix: str, change: dict[str, Any], problem: str
) -> None:
    name = REQUESTS.name(table_prefix)
    _make(client, name, REQUESTS, change={"gsi-status": change})

    report = create_tables(Connection(client), table_prefix)

    assert [each.problem for each in report.differences] == [problem]
    assert "Delete the index gsi-status yourself" in report.differences[0].fix
    indexes = client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]
    (kept,) = [each for each in indexes if each["IndexName"] == "gsi-status"]
    assert change.items() <= kept.items()


def test_ttl_on_another_attribute_is_named_and_left_to_a_person(client: Client, table_prefix: str) -> None:
    name = REQUESTS.name(table_prefix)
    _make(client, name, REQUESTS)
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"})

    report = create_tables(Connection(client), table_prefix)

    assert [each.problem for each in report.differences] == ["TTL is on the attribute expires_at and has to be on ttl"]
    ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expires_at"


def test_ttl_of_the_audit_table_is_named_and_switched_off(client: Client, table_prefix: str) -> None:
    """Older versions made it with one: who may write an entry could then have it deleted by DynamoDB itself."""
    name = AUDIT.name(table_prefix)
    create_tables(Connection(client), table_prefix)
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})

    found = check_tables(Connection(client), table_prefix).differences
    report = create_tables(Connection(client), table_prefix)

    assert [(each.table, each.problem.partition(",")[0]) for each in found] == [(name, "TTL is on")]
    assert [each.partition(",")[0] for each in report.repaired] == [f"{name}: TTL is on"]
    assert report.is_fine
    assert client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"


def test_tables_of_an_older_version_gain_what_is_new(client: Client, table_prefix: str) -> None:
    for table in (REQUESTS, BREAK_GLASS):
        _make(client, table.name(table_prefix), table)
    make_older_audit_table(client, table_prefix)
    client.put_item(TableName=AUDIT.name(table_prefix), Item={"chain": {"S": "kept"}, "seq": {"N": "1"}})

    found = check_tables(Connection(client), table_prefix).differences
    report = create_tables(Connection(client), table_prefix)

    gained = (ACCESS.name(table_prefix), OUTBOX.name(table_prefix))
    missing = {f"{name}: this table is missing. Run `countersign tables create`." for name in gained}
    assert missing <= {str(each) for each in found}
    assert not [each for each in found if "gsi-delivery" in each.problem]
    assert report.made == gained
    assert report.is_fine
    assert client.scan(TableName=AUDIT.name(table_prefix))["Count"] == 1


def test_named_kms_key_replaces_another_one(moto: Client, table_prefix: str) -> None:
    create_tables(Connection(moto), table_prefix)
    key = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000000"

    found = check_tables(Connection(moto), table_prefix, kms_key=key)
    report = create_tables(Connection(moto), table_prefix, kms_key=key)

    assert {each.problem for each in found.differences} == {f"it is encrypted with another key than {key}"}
    assert report.is_fine
    for name in _names(table_prefix):
        assert moto.describe_table(TableName=name)["Table"]["SSEDescription"]["KMSMasterKeyArn"] == key


def test_alias_is_reported_as_unknown_rather_than_compared(moto: Client, table_prefix: str) -> None:
    create_tables(Connection(moto), table_prefix)

    report = check_tables(Connection(moto), table_prefix, kms_key="alias/countersign")

    assert report.is_fine
    assert report.untold == (
        "whether alias/countersign is the key that encrypts: DynamoDB names the key behind an alias",
    )


def test_table_that_aws_is_still_making_is_waited_for(moto: Client, table_prefix: str) -> None:
    aws = Aws(moto, statuses=("CREATING", "CREATING", "UPDATING"))

    assert create_tables(Connection(aws), table_prefix).is_fine


def test_waiting_ends_at_the_deadline_with_a_difference(moto: Client, table_prefix: str) -> None:
    aws = Aws(moto, statuses=("CREATING",) * 1000)

    report = create_tables(Connection(aws), table_prefix, deadline_seconds=0)

    assert [(each.problem, each.fix) for each in report.differences] == [
        ("it is CREATING", "Wait, then run it again")
    ] * len(TABLES)


def test_call_that_aws_is_not_ready_for_is_retried(moto: Client, table_prefix: str) -> None:
    aws = Aws(
        moto,
        update_continuous_backups=("ContinuousBackupsUnavailableException",) * 2,
        update_time_to_live=("ResourceInUseException",),
    )

    assert create_tables(Connection(aws), table_prefix).is_fine


def test_table_that_somebody_else_made_first_is_taken_as_it_is(moto: Client, table_prefix: str) -> None:
    create_tables(Connection(moto), table_prefix)
    # The first reading of each comes from before the other run.
    aws = Aws(moto, describe_table=("ResourceNotFoundException",))

    report = create_tables(Connection(aws), table_prefix)

    assert report.made == ()
    assert report.is_fine


def test_final_refusal_of_aws_is_reported_in_its_words(moto: Client, table_prefix: str) -> None:
    name = REQUESTS.name(table_prefix)
    create_tables(Connection(moto), table_prefix)
    moto.update_table(TableName=name, DeletionProtectionEnabled=False)
    aws = Aws(moto, update_table=("LimitExceededException",) * 1000)

    report = create_tables(Connection(aws), table_prefix)

    assert [str(each) for each in report.differences] == [
        f"{name}: deletion protection is off. AWS did not change it: AWS says LimitExceededException."
    ]
    assert report.repaired == ()


def test_limit_of_aws_that_passes_is_waited_out(moto: Client, table_prefix: str) -> None:
    name = REQUESTS.name(table_prefix)
    create_tables(Connection(moto), table_prefix)
    moto.update_table(TableName=name, DeletionProtectionEnabled=False)
    aws = Aws(moto, update_table=("LimitExceededException",) * 2)

    report = create_tables(Connection(aws), table_prefix)

    assert report.repaired == (f"{name}: deletion protection is off",)
    assert report.is_fine


def test_table_that_cannot_be_made_says_what_to_check(moto: Client, table_prefix: str) -> None:
    aws = Aws(moto, create_table=("ValidationException",))

    with pytest.raises(StoreMisconfigured, match=r"cannot be made: AWS says ValidationException\. Check the prefix"):
        create_tables(Connection(aws), table_prefix)


@pytest.mark.parametrize(
    ("status", "problem", "fix"),
    [
        ("DELETING", "it is DELETING", "Wait"),
        ("ARCHIVED", "it is ARCHIVED", "Restore it"),
        ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "DynamoDB may not use its KMS key", "Switch the key on again"),
    ],
)
def test_table_in_trouble_is_named_and_nothing_else_is_judged(
    moto: Client, table_prefix: str, status: str, problem: str, fix: str
) -> None:
    name = REQUESTS.name(table_prefix)
    _make(moto, name, REQUESTS, indexes=())
    table = {**moto.describe_table(TableName=name)["Table"], "TableStatus": status}

    (difference,) = compare(REQUESTS, name, Described(table, ttl=None, recovery=None))

    assert difference.problem == problem
    assert difference.fix.startswith(fix)
    assert difference.repair is None


def test_index_under_construction_is_a_difference_for_a_check(moto: Client, table_prefix: str) -> None:
    create_tables(Connection(moto), table_prefix)
    table = moto.describe_table(TableName=REQUESTS.name(table_prefix))["Table"]
    table["GlobalSecondaryIndexes"][0]["IndexStatus"] = "CREATING"
    index = table["GlobalSecondaryIndexes"][0]["IndexName"]

    (difference,) = compare(REQUESTS, "countersign-requests", Described(table, ttl=None, recovery=None))

    assert str(difference) == f"countersign-requests: the index {index} is CREATING. Wait, then run it again."


def _names(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}-{suffix}" for suffix in _DESIGNED)


def _spell(table: dict[str, Any], keyed: dict[str, Any]) -> str:
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    return " ".join(f"{each['AttributeName']}:{types[each['AttributeName']]}" for each in keyed["KeySchema"])


def _everything(client: Client, prefix: str) -> list[Answer]:
    described = [client.describe_table(TableName=name)["Table"] for name in _names(prefix)]
    ttl = [client.describe_time_to_live(TableName=name)["TimeToLiveDescription"] for name in _names(prefix)]
    return [described, ttl]


def _attribute(name: str, letter: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": letter}


def _make(
    client: Client,
    name: str,
    schema: Table,
    *,
    indexes: tuple[str, ...] | None = None,
    change: dict[str, dict[str, Any]] | None = None,
    **arguments: Answer,
) -> None:
    """A table as somebody might have made it by hand: with these of its indexes, and none of the switches."""
    chosen = schema.indexes if indexes is None else {index: schema.indexes[index] for index in indexes}
    capacity = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    is_provisioned = arguments.get("BillingMode") == "PROVISIONED"
    provisioned = {"ProvisionedThroughput": capacity} if is_provisioned else {}
    definitions = [
        {
            "IndexName": index,
            "KeySchema": _keys(key),
            "Projection": {"ProjectionType": "ALL"},
            **provisioned,
            **(change or {}).get(index, {}),
        }
        for index, key in chosen.items()
    ]
    used = {
        each["AttributeName"]
        for keyed in [{"KeySchema": _keys(schema.key)}, *definitions]
        for each in keyed["KeySchema"]
    }
    client.create_table(
        TableName=name,
        KeySchema=_keys(schema.key),
        AttributeDefinitions=[_attribute(each, schema.attribute_type(each)) for each in sorted(used)],
        **({"GlobalSecondaryIndexes": definitions} if definitions else {}),
        **provisioned,
        **{"BillingMode": "PAY_PER_REQUEST", **arguments},
    )


def _keys(key: Key) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": name, "KeyType": kinds[place]} for place, name in enumerate(key.names())]

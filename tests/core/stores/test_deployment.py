"""What `deploy/` promises: the committed files, the template's tables, and what IAM has to allow."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from cfnlint.api import lint_all

from core.access.holding import Urgency
from core.audit.keyring import AuditKeyring
from core.audit.trail import seal
from core.audit.verification import verify_trail
from core.break_glass import EventId, EventStatus
from core.errors import EventNotFound
from core.request import RequestId, RequestStatus
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.audit_copy import audit_bucket
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.deployment import DEFAULT_PREFIX, Role, cloudformation, iam_policy
from core.stores.dynamodb.tables import check_tables, create_tables
from core.stores.schema import AUDIT
from playground.demo_target import DemoTarget
from playground.story import MovableClock, Story
from tests.builders import a_refusal
from tests.core.stores.access_bench import AccessBench
from tests.core.stores.session_bench import SessionBench
from tests.harness.aws import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, dynamodb_client
from tests.harness.clock import FrozenClock
from tests.harness.iam import IamClient, NotAllowedByIamError

if TYPE_CHECKING:
    from datetime import datetime

    from core.stores.base import Stores

_DEPLOY = Path(__file__).parents[3] / "deploy"
_WRITES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


@pytest.mark.parametrize(
    ("file", "document", "command"),
    [
        ("tables.template.json", cloudformation(), "countersign tables template"),
        ("audit-bucket.template.json", audit_bucket(), "countersign tables audit-bucket"),
        ("iam-policy.json", iam_policy(Role.BOT), "countersign tables iam"),
        ("iam-policy.broker.json", iam_policy(Role.BROKER), "countersign tables iam --for broker"),
        ("iam-policy.operator.json", iam_policy(Role.OPERATOR), "countersign tables iam --role operator"),
    ],
)
def test_committed_file_is_what_the_schema_makes(file: str, document: dict[str, Any], command: str) -> None:
    committed = (_DEPLOY / file).read_text(encoding="utf-8")

    assert committed == json.dumps(document, indent=2) + "\n", f"run: {command} > deploy/{file}"


def test_template_makes_the_tables_of_the_schema(moto_url: str, table_prefix: str) -> None:
    template = cloudformation(table_prefix)
    cloud = boto3.client(
        "cloudformation",
        region_name=REGION,
        endpoint_url=moto_url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )
    with closing(cloud), dynamodb_client(moto_url) as client:
        cloud.create_stack(StackName=table_prefix, TemplateBody=json.dumps(template))
        report = check_tables(Connection(client), table_prefix)

    # Moto's CloudFormation leaves these three out; keys, indexes, billing and protection it makes.
    assert {each.problem for each in report.differences} == {
        "it is not encrypted with KMS",
        "TTL is off",
        "point-in-time recovery is off",
    }
    tables = {name: each for name, each in template["Resources"].items() if each["Type"] == "AWS::DynamoDB::Table"}
    assert tables.keys() == {"Requests", "BreakGlass", "Access", "Audit", "Outbox"}
    for name, resource in tables.items():
        properties = resource["Properties"]
        assert properties["SSESpecification"]["SSEType"] == "KMS"
        ttl = None if name == "Audit" else {"AttributeName": "ttl", "Enabled": True}
        assert properties.get("TimeToLiveSpecification") == ttl
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("template", [cloudformation(), cloudformation("team"), audit_bucket()])
def test_template_is_valid_for_cloudformation(template: dict[str, Any]) -> None:
    found = [match for match in lint_all(json.dumps(template)) if not match.rule.id.startswith("I")]
    assert [str(match) for match in found] == []


def test_copy_of_the_audit_table_is_made_only_for_a_bucket() -> None:
    template = cloudformation()
    assert template["Parameters"]["AuditBucketArn"]["Default"] == ""
    of_copy = {name for name, each in template["Resources"].items() if each.get("Condition") == "CopiesAudit"}
    assert of_copy == {"AuditStream", "AuditCopyRole", "AuditCopy"}
    streamed = [
        name for name, each in template["Resources"].items() if "KinesisStreamSpecification" in each["Properties"]
    ]
    assert streamed == ["Audit"]


def test_bucket_of_the_copy_keeps_what_it_has() -> None:
    properties = audit_bucket()["Resources"]["AuditBucket"]["Properties"]
    assert properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"] == "COMPLIANCE"
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    policy = audit_bucket()["Resources"]["AuditBucketPolicy"]["Properties"]["PolicyDocument"]
    allowed = {action for each in policy["Statement"] if each["Effect"] == "Allow" for action in each["Action"]}
    assert not {action for action in allowed if "Delete" in action or "Retention" in action or "*" in action}


def test_bot_may_add_to_the_audit_table_and_nothing_else() -> None:
    """Nor may it read and then write it by another name: these are all the actions on that table."""
    name = AUDIT.name(DEFAULT_PREFIX)
    statements = [
        each for each in iam_policy(Role.BOT)["Statement"] if any(arn.split("/")[1] == name for arn in each["Resource"])
    ]
    writes = {
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "PartiQLInsert",
        "PartiQLUpdate",
        "PartiQLDelete",
    }
    granted = {action.removeprefix("dynamodb:") for each in statements for action in each["Action"]}
    assert granted & writes == {"PutItem"}
    assert granted - writes == {"BatchGetItem", "ConditionCheckItem", "GetItem", "Query"}
    (adding,) = [each for each in statements if "dynamodb:PutItem" in each["Action"]]
    assert adding["Action"] == ["dynamodb:PutItem"]
    assert adding["Condition"] == {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_item", {"Item": {}, "ConditionExpression": "attribute_not_exists(seq)"}),
        ("update_item", {"Key": {}}),
        ("delete_item", {"Key": {}}),
        ("transact_write_items", {"TransactItems": [{"Update": {"TableName": AUDIT.name("team")}}]}),
        ("transact_write_items", {"TransactItems": [{"Delete": {"TableName": AUDIT.name("team")}}]}),
    ],
)
def test_judge_of_the_suites_refuses_other_writes(operation: str, arguments: dict[str, Any], moto_url: str) -> None:
    with dynamodb_client(moto_url) as client:
        bot = IamClient(client, iam_policy(Role.BOT, "team"))
        named = arguments if operation.startswith("transact") else {"TableName": AUDIT.name("team"), **arguments}
        with pytest.raises(NotAllowedByIamError):
            getattr(bot, operation)(**named)


def test_judge_of_the_suites_refuses_a_put_that_overwrites(moto_url: str) -> None:
    with dynamodb_client(moto_url) as client:
        bot = IamClient(client, iam_policy(Role.BOT, "team"))
        with pytest.raises(AssertionError):
            bot.transact_write_items(TransactItems=[{"Put": {"TableName": AUDIT.name("team"), "Item": {}}}])


def test_iam_allows_the_bot_what_it_does_and_nothing_more(moto_url: str, table_prefix: str, tmp_path: Path) -> None:
    with dynamodb_client(moto_url) as client:
        create_tables(Connection(client), table_prefix)
        done = _listen(client)
        with closing(_open(client, table_prefix)) as stores:
            aws = DemoTarget(tmp_path / "aws.json", MovableClock())
            for _ in Story(stores, aws, MovableClock()).play():
                pass
            _deliver_all(stores, MovableClock().now())
            _reconcile(stores)
            # The sweeper looks at single events.
            with suppress(EventNotFound):
                stores.break_glass.get(EventId("0123456789abcdef"))

    assert done == _allowed(Role.BOT, table_prefix)


def test_iam_allows_an_operator_what_tables_and_audit_do(moto_url: str, table_prefix: str) -> None:
    with dynamodb_client(moto_url) as client:
        done = _listen(client)
        create_tables(Connection(client), table_prefix)
        check_tables(Connection(client), table_prefix)
        with closing(_open(client, table_prefix)) as stores:
            assert not list(stores.audit.export())
            assert not list(verify_trail(stores, AuditKeyring(), MovableClock().now()))
    allowed = _allowed(Role.OPERATOR, table_prefix)

    assert {table: actions - allowed[table] for table, actions in done.items()} == {table: set() for table in done}


@pytest.mark.parametrize("role", Role)
def test_iam_lets_nobody_delete(role: Role) -> None:
    assert "Delete" not in json.dumps(iam_policy(role))


def _open(client: Any, prefix: str) -> DynamoStores:  # noqa: ANN401
    return DynamoStores(Connection(client), prefix, StoreSettings(clock=MovableClock()))


def _deliver_all(stores: Stores, now: datetime) -> None:
    """What the bot does besides deciding: it lists, tells what is committed, and looks again after a lost answer."""
    stores.requests.list_by_status(RequestStatus.PENDING)
    for request in stores.requests.list_by_status(RequestStatus.APPROVED).items[:1]:
        stores.requests.get(RequestId(request.id))
    stores.break_glass.list_by_status(EventStatus.ACTIVE)
    stores.audit.get_refusals_head("REFUSALS#0123456789abcdef")
    stores.audit.get_last("POLICY")
    refusal = seal(a_refusal(), AuditKeyring(), chain="REFUSALS#0123456789abcdef", seq=1, previous="", at=now)
    for _ in range(2):
        stores.audit.append_refusals([refusal])
    first, second, *_ = stores.outbox.iterate_due(now.replace(year=now.year + 1))
    for delivery, end in ((first, stores.outbox.postpone), (first, stores.outbox.finish), (second, stores.outbox.park)):
        leased = stores.outbox.lease(delivery, "0123456789abcdef", now, now)
        assert leased is not None
        end(leased)
    assert list(stores.outbox.iterate_parked())
    stores.outbox.adopt(now)


def _reconcile(stores: Stores) -> None:
    """What the bot does with access: it makes a grant, opens it, issues credentials, ends them, and looks for more."""
    bench = AccessBench.on(stores, FrozenClock())
    opened = bench.open(bench.grant())
    sessions = SessionBench.on(stores, FrozenClock())
    sessions.revoke(sessions.issue(opened))
    assert stores.access.list_due(Urgency.LOOK, opened.ends_at) == ()
    state = bench.state()
    stores.access.commit(state, state.holding)


def _listen(client: Any) -> dict[str, set[str]]:  # noqa: ANN401
    """Collect what the client does from now on, the way IAM counts it: table to actions."""
    done: defaultdict[str, set[str]] = defaultdict(set)

    def note(params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401
        if model.name == "TransactWriteItems":
            for item in params["TransactItems"]:
                ((kind, write),) = item.items()
                done[write["TableName"]].add(_WRITES[kind])
        elif model.name == "BatchGetItem":
            for table in params["RequestItems"]:
                done[table].add("BatchGetItem")
        else:
            done[params["TableName"]].add(model.name)

    client.meta.events.register("provide-client-params.dynamodb.*", note)
    return done


def _allowed(role: Role, prefix: str) -> dict[str, set[str]]:
    allowed: defaultdict[str, set[str]] = defaultdict(set)
    for statement in iam_policy(role, prefix)["Statement"]:
        for arn in statement["Resource"]:
            allowed[arn.split("/")[1]] |= {action.removeprefix("dynamodb:") for action in statement["Action"]}
    return allowed

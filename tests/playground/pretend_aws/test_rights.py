"""What a session may do at the pretend AWS at this moment, and what ends that."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from core.clock import format_time
from tests.harness.clock import FrozenClock
from tests.harness.pretend_aws import (
    ALLOW_ALL,
    BROKER,
    EXTERNAL_ID,
    LOCAL,
    PROD,
    REVOKER,
    TARGET_ACCOUNT,
    aws_client,
    read_keys,
    serve_pretend_aws,
    trust_policy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playground.pretend_aws import AwsKeys, PretendAws

IDENTITY = "countersign-0123456789abcdef-U0ANN"
OTHER = "countersign-ffffffffffffffff-U0BOB"


def statement(effect: str, *, action: str = "*", **condition: dict[str, str]) -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*", **more}]}


def session(
    aws: PretendAws,
    broker: AwsKeys,
    policy: Mapping[str, Any] | None = None,
    identity: str = IDENTITY,
    role: str = PROD,
) -> AwsKeys:
    more = {"Policy": json.dumps(policy)} if policy else {}
    return read_keys(
        aws_client("sts", aws, broker).assume_role(
            RoleArn=role, RoleSessionName="ann", SourceIdentity=identity, ExternalId=EXTERNAL_ID, **more
        )
    )


def denial(aws: PretendAws, keys: AwsKeys) -> str | None:
    """AWS's words for why it doesn't list the buckets, None if it does."""
    try:
        assert aws_client("s3", aws, keys).list_buckets()["Buckets"]
    except ClientError as error:
        refused = error.response["Error"]
    else:
        return None
    assert refused["Code"] == "AccessDenied"
    return str(refused["Message"]).partition("s3:ListAllMyBuckets ")[2]


def test_rights_end_to_the_second(aws: PretendAws, broker: AwsKeys, clock: FrozenClock) -> None:
    ends = (clock.now() + timedelta(minutes=10)).replace(microsecond=0)
    keys = session(aws, broker, statement("Allow", DateLessThan={"aws:CurrentTime": format_time(ends)}))
    clock.set(ends - timedelta(microseconds=1))
    assert denial(aws, keys) is None
    clock.set(ends)
    assert denial(aws, keys) == "because no session policy allows the s3:ListAllMyBuckets action"
    # The credentials themselves still live: GetCallerIdentity needs no permission.
    assert aws_client("sts", aws, keys).get_caller_identity()["Account"] == TARGET_ACCOUNT


def test_a_session_policy_grants_nothing_of_its_own(aws: PretendAws, broker: AwsKeys) -> None:
    aws.add_role(PROD, trust=trust_policy(), policies={"work": statement("Allow", action="s3:Get*")})
    assert denial(aws, session(aws, broker, ALLOW_ALL)) == (
        "because no identity-based policy allows the s3:ListAllMyBuckets action"
    )
    aws.add_role(PROD, trust=trust_policy(), policies={"work": statement("Allow", action="s3:List*")})
    assert denial(aws, session(aws, broker)) is None


def test_a_deny_by_source_identity_ends_one_grant(aws: PretendAws, broker: AwsKeys, clock: FrozenClock) -> None:
    ended, other = session(aws, broker, role=LOCAL), session(aws, broker, identity=OTHER, role=LOCAL)
    iam = aws_client("iam", aws, broker)
    deny = json.dumps(statement("Deny", StringEquals={"aws:SourceIdentity": IDENTITY}))
    iam.put_role_policy(RoleName="tools-admin", PolicyName="countersign-1", PolicyDocument=deny)
    assert denial(aws, ended) == "with an explicit deny in an identity-based policy"
    assert denial(aws, other) is None
    iam.delete_role_policy(RoleName="tools-admin", PolicyName="countersign-1")
    assert denial(aws, ended) is None
    # Everything that was issued before a moment, for everybody.
    clock.advance(timedelta(minutes=1))
    document = json.dumps(
        statement(
            "Deny",
            StringLike={"aws:SourceIdentity": "countersign-*"},
            DateLessThan={"aws:TokenIssueTime": format_time(clock.now())},
        )
    )
    iam.put_role_policy(RoleName="tools-admin", PolicyName="countersign-all", PolicyDocument=document)
    assert denial(aws, other) == "with an explicit deny in an identity-based policy"
    assert denial(aws, session(aws, broker, role=LOCAL)) is None


def test_a_change_of_policies_may_take_effect_late(clock: FrozenClock) -> None:
    with serve_pretend_aws(clock, delay=timedelta(minutes=2)) as aws:
        broker = aws.add_role_session(BROKER)
        clock.advance(timedelta(minutes=2))
        keys, iam = session(aws, broker, role=LOCAL), aws_client("iam", aws, broker)
        deny = json.dumps(statement("Deny"))
        iam.put_role_policy(RoleName="tools-admin", PolicyName="deny", PolicyDocument=deny)
        assert iam.list_role_policies(RoleName="tools-admin")["PolicyNames"] == ["deny", "work"]
        assert denial(aws, keys) is None
        clock.advance(timedelta(minutes=2))
        assert denial(aws, keys) == "with an explicit deny in an identity-based policy"


def test_a_control_policy_limits_the_whole_account(aws: PretendAws, broker: AwsKeys) -> None:
    keys = session(aws, broker)
    limit = statement("Deny", action="s3:*", StringNotLike={"aws:SourceIdentity": "countersign-*"})
    limit["Statement"].append({"Effect": "Allow", "Action": "*", "Resource": "*"})
    aws.set_control_policy(TARGET_ACCOUNT, limit)
    assert denial(aws, keys) is None
    assert denial(aws, aws.add_role_session(PROD)) == "with an explicit deny in a service control policy"


def test_iam_reaches_only_the_callers_own_account(aws: PretendAws, broker: AwsKeys) -> None:
    iam = aws_client("iam", aws, broker)
    with pytest.raises(ClientError, match=r"not authorized to perform: iam:GetRole on resource: .*:role/prod-admin"):
        iam.get_role(RoleName="prod-admin")
    revoker = read_keys(aws_client("sts", aws, broker).assume_role(RoleArn=REVOKER, RoleSessionName="revoker"))
    there = aws_client("iam", aws, revoker)
    assert there.get_role(RoleName="prod-admin")["Role"]["Arn"] == PROD
    with pytest.raises(ClientError, match="not authorized to perform: iam:PutRolePolicy"):
        there.put_role_policy(RoleName="countersign-revoker", PolicyName="x", PolicyDocument=json.dumps(ALLOW_ALL))


def test_a_roles_policies_share_10240_characters(aws: PretendAws, broker: AwsKeys) -> None:
    iam = aws_client("iam", aws, broker)

    def put(name: str, letters: int, spaces: int = 0) -> None:
        document = statement("Deny", StringEquals={"aws:SourceIdentity": "x" * letters})
        text = json.dumps(document, separators=(",", ":")) + " " * spaces
        iam.put_role_policy(RoleName="tools-admin", PolicyName=name, PolicyDocument=text)

    held = json.dumps(ALLOW_ALL, separators=(",", ":"))
    overhead = len(json.dumps(statement("Deny", StringEquals={"aws:SourceIdentity": ""}), separators=(",", ":")))
    put("deny", 10_240 - len(held) - overhead, spaces=500)
    with pytest.raises(ClientError, match="Maximum policy size of 10240 bytes exceeded for role tools-admin") as caught:
        put("deny", 10_240 - len(held) - overhead + 1)
    assert caught.value.response["Error"]["Code"] == "LimitExceeded"
    with pytest.raises(ClientError) as caught:
        iam.put_role_policy(RoleName="tools-admin", PolicyName="bad", PolicyDocument=json.dumps(trust_policy()))
    assert caught.value.response["Error"]["Code"] == "MalformedPolicyDocument"
    names = iam.get_paginator("list_role_policies").paginate(RoleName="tools-admin", PaginationConfig={"PageSize": 1})
    assert [page["PolicyNames"] for page in names] == [["deny"], ["work"]]


_ROLE = "tools-admin"
_DENY = json.dumps(statement("Deny", StringEquals={"aws:SourceIdentity": IDENTITY}))
_STORY: list[tuple[str, dict[str, str]]] = [
    ("put_role_policy", {"RoleName": _ROLE, "PolicyName": "deny", "PolicyDocument": _DENY}),
    ("get_role_policy", {"RoleName": _ROLE, "PolicyName": "deny"}),
    ("list_role_policies", {"RoleName": _ROLE}),
    ("delete_role_policy", {"RoleName": _ROLE, "PolicyName": "deny"}),
    ("delete_role_policy", {"RoleName": _ROLE, "PolicyName": "deny"}),
    ("get_role_policy", {"RoleName": _ROLE, "PolicyName": "deny"}),
    ("list_role_policies", {"RoleName": _ROLE}),
    ("get_role", {"RoleName": _ROLE}),
]


def _play(client: Any) -> list[Any]:  # noqa: ANN401 - botocore makes its methods at run time.
    heard: list[Any] = []
    for call, given in _STORY:
        try:
            answer = getattr(client, call)(**given)
        except ClientError as error:
            heard.append(error.response["Error"]["Code"])
            continue
        names = sorted(answer.get("PolicyNames", ())) or sorted(answer.get("Role", ()))
        heard.append(names or answer.get("PolicyDocument"))
    return heard


def test_moto_answers_alike_where_it_knows_the_rule(aws: PretendAws, moto_url: str) -> None:
    ours = _play(aws_client("iam", aws, aws.add_role_session(LOCAL)))
    # Its server, not `mock_aws`, which would empty the servers that other tests of this process use.
    theirs: Any = boto3.client(
        "iam", "us-east-1", endpoint_url=moto_url, aws_access_key_id="x", aws_secret_access_key="x"
    )
    theirs.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=json.dumps(trust_policy()))
    theirs.put_role_policy(RoleName=_ROLE, PolicyName="work", PolicyDocument=json.dumps(ALLOW_ALL))
    assert ours == _play(theirs)

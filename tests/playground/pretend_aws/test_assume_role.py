"""The pretend STS keeps AWS's rules for AssumeRole, seen through real boto3 clients."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from playground.pretend_aws import PretendFault
from tests.harness.pretend_aws import (
    ALLOW_ALL,
    BROKER,
    EXTERNAL_ID,
    LOCAL,
    PROD,
    TARGET_ACCOUNT,
    aws_client,
    broker_policy,
    read_keys,
    trust_policy,
)

if TYPE_CHECKING:
    from playground.pretend_aws import AwsKeys, PretendAws
    from tests.harness.clock import FrozenClock

IDENTITY = "countersign-0123456789abcdef-U0ANN"


def assume(aws: PretendAws, keys: AwsKeys, **changed: object) -> dict[str, Any]:
    given = {
        "RoleArn": PROD,
        "RoleSessionName": "ann@example.com",
        "SourceIdentity": IDENTITY,
        "ExternalId": EXTERNAL_ID,
        **changed,
    }
    answer: dict[str, Any] = aws_client("sts", aws, keys).assume_role(
        **{key: value for key, value in given.items() if value is not None}
    )
    return answer


def refusal(aws: PretendAws, keys: AwsKeys, **changed: object) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        assume(aws, keys, **changed)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def tags(*keys: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": "x"} for key in keys]


def test_what_is_issued_names_the_session(aws: PretendAws, broker: AwsKeys, clock: FrozenClock) -> None:
    answer = assume(aws, broker, Tags=tags("countersign:request"), TransitiveTagKeys=["countersign:request"])
    assert answer["SourceIdentity"] == IDENTITY
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{TARGET_ACCOUNT}:assumed-role/prod-admin/ann@example.com"
    assert answer["Credentials"]["Expiration"] == clock.now() + timedelta(hours=1)
    assert 0 < answer["PackedPolicySize"] <= 100
    identity = aws_client("sts", aws, read_keys(answer)).get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (answer["AssumedRoleUser"]["Arn"], TARGET_ACCOUNT)
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"RoleSessionName": "x y"}, "Member must satisfy regular expression pattern"),
        ({"RoleSessionName": "a:b"}, "Member must satisfy regular expression pattern"),
        ({"RoleSessionName": "a" * 65}, "Member must have length less than or equal to 64"),
        ({"SourceIdentity": "aws:ann"}, "Member must satisfy regular expression pattern"),
        ({"SourceIdentity": "countersign:ann"}, "Member must satisfy regular expression pattern"),
        ({"SourceIdentity": "a" * 65}, "Member must have length less than or equal to 64"),
        ({"DurationSeconds": 43201}, "Member must have value less than or equal to 43200"),
        ({"Tags": tags(*(f"k{n}" for n in range(51)))}, "Member must have length less than or equal to 50"),
        ({"Tags": tags("k" * 129)}, "Member must have length less than or equal to 128"),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "Member must have length less than or equal to 256"),
        ({"Tags": tags("k;")}, "Member must satisfy regular expression pattern"),
        ({"Policy": json.dumps(ALLOW_ALL) + " " * 2048}, "Member must have length less than or equal to 2048"),
        ({"RoleArn": "arn:aws:iam::111122223333:user/ann"}, "is invalid"),
    ],
)  # fmt: skip
def test_a_limit_of_the_model_is_kept(aws: PretendAws, broker: AwsKeys, changed: dict[str, Any], words: str) -> None:
    code, message = refusal(aws, broker, **changed)
    assert code == "ValidationError"
    assert words in message


def test_a_session_lasts_900_seconds_at_least(aws: PretendAws, broker: AwsKeys) -> None:
    # botocore itself refuses less before anything is sent, so the form is sent past its check.
    client = aws_client("sts", aws, broker)
    client.meta.events.register(
        "before-call.sts.AssumeRole", lambda params, **_: params["body"].update({"DurationSeconds": 899})
    )
    with pytest.raises(ClientError, match="greater than or equal to 900"):
        client.assume_role(RoleArn=PROD, RoleSessionName="ann", DurationSeconds=900)


def test_a_chained_session_lasts_an_hour_at_most(aws: PretendAws, broker: AwsKeys) -> None:
    code, message = refusal(aws, broker, DurationSeconds=3601)
    assert (code, "1 hour session limit for roles assumed by role chaining" in message) == ("ValidationError", True)
    assert assume(aws, broker, DurationSeconds=3600)["Credentials"]["AccessKeyId"].startswith("ASIA")


def test_a_users_session_lasts_as_long_as_the_role_allows(aws: PretendAws) -> None:
    arn = "arn:aws:iam::999999999999:user/ops"
    user = aws.add_user(arn, {"assume": broker_policy()})
    aws.add_role(PROD, trust=trust_policy(arn), max_session_seconds=4 * 3600)
    assert assume(aws, user, DurationSeconds=4 * 3600)["SourceIdentity"] == IDENTITY
    code, message = refusal(aws, user, DurationSeconds=4 * 3600 + 1)
    assert (code, "exceeds the MaxSessionDuration set for this role" in message) == ("ValidationError", True)


@pytest.mark.parametrize("missing", ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"])
@pytest.mark.parametrize("where", ["trust", "caller"])
def test_each_action_needs_trust_and_permission(aws: PretendAws, broker: AwsKeys, missing: str, where: str) -> None:
    document = trust_policy() if where == "trust" else broker_policy()
    document["Statement"][0]["Action"].remove(missing)
    if where == "trust":
        aws.add_role(PROD, trust=document, policies={"work": ALLOW_ALL})
    else:
        aws.add_role(BROKER, trust=trust_policy(), policies={"broker": document})
    code, message = refusal(aws, broker, Tags=tags("countersign:request"))
    assert code == "AccessDenied"
    assert message.endswith(f"is not authorized to perform: {missing} on resource: {PROD}")


@pytest.mark.parametrize(
    "changed",
    [
        {"ExternalId": None},
        {"ExternalId": "someone-elses"},
        {"SourceIdentity": None},
        {"SourceIdentity": "ann"},
        {"RoleArn": "arn:aws:iam::111122223333:role/not-there"},
    ],
)  # fmt: skip
def test_the_trust_policys_conditions_are_asked(aws: PretendAws, broker: AwsKeys, changed: dict[str, Any]) -> None:
    assert refusal(aws, broker, **changed)[0] == "AccessDenied"


def test_a_trust_policy_names_who_may_assume(aws: PretendAws, broker: AwsKeys) -> None:
    aws.add_role(PROD, trust=trust_policy("arn:aws:iam::999999999999:role/another"), policies={"work": ALLOW_ALL})
    assert refusal(aws, broker)[0] == "AccessDenied"
    # An account's number stands for all of its principals.
    aws.add_role(PROD, trust=trust_policy("999999999999"), policies={"work": ALLOW_ALL})
    assert assume(aws, broker)["SourceIdentity"] == IDENTITY


def test_a_source_identity_cant_change_in_a_chain(aws: PretendAws, broker: AwsKeys) -> None:
    aws.add_role(LOCAL, trust=trust_policy(PROD), policies={"work": ALLOW_ALL})
    first = read_keys(assume(aws, broker))
    code, message = refusal(aws, first, RoleArn=LOCAL, SourceIdentity="countersign-ffffffffffffffff-U0BOB")
    assert (code, "sts:SetSourceIdentity" in message) == ("AccessDenied", True)
    # It goes on where none is passed.
    assert assume(aws, first, RoleArn=LOCAL, SourceIdentity=None)["SourceIdentity"] == IDENTITY


def test_only_transitive_tags_go_on_in_a_chain(aws: PretendAws, broker: AwsKeys) -> None:
    both = tags("team", "countersign:request")
    first = read_keys(assume(aws, broker, Tags=both, TransitiveTagKeys=["countersign:request"]))
    trust = trust_policy(PROD)
    trust["Statement"][0]["Condition"]["StringEquals"]["aws:PrincipalTag/countersign:request"] = "x"
    aws.add_role(LOCAL, trust=trust, policies={"work": ALLOW_ALL})
    second = read_keys(assume(aws, first, RoleArn=LOCAL))
    assert refusal(aws, first, RoleArn=LOCAL, Tags=tags("countersign:request"))[0] == "InvalidParameterValue"
    trust["Statement"][0]["Principal"]["AWS"] = LOCAL
    aws.add_role(PROD, trust=trust, policies={"work": ALLOW_ALL})
    assert assume(aws, second, RoleArn=PROD)["PackedPolicySize"] > 0
    trust["Statement"][0]["Condition"]["StringEquals"]["aws:PrincipalTag/team"] = "x"
    aws.add_role(PROD, trust=trust, policies={"work": ALLOW_ALL})
    assert refusal(aws, second, RoleArn=PROD)[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("keys", "transitive", "words"),
    [
        (("Team", "team"), [], "Duplicate tag keys"),
        (("aws:team",), [], "begin with aws:"),
        (("team",), ["other"], "must be included"),
    ],
)  # fmt: skip
def test_tags_keep_their_rules(
    aws: PretendAws, broker: AwsKeys, keys: tuple[str, ...], transitive: list[str], words: str
) -> None:
    code, message = refusal(aws, broker, Tags=tags(*keys), TransitiveTagKeys=transitive)
    assert (code, words in message) == ("InvalidParameterValue", True)


@pytest.mark.parametrize(
    "policy",
    [
        "not json",
        "{}",
        '{"Version": "2012", "Statement": []}',
        json.dumps({**ALLOW_ALL, "Statement": [{"Effect": "Allow", "Action": "*"}]}),
        json.dumps({**ALLOW_ALL, "Statement": [{"Effect": "allow", "Action": "*", "Resource": "*"}]}),
        json.dumps({**ALLOW_ALL, "Statement": [{"Effect": "Allow", "Action": "ListBuckets", "Resource": "*"}]}),
        json.dumps(trust_policy()),
        json.dumps({**ALLOW_ALL, "Statement": [{
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"DateBefore": {"aws:CurrentTime": "2026"}}}]}),
        json.dumps({**ALLOW_ALL, "Statement": [{
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"DateLessThan": {"aws:CurrentTime": "tomorrow"}}}]}),
    ],
)  # fmt: skip
def test_a_session_policy_keeps_the_grammar(aws: PretendAws, broker: AwsKeys, policy: str) -> None:
    assert refusal(aws, broker, Policy=policy)[0] == "MalformedPolicyDocument"


def test_tags_are_packed_as_measured_on_aws(aws: PretendAws, broker: AwsKeys) -> None:
    # As reported from AWS: nine tags with values of 250 times the same letter take 498%.
    nine = [{"Key": f"T{number}", "Value": "a" * 250} for number in range(1, 10)]
    code, message = refusal(aws, broker, Tags=nine)
    assert code == "PackedPolicyTooLarge"
    assert message == "Packed size of session tags consumes 499% of allotted space."


def test_keys_are_known_unexpired_and_sign(aws: PretendAws, broker: AwsKeys, clock: FrozenClock) -> None:
    issued = read_keys(assume(aws, broker, DurationSeconds=900))
    wrong: list[tuple[dict[str, str | None], str]] = [
        ({"access_key_id": "ASIAFAKEAAAAAAAAAAAA"}, "InvalidClientTokenId"),
        ({"session_token": None}, "InvalidClientTokenId"),
        ({"session_token": broker.session_token}, "InvalidClientTokenId"),
        ({"secret_access_key": "guessed"}, "SignatureDoesNotMatch"),
    ]
    for changed, code in wrong:
        with pytest.raises(ClientError) as caught:
            aws_client("sts", aws, issued.model_copy(update=changed)).get_caller_identity()
        assert caught.value.response["Error"]["Code"] == code
    clock.advance(timedelta(seconds=899))
    aws_client("sts", aws, issued).get_caller_identity()
    clock.advance(timedelta(seconds=1))
    for service, call in [("sts", "get_caller_identity"), ("s3", "list_buckets")]:
        with pytest.raises(ClientError) as caught:
            getattr(aws_client(service, aws, issued), call)()
        assert caught.value.response["Error"]["Code"] == "ExpiredToken"


def test_the_trail_names_who_asked_and_holds_no_secret(aws: PretendAws, broker: AwsKeys) -> None:
    issued = read_keys(assume(aws, broker))
    aws_client("s3", aws, issued).list_buckets()
    assumed, listed = aws.find_events("AssumeRole")[0], aws.find_events("ListBuckets")[0]
    assert (assumed.access_key_id, assumed.issued_access_key_id) == (broker.access_key_id, issued.access_key_id)
    assert (assumed.source_identity, listed.source_identity) == (IDENTITY, IDENTITY)
    assert (listed.access_key_id, listed.role_session_name) == (issued.access_key_id, "ann@example.com")
    written = repr(aws.events)
    assert all(secret not in written for secret in (issued.secret_access_key, str(issued.session_token)))
    assert issued.secret_access_key not in repr(issued)
    refusal(aws, broker, SourceIdentity="ann")
    assert aws.find_events("AssumeRole")[-1].error_code == "AccessDenied"


def test_a_lost_answer_is_issued_all_the_same(aws: PretendAws, broker: AwsKeys) -> None:
    aws.fail("AssumeRole", PretendFault("lost"), PretendFault("error"))
    with pytest.raises(Exception, match="Connection was closed"):
        assume(aws, broker)
    assert aws.find_events("AssumeRole")[0].issued_access_key_id
    assert refusal(aws, broker)[0] == "Throttling"
    assert assume(aws, broker)["SourceIdentity"] == IDENTITY

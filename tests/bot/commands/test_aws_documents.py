"""The IAM documents that `countersign aws` prints for the roles of a policy file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from tests.harness.policy_files import write_settled

POLICY = """\
version: 1
targets:
  prod-role: {type: aws-role, role: "arn:aws:iam::111122223333:role/prod", region: eu-west-1}
  other-role:
    type: aws-role
    role: arn:aws:iam::444455556666:role/other
    region: eu-west-1
    external_id: deployment-1
    revoker: arn:aws:iam::444455556666:role/revoker
profiles:
  prod: {channel: C0ACCESS1, access: [{target: prod-role}]}
  both: {channel: C0ACCESS1, access: [{target: prod-role}, {target: other-role}]}
  none: {channel: C0ACCESS1}
approval:
  - {name: rest, profiles: ["*"], approvers: [U0ANN], max_duration: 4h}
"""
BROKER = "arn:aws:iam::111122223333:role/broker"


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy.yml"
    write_settled(path, POLICY)
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(path))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["aws", *arguments])


def printed(*arguments: str) -> list[dict[str, object]]:
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    statements: list[dict[str, object]] = json.loads(done.stdout)["Statement"]
    return statements


def test_trust_policy_asks_the_broker_for_our_source_identity() -> None:
    (statement,) = printed("trust-policy", "prod", "--broker", BROKER)

    assert statement["Principal"] == {"AWS": BROKER}
    assert statement["Action"] == ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]
    assert statement["Condition"] == {"StringLike": {"sts:SourceIdentity": "countersign-*"}}


def test_trust_policy_of_one_of_several_roles_is_chosen() -> None:
    refused = run("trust-policy", "both", "--broker", BROKER)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Use --target with one of: other-role, prod-role." in refused.stderr

    (statement,) = printed("trust-policy", "both", "--target", "other-role", "--broker", BROKER)
    assert '"sts:ExternalId": "deployment-1"' in json.dumps(statement)


def test_what_is_not_known_is_a_placeholder_that_is_named() -> None:
    done = run("trust-policy", "prod")

    assert "arn:aws:iam::ACCOUNT_ID:role/BROKER_ROLE" in done.stdout
    assert done.stderr == (
        "This policy isn't complete: use --broker, or replace arn:aws:iam::ACCOUNT_ID:role/BROKER_ROLE.\n"
    )


def test_identity_policies_name_the_policy_s_roles() -> None:
    assert printed("broker-policy")[0]["Resource"] == [
        "arn:aws:iam::111122223333:role/prod",
        "arn:aws:iam::444455556666:role/other",
    ]
    assert printed("revoker-policy")[0]["Resource"] == ["arn:aws:iam::444455556666:role/other"]
    assert [each["Sid"] for each in printed("server-policy")] == ["BecomeRevoker", "EndAccessEarly"]
    (trust,) = printed("revoker-trust-policy", "--target", "other-role", "--server", BROKER)
    assert (trust["Principal"], trust["Action"]) == ({"AWS": BROKER}, ["sts:AssumeRole"])


def test_scp_denies_the_actions_without_our_source_identity() -> None:
    found = printed("scp", "--action", "rds:Delete*")

    assert {json.dumps(each["Effect"]) for each in found} == {'"Deny"'}
    assert found[-1]["Action"] == ["rds:Delete*"]
    assert '"StringNotLike": {"aws:SourceIdentity": "countersign-*"}' in json.dumps(found[-1]["Condition"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("trust-policy", "none", "--broker", BROKER),
        ("trust-policy", "missing", "--broker", BROKER),
        ("trust-policy", "prod", "--target", "other-role", "--broker", BROKER),
        ("trust-policy", "prod", "--broker", "broker"),
        ("revoker-trust-policy", "--target", "prod-role", "--server", BROKER),
    ],
)
def test_what_has_no_document_is_one_line(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_policy_without_roles_has_no_documents(policy: Path) -> None:
    text = "\n".join(
        line
        for line in POLICY.splitlines()
        if not line.startswith(("targets", "  prod-role", "  other", "    ", "  both", "  prod:"))
    )
    write_settled(policy, text)

    assert [run(name).exit_code for name in ("broker-policy", "server-policy", "revoker-policy", "scp")] == [2] * 4

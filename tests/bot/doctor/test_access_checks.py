"""What doctor says of targets, of who is known there, of overdue revokes and of what others changed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bot.doctor.access_checks import check_grants, check_targets
from bot.doctor.finding import CheckResult, Level
from core.audit.trail import AuditAction, EntryDraft
from core.policy import parse_policy
from core.stores import open_stores
from tests.bot.access_grants import HOUR, a_right, make_grant
from tests.harness.identity_center import ACCOUNT, ADMIN, INSTANCE, STORE, IdentityCenterServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.policy import Policy
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0YXJnZXQgaW4gdGVzdHM="
POLICY = f"""
version: 1
people: {{U0JON: {{aws: jon}}}}
identity: {{trust_email: true}}
groups: {{sre: [U0JON, S0SRE, eve@example.com]}}
targets:
  aws: {{type: identity-center, region: eu-west-1, instance: "{INSTANCE}", identity_store: {STORE}}}
  warehouse: {{type: webhook, url: "https://warehouse.example.com/hook", secret: "env:WAREHOUSE_SECRET"}}
  billing: {{type: lambda, region: eu-west-1, function: give-billing}}
profiles:
  prod:
    channel: C0ACCESS1
    access:
      - {{target: aws, account: "{ACCOUNT}", permission_set: "{ADMIN}"}}
  data:
    channel: C0ACCESS1
    access:
      - {{target: warehouse, resource: orders, level: read}}
      - {{target: billing, resource: invoices, level: read}}
approval:
  - {{name: prod, profiles: [prod], requesters: [group:sre, U0RITA], approvers: [U0ANN], max_duration: 8h}}
  - {{name: data, profiles: [data], requesters: [U0STRANGER], approvers: [U0ANN], max_duration: 8h}}
break_glass:
  - {{name: on-call, profiles: [prod], users: [U0SAM], max_duration: 1h}}
"""


@pytest.fixture
def aws(clock: FrozenClock, aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityCenterServer]:
    """A strict Identity Center; nobody answers for STS."""
    del aws_environment
    monkeypatch.setenv("WAREHOUSE_SECRET", SECRET)
    monkeypatch.setattr("bot.doctor.access_checks.read_own_account", lambda _region: None)
    with IdentityCenterServer(clock) as server:
        for service in ("SSO_ADMIN", "IDENTITYSTORE"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", server.url)
        yield server
    assert server.violations == []


@pytest.fixture
def policy() -> Policy:
    return parse_policy(POLICY.encode())


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    with closing(open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)) as stores:
        yield stores


def _said(findings: Iterator[CheckResult], level: Level) -> list[str]:
    return [str(each) for each in findings if each.level is level]


def test_each_target_and_everybody_named_is_checked(
    aws: IdentityCenterServer, policy: Policy, clock: FrozenClock
) -> None:
    for name in ("jon", "rita", "sam"):
        aws.add_user(name, f"{name}@example.com")
    found = list(check_targets(policy, clock, lambda person: f"{person[2:].lower()}@example.com"))
    assert _said(iter(found), Level.WRONG) == []
    assert [each.partition(": ")[2].partition(":")[0] for each in _said(iter(found), Level.FINE)] == [
        "Identity Center", ACCOUNT, ADMIN.split(":")[0], "U0JON", "U0RITA", "U0SAM",
    ]  # fmt: skip
    notes = _said(iter(found), Level.NOTE)
    assert "target aws: AWS didn't say whose credentials these are" in notes[0]
    assert notes[1] == "target aws: who they are there wasn't checked for members of S0SRE; 1 named by e-mail"
    assert notes[2] == "target warehouse: a webhook target, complete in the policy; doctor doesn't call it"
    assert notes[3] == "target billing: a lambda target, complete in the policy; doctor doesn't call it"
    assert not aws.assignments


def test_person_whom_nobody_knows_is_a_problem(aws: IdentityCenterServer, policy: Policy, clock: FrozenClock) -> None:
    aws.add_user("jon")
    problems = _said(check_targets(policy, clock, lambda _person: None), Level.WRONG)
    assert [each.split(":")[1].strip() for each in problems] == ["U0RITA", "U0SAM"]
    assert "`people:` in the policy" in problems[0]


def test_wrong_region_is_a_problem_with_a_fix(aws: IdentityCenterServer, policy: Policy, clock: FrozenClock) -> None:
    aws.home_region = "us-east-1"
    (problem,) = _said(check_targets(policy, clock), Level.WRONG)
    assert problem.startswith("target aws: Identity Center: ")
    assert "Check the region" in problem


def test_secret_that_cannot_be_read_is_a_problem(
    aws: IdentityCenterServer, policy: Policy, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.home_region = "us-east-1"
    monkeypatch.delenv("WAREHOUSE_SECRET")
    problems = _said(check_targets(policy, clock), Level.WRONG)
    assert any("target warehouse: The target warehouse can't be used" in each for each in problems)
    assert SECRET not in " ".join(problems)


def test_live_grants_are_fine_until_one_is_overdue(stores: Stores, clock: FrozenClock) -> None:
    assert _said(check_grants(stores, clock), Level.FINE) == ["access: 0 live grants, none overdue"]
    make_grant(stores, clock.now())
    assert _said(check_grants(stores, clock), Level.FINE) == ["access: 1 live grant, none overdue"]
    clock.advance(1.5 * HOUR)
    (problem,) = _said(check_grants(stores, clock), Level.WRONG)
    assert problem == (
        "access: 1 live grant, and the oldest due revoke is 30m late. "
        "Run `countersign access list --overdue`, and revoke by hand what can't wait."
    )


def test_drift_of_the_last_day_is_worth_knowing(stores: Stores, clock: FrozenClock) -> None:
    for number in range(1, 8):
        state = stores.access.get_right(make_grant(stores, clock.now(), number, right=a_right(f"p{number}")).right)
        (grant,) = state.grants
        details = {"right": str(grant.right), "drift": "removed"}
        entry = EntryDraft.of(grant, AuditAction.DRIFT_FOUND, "clock", details)
        stores.access.commit(state, state.holding, grant, [entry])
    notes = _said(check_grants(stores, clock), Level.NOTE)
    assert len(notes) == 6
    assert notes[0].endswith("others changed it in the target in the last 24 hours")
    assert notes[-1] == "access: 2 more rights changed by others, or hard to revoke"
    clock.advance(25 * HOUR)
    assert _said(check_grants(stores, clock), Level.NOTE) == []

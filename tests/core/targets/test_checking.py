"""What doctor finds in Identity Center, and the IAM policy that suffices for everything."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.access.principals import SoughtPerson
from core.targets.identity_center.checking import (
    CheckOutcome,
    UsedRights,
    check_accounts,
    check_identity_center,
    check_instance,
    check_permission_set,
    check_person,
)
from core.targets.identity_center.instance import SsoInstance
from core.targets.identity_center.permissions import identity_center_policy
from tests.core.targets.harness import a_right, actions_of, allowed_actions, give, paced_by, take
from tests.harness.identity_center import ACCOUNT, ADMIN, MANAGEMENT_ACCOUNT, READER, Fault

if TYPE_CHECKING:
    import pytest

    from core.targets.identity_center.target import IdentityCenter
    from tests.harness.clock import FrozenClock
    from tests.harness.identity_center import IdentityCenterServer

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_everything_fine_is_said_of_each(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    aws.add_user("jon")
    used = UsedRights((ADMIN,), (ACCOUNT,), (SoughtPerson("U0JON", mapped="jon"),), own_account=MANAGEMENT_ACCOUNT)

    found = list(check_identity_center(instance, used))
    assert [each.subject for each in found] == ["Identity Center", ACCOUNT, ADMIN, "U0JON"]
    assert {each.outcome for each in found} == {CheckOutcome.FINE}


def test_wrong_region_is_the_only_finding(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    aws.home_region = "us-east-1"

    (found,) = check_identity_center(instance, UsedRights((ADMIN,), (ACCOUNT,)))
    assert found.outcome is CheckOutcome.PROBLEM
    assert "Check the region" in found.text


def test_wrong_store_and_inactive_instance_are_problems(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    other = replace(instance, settings=replace(instance.settings, identity_store_id="d-0000000000"))
    assert check_instance(other)[0].outcome is CheckOutcome.PROBLEM

    aws.instance_status = "CREATE_IN_PROGRESS"
    assert check_instance(instance)[0].outcome is CheckOutcome.PROBLEM


def test_what_cannot_be_checked_is_not_called_fine(aws: IdentityCenterServer, instance: SsoInstance) -> None:
    aws.fail("ListInstances", Fault("error", "ThrottlingException"), Fault("error", "AccessDeniedException"))
    aws.fail("DescribePermissionSet", Fault("lost"))
    aws.fail("GetUserId", Fault("lost"))

    assert check_instance(instance)[0].outcome is CheckOutcome.UNKNOWN
    assert check_instance(instance)[0].outcome is CheckOutcome.PROBLEM
    assert check_permission_set(instance, ADMIN).outcome is CheckOutcome.UNKNOWN
    assert check_person(instance, SoughtPerson("U0JON", mapped="jon")).outcome is CheckOutcome.UNKNOWN


def test_instance_that_cannot_be_called_is_a_problem(
    instance: SsoInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing leaves this machine, so nobody gets access: that is no limit that passes.
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_ADMIN", "http://127.0.0.1:9")
    with closing(SsoInstance.open(instance.settings, pace=paced_by(clock), clock=clock)) as unreachable:
        found, _ = check_instance(unreachable)
    assert found.outcome is CheckOutcome.PROBLEM
    assert "can't be reached" in found.text


def test_long_session_is_a_note(instance: SsoInstance) -> None:
    found = check_permission_set(instance, READER)

    assert found.outcome is CheckOutcome.NOTE
    assert "4 hours" in found.text


def test_missing_permission_set_is_a_problem(instance: SsoInstance) -> None:
    assert check_permission_set(instance, ADMIN[:-1] + "9").outcome is CheckOutcome.PROBLEM


def test_missing_person_is_a_problem(instance: SsoInstance) -> None:
    assert check_person(instance, SoughtPerson("U0JON", mapped="jon")).outcome is CheckOutcome.PROBLEM


def test_delegated_admin_cannot_use_the_management_account() -> None:
    accounts = (ACCOUNT, MANAGEMENT_ACCOUNT)

    delegated = check_accounts(accounts, owner=MANAGEMENT_ACCOUNT, own_account="123456789012")
    assert [each.outcome for each in delegated] == [CheckOutcome.FINE, CheckOutcome.PROBLEM]
    managing = check_accounts(accounts, owner=MANAGEMENT_ACCOUNT, own_account=MANAGEMENT_ACCOUNT)
    assert [each.outcome for each in managing] == [CheckOutcome.FINE, CheckOutcome.FINE]


def test_committed_policy_is_what_the_code_makes() -> None:
    committed = (DEPLOY / "iam-policy.identity-center.json").read_text(encoding="utf-8")

    assert committed == json.dumps(identity_center_policy(), indent=2) + "\n"


def test_policy_allows_what_is_called_and_nothing_else(
    aws: IdentityCenterServer, instance: SsoInstance, target: IdentityCenter, clock: FrozenClock
) -> None:
    # The fixture of every test holds the other half: no call without its action.
    user = aws.add_user("jon")
    for right in (a_right(ACCOUNT, ADMIN, user.id), a_right(aws.add_group(), "member", user.id)):
        give(target, right, clock.now())
        take(target, right)
    list(check_identity_center(instance, UsedRights((ADMIN,), (), (SoughtPerson("U0JON", mapped="jon"),))))

    assert actions_of(aws.calls) == allowed_actions()

"""What doctor says of an aws-role target, before somebody needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.doctor.access_checks import check_targets
from bot.doctor.finding import Level
from core.policy import parse_policy
from tests.core.targets.role_office import POLICY, PretendClients
from tests.harness.pretend_aws import LOCAL, PROD, REVOKER, serve_pretend_aws, trust_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.pretend_aws import PretendAws
    from tests.harness.clock import FrozenClock


@pytest.fixture
def aws(clock: FrozenClock, aws_environment: None) -> Iterator[PretendAws]:
    del aws_environment
    with serve_pretend_aws(clock) as aws:
        yield aws


def said(aws: PretendAws, clock: FrozenClock, level: Level, policy: str = POLICY) -> list[str]:
    """What is said at this level."""
    found = check_targets(parse_policy(policy.encode()), clock, open_clients=lambda: PretendClients(aws))
    return [str(each) for each in found if each.level is level]


def test_role_that_works_is_fine_and_left_as_it_is(aws: PretendAws, clock: FrozenClock) -> None:
    before = aws.policies_of(LOCAL)

    assert said(aws, clock, Level.WRONG) == []
    assert said(aws, clock, Level.FINE) == [
        f"target {name}: {role}: {text}"
        for name, role, through in (
            ("ops", LOCAL, "with Countersign's own role"),
            ("far", PROD, f"through {REVOKER}"),
        )
        for text in (
            "can be assumed with a source identity, tags and the policy's lease",
            f"its inline policies can be read {through}",
        )
    ]
    assert aws.policies_of(LOCAL) == before


def test_role_that_trusts_nobody_is_wrong(aws: PretendAws, clock: FrozenClock) -> None:
    aws.add_role(LOCAL, trust=trust_policy(PROD))

    (problem,) = said(aws, clock, Level.WRONG)
    assert "tools-admin: can't be assumed: STS answered AccessDenied" in problem
    assert "countersign aws trust-policy" in problem


def test_role_without_its_revoker_is_wrong(aws: PretendAws, clock: FrozenClock) -> None:
    (problem,) = said(aws, clock, Level.WRONG, POLICY.replace(f', revoker: "{REVOKER}"', ""))
    assert "access to it can't be ended early with Countersign's own role" in problem
    assert "Name a revoker of account 111122223333" in problem


def test_role_that_asks_for_no_external_id_is_wrong(aws: PretendAws, clock: FrozenClock) -> None:
    aws.add_role(LOCAL, trust=trust_policy(external_id=None))

    (problem,) = said(aws, clock, Level.WRONG)
    assert "can be assumed without the external id" in problem


def test_role_without_room_for_denies_is_wrong(aws: PretendAws, clock: FrozenClock) -> None:
    bulk = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'x' * 9_000}"}
    aws.add_role(LOCAL, trust=trust_policy(), policies={"bulk": {"Version": "2012-10-17", "Statement": [bulk]}})

    (problem,) = said(aws, clock, Level.WRONG)
    assert "of 10,240 characters for denies" in problem

"""Access from the request to the proof of its end: real services, a real store, the reconciler, and a strict target."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantId, GrantStatus
from core.actor import Actor, UserId
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.targets.opening import PolicyTargets
from tests.core.access.harness import HOUR, MINUTE
from tests.core.access.office import ANN, POLICY, RITA, AccessOffice, OnePolicy, right_of
from tests.harness import identity_center as idc
from tests.harness.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.access.grant import Grant
    from core.stores import Stores
    from core.targets.base import Given
    from tests.harness.clock import FrozenClock

QUEUED = 100
SECOND = timedelta(seconds=1)
IDENTITY_CENTER = (
    POLICY.replace(
        "aws: {type: demo}",
        f"aws: {{type: identity-center, region: {REGION}, instance: {idc.INSTANCE!r}, identity_store: {idc.STORE}}}",
    ).replace(
        '{target: aws, resource: "111122223333", level: admin}',
        f'{{target: aws, account: "{idc.ACCOUNT}", permission_set: "{idc.ADMIN}"}}',
    )
    + "people: {U0RITA: {aws: rita}}\n"
)


@pytest.fixture
def office(stores: Stores, clock: FrozenClock) -> AccessOffice:
    return AccessOffice(stores, clock)


def test_emergency_goes_before_a_hundred_that_wait(office: AccessOffice) -> None:
    for number in range(QUEUED):
        office.approve(Actor(id=UserId(f"U0PERSON{number}")))

    def give_third() -> Given:
        # The glass breaks in the middle of a pass.
        office.declare()
        return office.target.put(office.target.asked[-1][1])

    office.target.script["give"].extend([lambda: office.target.put(office.target.asked[-1][1])] * 2)
    office.target.script["give"].append(give_third)
    office.due.visit_due()
    given = [right for name, right, _ in office.target.asked if name == "give"]
    assert given.index(right_of(ANN)) == 3
    assert len(given) == QUEUED + 1


def test_target_that_left_the_policy_is_told_and_taken_later(office: AccessOffice) -> None:
    request = office.approve()
    office.pass_time(30 * MINUTE)
    assert right_of(RITA) in office.target.held
    office.targets = {}
    office.due = office.start("restarted")
    office.pass_time(HOUR)
    failing = [
        entry
        for entry in office.stores.audit.get_chain(office.grant_of(request).chain)
        if entry.event == "revoke_failing"
    ]
    assert "the target aws is not in the policy any more; put it back" in str(failing[0].details["problem"])
    office.targets = {"aws": office.target}
    office.due = office.start("again")
    office.pass_time(10 * MINUTE)
    assert office.target.held == set()
    assert office.grant_of(request).status is GrantStatus.ENDED
    assert list(verify_trail(office.stores, AuditKeyring(), office.clock.now())) == []


class Cloud:
    """An office whose target is AWS Identity Center, as the policy says."""

    def __init__(self, stores: Stores, clock: FrozenClock, server: idc.IdentityCenterServer) -> None:
        self.server = server
        self.policy = OnePolicy(IDENTITY_CENTER)
        self.targets = PolicyTargets(self.policy, clock)
        self.user = server.add_user("rita", "rita@example.com").id
        self.office = AccessOffice(stores, clock, self.targets, self.policy, self.targets)

    @property
    def assigned(self) -> set[str]:
        """Who is assigned to the account."""
        return {principal for account, _, _, principal in self.server.assignments if account == idc.ACCOUNT}

    def wait_until(self, grant: Grant, status: GrantStatus) -> None:
        """Let time pass until the grant has this status."""
        for _ in range(60):
            if self.office.stores.access.get(GrantId(grant.id)).status is status:
                return
            self.office.pass_time(10 * SECOND)
        raise AssertionError(f"it never is {status}")


@pytest.fixture
def cloud(
    stores_on_each_engine: Stores, clock: FrozenClock, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    del aws_environment
    with idc.IdentityCenterServer(clock) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_ADMIN", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_IDENTITYSTORE", server.url)
        cloud = Cloud(stores_on_each_engine, clock, server)
        with closing(cloud.targets):
            yield cloud
        assert server.violations == []
        assert server.duplicates == []


def test_approved_access_opens_and_ends_when_somebody_is_done(cloud: Cloud, clock: FrozenClock) -> None:
    office = cloud.office
    request = office.approve()
    grant = office.grant_of(request)
    assert cloud.assigned == set()
    cloud.wait_until(grant, GrantStatus.ACTIVE)
    assert cloud.assigned == {cloud.user}
    office.grants.end(request.chain, RITA)
    cloud.wait_until(grant, GrantStatus.ENDED)
    assert cloud.assigned == set()
    closed = office.grant_of(request)
    assert closed.ended_early is not None
    assert str(closed.ended_early.by) == RITA.id
    # An AWS session that is open lives on for as long as the permission set says.
    assert closed.residual_until is not None
    assert closed.residual_until - clock.now() <= HOUR
    given = next(each for each in office.stores.audit.get_chain(grant.chain) if each.event == "grant_given")
    assert str(given.details["token"]).partition(":")[2]
    assert list(verify_trail(office.stores, AuditKeyring(), clock.now())) == []

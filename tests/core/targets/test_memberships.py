"""Group memberships of Identity Center, over a strict fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access.timing import SETTLE
from core.targets.base import Absent, Held, InProgress, Later, TargetRefused, Unknown
from tests.core.targets.harness import GIVE_KEY, TAKE_KEY, a_right, give, take
from tests.harness.identity_center import Fault

if TYPE_CHECKING:
    from core.access.right import Right
    from core.targets.identity_center.target import IdentityCenter
    from tests.harness.clock import FrozenClock
    from tests.harness.identity_center import IdentityCenterServer

CREATE = "CreateGroupMembership"
DELETE = "DeleteGroupMembership"
GET = "GetGroupMembershipId"


@pytest.fixture
def right(aws: IdentityCenterServer) -> Right:
    return a_right(aws.add_group(), "member", aws.add_user("jon").id)


def test_membership_is_given_seen_and_taken(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    assert target.inspect(right) == Absent()
    assert target.give(right, clock.now(), GIVE_KEY) == Held()
    assert list(aws.memberships.values()) == [(right.resource, right.principal)]
    assert target.take(right, TAKE_KEY) == Absent()
    assert aws.memberships == {}
    assert aws.names_called() == [GET, CREATE, GET, GET, DELETE, GET]


def test_conflict_means_that_it_stood_before(target: IdentityCenter, right: Right, clock: FrozenClock) -> None:
    give(target, right, clock.now())

    assert target.give(right, clock.now(), GIVE_KEY) == Held(stood_before=True)


@pytest.mark.parametrize("operation", [CREATE, DELETE])
def test_concurrent_change_is_later(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock, operation: str
) -> None:
    aws.fail(operation, Fault("error", "ConflictException"))

    if operation == DELETE:
        give(target, right, clock.now())
        assert isinstance(target.take(right, TAKE_KEY), Later)
    else:
        assert isinstance(target.give(right, clock.now(), GIVE_KEY), Later)


def test_look_that_lags_is_polled(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.membership_lag_reads = 2
    first = target.give(right, clock.now(), GIVE_KEY)
    assert isinstance(first, InProgress)
    assert [target.poll(first.token) for _ in range(2)] == [first, Held()]

    aws.fail(DELETE, Fault("error", "ResourceNotFoundException"))
    second = target.take(right, TAKE_KEY)
    assert isinstance(second, InProgress)
    clock.advance(SETTLE)
    # It is still there, whatever AWS said: the look is believed, and the caller takes it again.
    assert target.poll(second.token) == Held()
    assert take(target, right) == Absent()


def test_second_take_is_absent(target: IdentityCenter, right: Right, clock: FrozenClock) -> None:
    give(target, right, clock.now())

    assert [target.take(right, TAKE_KEY) for _ in range(2)] == [Absent(), Absent()]


def test_lost_answer_of_a_membership_is_unknown(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.fail(CREATE, Fault("lost"))
    aws.fail(DELETE, Fault("lost"))

    assert isinstance(target.give(right, clock.now(), GIVE_KEY), Unknown)
    assert target.inspect(right) == Held()
    assert isinstance(target.take(right, TAKE_KEY), Unknown)
    assert target.inspect(right) == Absent()


def test_missing_group_is_refused_and_held_by_nobody(
    aws: IdentityCenterServer, target: IdentityCenter, right: Right, clock: FrozenClock
) -> None:
    aws.groups.clear()

    answer = target.give(right, clock.now(), GIVE_KEY)
    assert isinstance(answer, TargetRefused)
    assert "GROUP not found" in answer.reason
    assert target.inspect(right) == Absent()
    assert target.take(right, TAKE_KEY) == Absent()


def test_wrong_directory_is_never_absent(aws: IdentityCenterServer, target: IdentityCenter, right: Right) -> None:
    aws.home_region = "us-east-1"

    assert isinstance(target.inspect(right), TargetRefused)
    assert isinstance(target.take(right, TAKE_KEY), TargetRefused)

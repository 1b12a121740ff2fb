"""Who people are at the targets of a policy: found once, kept for a while, and in an emergency from what is known."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.principals import PrincipalUnavailable, PrincipalUnknown, SoughtPerson
from core.policy.target_config import AnyTargetConfig
from core.targets.base import Later, Target, TargetRefused
from core.targets.opening import PolicyTargets
from core.targets.principal_lookup import FRESH_FOR, KEPT_FOR, MAX_LOOKUPS, PrincipalLookup
from tests.core.policy.access_policy import access_policy
from tests.harness.clock import FrozenClock
from tests.harness.identity_center import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.targets.principal_lookup import Found
    from tests.harness.identity_center import IdentityCenterServer

ANN = SoughtPerson("U0ANN", "ann")
BOB = SoughtPerson("U0BOB", email="bob@example.com")


@pytest.fixture
def targets(
    aws: IdentityCenterServer, clock: FrozenClock, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PolicyTargets]:
    del aws_environment
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_ADMIN", aws.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_IDENTITYSTORE", aws.url)
    opened = PolicyTargets(access_policy(), clock)
    yield opened
    opened.close()


def outage(aws: IdentityCenterServer) -> None:
    """Nobody can be looked up."""
    for operation in ("GetUserId", "DescribeUser"):
        for _ in range(4):
            aws.fail(operation, Fault("error", "ThrottlingException"))


def test_person_is_found_by_the_policy_or_by_address(aws: IdentityCenterServer, targets: PolicyTargets) -> None:
    ann, bob = aws.add_user("ann"), aws.add_user("bob", "bob@example.com")
    assert targets.find("aws", ANN) == ann.id
    assert targets.find("aws", BOB) == bob.id


def test_two_users_and_a_disabled_one_are_refusals(aws: IdentityCenterServer, targets: PolicyTargets) -> None:
    aws.add_user("bob", "bob@example.com")
    aws.add_user("bob2", "bob@example.com")
    aws.add_user("ann", status="DISABLED")
    for sought, why in ((BOB, "[Mm]ore than one user"), (ANN, "is disabled"), (SoughtPerson("U0EVE"), "U0EVE")):
        for is_emergency in (False, True):
            with pytest.raises(PrincipalUnknown, match=why) as caught:
                targets.find("aws", sought, is_emergency=is_emergency)
            assert caught.value.target == "aws"


def test_answer_is_kept_for_a_short_time(aws: IdentityCenterServer, targets: PolicyTargets, clock: FrozenClock) -> None:
    ann = aws.add_user("ann")
    targets.find("aws", ANN)
    asked = len(aws.calls)
    assert targets.find("aws", ANN) == ann.id
    assert len(aws.calls) == asked

    clock.advance(FRESH_FOR)
    ann.status = "DISABLED"
    with pytest.raises(PrincipalUnknown):
        targets.find("aws", ANN)


def test_other_mapping_is_another_question(aws: IdentityCenterServer, targets: PolicyTargets) -> None:
    ann, other = aws.add_user("ann"), aws.add_user("ann.admin")
    assert targets.find("aws", ANN) == ann.id
    assert targets.find("aws", SoughtPerson("U0ANN", "ann.admin")) == other.id


def test_emergency_goes_on_with_the_last_answer(
    aws: IdentityCenterServer, targets: PolicyTargets, clock: FrozenClock
) -> None:
    ann = aws.add_user("ann")
    targets.find("aws", ANN)
    clock.advance(KEPT_FOR - timedelta(seconds=1))
    outage(aws)
    with pytest.raises(PrincipalUnavailable, match="couldn't say now"):
        targets.find("aws", ANN)
    assert targets.find("aws", ANN, is_emergency=True) == ann.id

    clock.advance(timedelta(seconds=1))
    outage(aws)
    with pytest.raises(PrincipalUnavailable):
        targets.find("aws", ANN, is_emergency=True)
    aws.faults.clear()


def test_refusal_ends_what_was_known(aws: IdentityCenterServer, targets: PolicyTargets, clock: FrozenClock) -> None:
    ann = aws.add_user("ann")
    targets.find("aws", ANN)
    clock.advance(FRESH_FOR)
    ann.status = "DISABLED"
    with pytest.raises(PrincipalUnknown):
        targets.find("aws", ANN, is_emergency=True)
    outage(aws)
    with pytest.raises(PrincipalUnavailable):
        targets.find("aws", ANN, is_emergency=True)
    aws.faults.clear()


def test_elsewhere_the_policy_or_slack_names_people(clock: FrozenClock) -> None:
    targets = PolicyTargets(access_policy(), clock)
    assert targets.find("wh", SoughtPerson("U0ANN", "ann")) == "ann"
    assert targets.find("fn", SoughtPerson("U0BOB", email="bob@example.com")) == "U0BOB"
    with pytest.raises(PrincipalUnknown, match="can't be the name"):
        targets.find("wh", SoughtPerson("U0ANN", "ann doe"))
    with pytest.raises(PrincipalUnknown, match="no target of this name"):
        targets.find("gone", ANN)


def test_service_has_a_name_of_its_own(clock: FrozenClock) -> None:
    targets = PolicyTargets(access_policy(), clock)
    for target in ("wh", "fn"):
        assert targets.find(target, SoughtPerson("U0ANN", "ann", service="ci")) == "service:ci"


def test_target_that_cannot_be_opened_can_be_asked_later(clock: FrozenClock) -> None:
    def fail(_: AnyTargetConfig) -> Target:
        raise OSError("hunter2")

    targets = PolicyTargets(access_policy(), clock, {"identity-center": fail})
    with pytest.raises(PrincipalUnavailable, match=r"can't be used: OSError\. Check") as caught:
        targets.find("aws", ANN)
    assert "hunter2" not in str(caught.value)
    targets.close()


class SlowAsking:
    """A target that answers when the test lets it, or far too late."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.asked = 0

    def __call__(self) -> Found:
        self.asked += 1
        self.is_asked.set()
        self.may_answer.wait(10)
        return "ann-id"


@pytest.fixture
def lookup(clock: FrozenClock) -> Iterator[PrincipalLookup]:
    opened = PrincipalLookup(clock, emergency_wait=timedelta(0))
    yield opened
    opened.close()


def test_emergency_does_not_wait_for_a_slow_target(clock: FrozenClock, lookup: PrincipalLookup) -> None:
    assert lookup.find("ann", lambda: "old-id", is_emergency=False) == "old-id"
    clock.advance(FRESH_FOR)
    slow = SlowAsking()
    assert lookup.find("ann", slow, is_emergency=True) == "old-id"
    slow.may_answer.set()


def test_emergency_does_not_wait_behind_others(clock: FrozenClock, lookup: PrincipalLookup) -> None:
    del clock
    slow = SlowAsking()
    with ThreadPoolExecutor(8) as people:
        waiting = [people.submit(lookup.find, each, slow, is_emergency=False) for each in range(8)]
        assert slow.is_asked.wait(30)
        assert lookup.find("ann", lambda: "ann-id", is_emergency=True) == "ann-id"
        slow.may_answer.set()
        assert {each.result(30) for each in waiting} == {"ann-id"}


def test_equal_questions_share_one_call(clock: FrozenClock) -> None:
    lookup = PrincipalLookup(clock, wait=timedelta(0))
    slow = SlowAsking()
    lookup.find("ann", slow, is_emergency=False)
    assert slow.is_asked.wait(30)
    slow.is_asked.clear()
    for _ in range(3):
        lookup.find("ann", slow, is_emergency=False)
    assert not slow.is_asked.wait(0.2)
    slow.may_answer.set()
    lookup.close()


def test_who_waits_too_long_is_told_to_ask_again(clock: FrozenClock) -> None:
    lookup = PrincipalLookup(clock, wait=timedelta(0))
    slow = SlowAsking()
    assert lookup.find("ann", slow, is_emergency=False) == Later(problem="it didn't answer in time")
    slow.may_answer.set()
    lookup.close()


def test_look_ups_do_not_pile_up(clock: FrozenClock) -> None:
    lookup = PrincipalLookup(clock, wait=timedelta(0))
    slow = SlowAsking()
    found = [lookup.find(each, slow, is_emergency=False) for each in range(MAX_LOOKUPS + 1)]
    assert found[-1] == Later(problem="too many people are being looked up at once")
    lookup.close()
    slow.may_answer.set()


def test_whatever_is_raised_says_later(lookup: PrincipalLookup) -> None:
    def fail() -> Found:
        raise KeyError("hunter2")

    assert lookup.find("ann", fail, is_emergency=False) == Later(problem="KeyError while looking")


def test_refusal_is_never_kept(lookup: PrincipalLookup) -> None:
    assert lookup.find("ann", lambda: TargetRefused("no"), is_emergency=False) == TargetRefused("no")
    assert lookup.find("ann", lambda: "ann-id", is_emergency=False) == "ann-id"


def test_clock_set_back_makes_an_answer_old(clock: FrozenClock, lookup: PrincipalLookup) -> None:
    lookup.find("ann", lambda: "old-id", is_emergency=False)
    clock.advance(timedelta(hours=-1))
    assert lookup.find("ann", lambda: "new-id", is_emergency=False) == "new-id"

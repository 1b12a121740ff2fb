"""Rights of a role end to the second, bite early by a deny, and leave nothing at AWS."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.credentials import AccessEnded
from core.access.grant import GrantStatus
from core.access.right import Right
from core.access.session import SessionStatus
from core.targets.base import Absent, Held, Later, OperationKey, TargetRefused
from tests.core.access.office import ANN, OnePolicy
from tests.core.targets.role_office import POLICY, RITA, RoleOffice
from tests.harness.pretend_aws import LOCAL, PROD, serve_pretend_aws, trust_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores import Stores
    from tests.harness.clock import FrozenClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def office(stores: Stores, clock: FrozenClock, aws_environment: None) -> Iterator[RoleOffice]:
    del aws_environment
    with serve_pretend_aws(clock) as aws:
        yield RoleOffice(stores, clock, aws)


def test_rights_end_at_the_second_of_the_window(office: RoleOffice) -> None:
    office.open(duration=90 * MINUTE)
    office.clock.advance(60 * MINUTE)
    issued = office.issue()

    end = issued.access_ends_at.replace(microsecond=0)
    assert issued.expiration > end + 25 * MINUTE
    office.clock.set(end - SECOND)
    assert office.works(issued)
    office.clock.set(end)
    assert not office.works(issued)
    assert office.denies() == []


def test_natural_end_asks_aws_for_nothing(office: RoleOffice) -> None:
    office.open(duration=HOUR)
    issued = office.issue()
    calls = len(office.aws.events)
    office.clock.advance(HOUR)
    office.tend()

    assert len(office.aws.events) == calls
    assert office.session(issued).status is SessionStatus.EXPIRED
    grant = office.stores.access.get(issued.session.grant)  # type: ignore[arg-type]
    assert grant.status is GrantStatus.ENDED
    assert grant.residual_until == grant.closed_at
    with pytest.raises(AccessEnded):
        office.issue()


def test_early_end_bites_by_the_deny(office: RoleOffice) -> None:
    source = office.open()
    issued = office.issue()
    assert office.works(issued)

    office.end(source)
    assert not office.works(issued)
    assert office.denies() == [f"countersign-{issued.session.grant}"]
    stored = office.session(issued)
    assert (stored.status, stored.revoked_by) == (SessionStatus.REVOKED, "U0RITA")
    assert stored.denied_at is not None
    with pytest.raises(AccessEnded):
        office.issue()


def test_early_end_says_that_iam_takes_minutes(office: RoleOffice) -> None:
    source = office.open()
    issued = office.issue()
    office.end(source)
    office.office.pass_time(2 * MINUTE)

    grant = office.stores.access.get(issued.session.grant)  # type: ignore[arg-type]
    assert grant.status is GrantStatus.ENDED
    assert grant.residual_until is not None
    assert grant.residual_until - office.clock.now() > 2 * MINUTE


def test_deny_goes_when_the_last_credentials_are_dead(office: RoleOffice) -> None:
    source = office.open(duration=4 * HOUR)
    first, second = office.issue(device=1), office.issue(device=2)
    office.clock.advance(20 * MINUTE)
    again = office.issue(device=2)
    office.end(source)

    office.clock.set(first.session.credentials_until + 2 * MINUTE)
    office.tend()
    assert not office.works(again)
    assert office.denies() == [f"countersign-{first.session.grant}"]

    office.clock.set(again.session.credentials_until + 2 * MINUTE)
    assert not office.works(again)
    office.tend()
    assert office.denies() == []
    assert all(office.session(each).cleaned_at for each in (first, second))
    assert not any(map(office.works, (first, second, again)))


def test_deny_spares_other_grants_of_the_role(office: RoleOffice) -> None:
    source = office.open()
    office.open(ANN.model_copy(update={"id": "U0EVE"}))
    mine, theirs = office.issue(), office.issue(RITA.model_copy(update={"id": "U0EVE"}), device=2)
    office.end(source)

    assert (office.works(mine), office.works(theirs)) == (False, True)


def test_extension_keeps_the_rights_and_the_door(office: RoleOffice) -> None:
    first = office.open(duration=HOUR)
    office.open(duration=3 * HOUR)
    issued = office.issue()
    office.end(first)

    assert office.works(issued)
    office.tend()
    assert office.works(office.issue())
    office.clock.advance(90 * MINUTE)
    assert office.works(office.issue())


def test_early_end_under_an_extension_ends_its_sessions(office: RoleOffice) -> None:
    first = office.open(duration=3 * HOUR)
    old = office.issue()
    office.open(duration=2 * HOUR)
    office.end(first)
    office.tend()

    assert office.session(old).status is SessionStatus.REVOKED
    assert not office.works(old)
    assert office.works(office.issue())


def test_role_of_another_account_is_denied_through_its_revoker(office: RoleOffice) -> None:
    source = office.open(profile="remote")
    issued = office.issue(profile="remote")
    assert office.works(issued)
    office.end(source)

    assert not office.works(issued)
    assert office.denies(PROD) == [f"countersign-{issued.session.grant}"]
    assert office.denies(LOCAL) == []


def test_older_step_changes_nothing(office: RoleOffice) -> None:
    right, target = Right(target="ops", resource=LOCAL, level="assume", principal="U0RITA"), office.targets["ops"]
    older, newer, newest = (OperationKey("0123456789abcdef", each) for each in (1, 2, 3))
    assert target.inspect(right) == Absent()
    assert target.give(right, office.clock.now(), newer) == Held()
    assert target.inspect(right) == Held()
    assert isinstance(target.take(right, older), Later)
    assert target.inspect(right) == Held()

    assert target.give(right, office.clock.now(), newer) == Held()
    assert target.take(right, newest) == target.take(right, newest) == Absent()
    assert isinstance(target.give(right, office.clock.now(), newer), Later)
    assert target.inspect(right) == Absent()


def test_other_role_than_the_policy_has_is_not_given(office: RoleOffice) -> None:
    right = Right(target="ops", resource=PROD, level="assume", principal="U0RITA")

    refused = office.targets["ops"].give(right, office.clock.now(), OperationKey("0123456789abcdef", 1))
    assert isinstance(refused, TargetRefused)


def test_role_that_left_the_policy_is_still_denied(office: RoleOffice) -> None:
    source = office.open()
    issued = office.issue()
    text = "".join(line for line in POLICY.splitlines(keepends=True) if not line.startswith(("  ops:", "  both:")))
    office.policy.policy = OnePolicy(text.replace("{target: ops}", "{target: far}")).policy
    office.end(source)

    assert not office.works(issued)
    office.clock.set(issued.session.credentials_until + 2 * MINUTE)
    office.tend()
    assert office.denies() == []


def _fill(office: RoleOffice, characters: int) -> None:
    """A policy of somebody else's, which takes room."""
    keep = {name: text for name, text in office.aws.policies_of(LOCAL).items() if name != "bulk"}
    bulk = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'x' * characters}"}
    document = {"Version": "2012-10-17", "Statement": [bulk]}
    more = {"bulk": document} if characters else {}
    office.aws.add_role(LOCAL, trust=trust_policy(), policies=keep | more, max_session_seconds=3600)


def test_overflow_collapses_into_one_policy(office: RoleOffice) -> None:
    _fill(office, 9_200)
    ended = []
    for number in range(4):
        person = RITA.model_copy(update={"id": f"U0P{number}"})
        source = office.open(person)
        ended.append(office.issue(person, device=number))
        office.end(source, person)
        office.clock.advance(SECOND)

    assert len(office.denies()) < len(ended)
    assert any(name.startswith("countersign-all-") for name in office.denies())
    assert not any(map(office.works, ended))
    office.clock.advance(10 * SECOND)
    later = RITA.model_copy(update={"id": "U0LATER"})
    office.open(later)
    assert office.works(office.issue(later, device=99))

    office.clock.advance(HOUR + 3 * MINUTE)
    office.tend()
    assert office.denies() == []
    assert all(office.session(each).cleaned_at for each in ended)
    assert not any(map(office.works, ended))


def test_full_role_is_refused_and_tried_again(office: RoleOffice) -> None:
    _fill(office, 9_900)
    source = office.open()
    issued = office.issue()
    office.end(source)
    assert office.works(issued)
    grant = office.stores.access.get(issued.session.grant)  # type: ignore[arg-type]
    assert grant.status is GrantStatus.ENDING
    # A worker that takes over, and knows nothing of the take, sees that there is something left to take.
    assert office.targets["ops"].inspect(grant.right) == Held()

    _fill(office, 0)
    office.office.pass_time(5 * MINUTE)
    assert not office.works(issued)

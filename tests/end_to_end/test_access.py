"""Access from the request to the proof of its end: real services, a real store, the reconciler, and a strict target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantStatus
from core.actor import Actor, UserId
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from tests.core.access.harness import HOUR, MINUTE
from tests.core.access.office import ANN, RITA, AccessOffice, right_of

if TYPE_CHECKING:
    from core.stores import Stores
    from core.targets.base import Given
    from tests.harness.clock import FrozenClock

QUEUED = 100


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


def test_target_that_left_the_policy_is_told_and_taken_when_it_is_back(office: AccessOffice) -> None:
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

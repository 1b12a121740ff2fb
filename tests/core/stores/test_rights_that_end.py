"""A right that one instance hears has ended, ends on the other one too, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.actor import UserGroupId
from core.clock import TICK
from core.errors import NotAllowed
from core.request import RequestId, RequestStatus
from core.services import RequestService
from tests.builders import HOUR
from tests.core.services.harness import ANN, BOB, DEPLOY, RITA, ChangingPolicy
from tests.harness.caching_directory import CachingDirectory
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

SRE = UserGroupId("S0SRE")


@pytest.fixture
def office() -> OfficeDirectory:
    return OfficeDirectory({SRE: [ANN.id]})


@pytest.fixture
def instances(stores: Stores, clock: FrozenClock, office: OfficeDirectory) -> list[RequestService]:
    """Two instances on one store, each with its own cached answers, and a policy that trusts the user group."""
    policy = ChangingPolicy()
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [S0SRE, U0BOB]"})
    return [RequestService(stores, policy, clock, directory=CachingDirectory(office, clock)) for _ in range(2)]


def test_vote_of_a_removed_approver_lapses_on_the_other_instance(
    instances: list[RequestService], stores: Stores, clock: FrozenClock, office: OfficeDirectory
) -> None:
    first, second = instances
    asked = RequestId(first.submit(RITA, "prod", HOUR, DEPLOY).id)
    first.approve(asked, ANN)
    # The second instance has the answer that ANN is in the group, too.
    second.approve(asked, ANN)
    clock.advance(TICK)
    office.quit(SRE, ANN.id)
    # Slack delivers the event once: the first instance hears it, and notes it.
    stores.directory.note([SRE], clock.now())
    after = second.approve(asked, BOB)
    assert after.status is RequestStatus.PENDING
    assert [vote.approver for vote in after.counting_approvals] == [BOB.id]
    assert stores.requests.get(asked).approvals[0].lapsed_reason == "no longer an approver of rule prod"


def test_removed_approver_can_not_approve_on_the_other_instance(
    instances: list[RequestService], stores: Stores, clock: FrozenClock, office: OfficeDirectory
) -> None:
    first, second = instances
    asked = [RequestId(first.submit(RITA, profile, HOUR, DEPLOY).id) for profile in ("prod", "staging")]
    second.approve(asked[0], ANN)
    clock.advance(TICK)
    office.quit(SRE, ANN.id)
    stores.directory.note([SRE], clock.now())
    with pytest.raises(NotAllowed, match="U0ANN is not among the approvers"):
        second.approve(asked[1], ANN)

"""An instance whose clock is off: it ends nothing for good, and approves nothing that may be overdue."""

from __future__ import annotations

import pytest

from core.break_glass import BreakGlassEvent, EventStatus
from core.errors import InvalidStateTransition, StoreUnavailable
from core.request import Request, RequestStatus
from core.services import BreakGlassService, GrantService, RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.access_harness import ADA, statuses, with_access
from tests.core.services.harness import ANN, BOB, DEPLOY, RITA, ChangingPolicy, event_id_of, request_id_of, trail
from tests.harness.clock import FrozenClock


class OffClock(FrozenClock):
    """A clock that is known to be off."""

    is_off = True


@pytest.fixture
def off(clock: FrozenClock) -> OffClock:
    """Thirty hours ahead: everything seems overdue."""
    return OffClock(clock.now() + 30 * HOUR)


def test_overdue_by_it_is_neither_expired_nor_reminded(
    stores: Stores, policy: ChangingPolicy, off: OffClock, single: Request, live: BreakGlassEvent
) -> None:
    requests, break_glass = RequestService(stores, policy, off), BreakGlassService(stores, policy, off)

    assert requests.expire_due() == requests.remind_due() == ()
    assert break_glass.expire_due() == break_glass.ask_due() == break_glass.remind_due() == ()
    off.is_off = False
    assert [each.status for each in requests.expire_due()] == [RequestStatus.EXPIRED]
    assert [each.status for each in break_glass.expire_due()] == [EventStatus.EXPIRED]
    del single, live


def test_overdue_by_it_is_not_approved_and_stays_pending(
    stores: Stores, policy: ChangingPolicy, off: OffClock, single: Request, requests: RequestService
) -> None:
    with pytest.raises(InvalidStateTransition):
        RequestService(stores, policy, off).approve(request_id_of(single), ANN)

    assert "request_expired" not in [event for event, _ in trail(stores, single)]
    # An instance whose clock is right approves it.
    assert requests.approve(request_id_of(single), BOB).status is RequestStatus.APPROVED


def test_event_that_is_over_by_it_cannot_be_closed_there(
    stores: Stores, policy: ChangingPolicy, off: OffClock, live: BreakGlassEvent
) -> None:
    with pytest.raises((InvalidStateTransition, StoreUnavailable)):
        BreakGlassService(stores, policy, off).close(event_id_of(live), ANN, "it is over")

    assert stores.break_glass.get(event_id_of(live)) == live


def test_access_that_is_over_by_it_is_not_said_to_be(
    stores: Stores, policy: ChangingPolicy, off: OffClock, requests: RequestService, grants: GrantService
) -> None:
    policy.policy = with_access().policy
    approved = requests.approve(request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY)), ANN)
    service = GrantService(stores, policy, off)
    with pytest.raises(StoreUnavailable, match="clock is off"):
        service.end(approved.chain, RITA)

    (failure,) = service.revoke_person(RITA.id, ADA, "they left").failed
    assert (failure.source, "clock is off" in failure.problem) == (approved.chain, True)
    assert service.remind_due() == ()
    assert statuses(grants.end(approved.chain, RITA)) == ["ending"]

"""Break-glass instead of a request that waits: the request is cancelled with the event, for its requester alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventStatus, ReasonCode
from core.errors import InvalidStateTransition, NotAllowed, RequestNotFound
from core.request import Request, RequestId, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.builders import DAY, HOUR
from tests.core.services.harness import ANN, BOB, CLEO, Disturbance, by, noted, trail
from tests.harness.clock import FrozenClock

WHY = "The checkout is down, INC-12"


@pytest.fixture
def asked(requests: RequestService) -> Request:
    """ANN's pending request for prod, which takes two approvals."""
    return requests.submit(ANN, "prod", HOUR, "Deploy the fix for INC-12")


def declare(
    service: BreakGlassService, request: Request, who: Actor = ANN, profile: str = "prod", key: str | None = None
) -> BreakGlassEvent:
    return service.invoke(
        who,
        profile,
        ReasonCode.INCIDENT,
        WHY,
        HOUR,
        instead_of=RequestId(request.id),
        idempotency_key=key,
    )


def stored(stores: Stores, request: Request) -> Request:
    return stores.requests.get(RequestId(request.id))


def test_event_and_the_cancelled_request_name_each_other(
    break_glass: BreakGlassService, stores: Stores, asked: Request
) -> None:
    event = declare(break_glass, asked)
    cancelled = stored(stores, asked)
    assert event.instead_of == asked.id
    assert (cancelled.status, cancelled.replaced_by) == (RequestStatus.CANCELLED, event.id)
    assert stores.audit.get_chain(event.chain)[0].details["instead_of"] == asked.id
    last = stores.audit.get_chain(asked.chain)[-1]
    assert (last.event, last.actor, last.outcome) == (AuditAction.REQUEST_CANCELLED, by(ANN), "cancelled")
    assert last.details == {"replaced_by": event.id}


def test_same_declaration_again_changes_nothing(break_glass: BreakGlassService, stores: Stores, asked: Request) -> None:
    event = declare(break_glass, asked, key="V1")
    assert declare(break_glass, asked, key="V1") == event
    assert len(trail(stores, asked)) == 2


@pytest.mark.parametrize(("who", "profile"), [(BOB, "prod"), (ANN, "staging")], ids=["another's", "another profile"])
def test_request_of_others_or_other_profiles_is_not_replaced(
    break_glass: BreakGlassService, stores: Stores, asked: Request, who: Actor, profile: str
) -> None:
    with pytest.raises(NotAllowed, match="your own request"):
        declare(break_glass, asked, who, profile)
    assert stored(stores, asked) == asked
    assert not list(stores.break_glass.iterate())
    assert [entry.event for entry in noted(stores)] == [AuditAction.INVOKE_REFUSED]


def test_request_that_gives_access_refuses_its_replacement(
    break_glass: BreakGlassService, requests: RequestService, stores: Stores, asked: Request
) -> None:
    for approver in (BOB, CLEO):
        requests.approve(RequestId(asked.id), approver)
    with pytest.raises(InvalidStateTransition) as refusal:
        declare(break_glass, asked)
    assert (refusal.value.status, refusal.value.decided_by) == ("approved", CLEO.id)
    assert not list(stores.break_glass.iterate())


def test_request_that_ended_without_access_is_no_obstacle(
    break_glass: BreakGlassService, requests: RequestService, stores: Stores, asked: Request
) -> None:
    denied = requests.deny(RequestId(asked.id), BOB, "Not on a Friday")
    assert declare(break_glass, asked).instead_of is None
    assert stored(stores, asked) == denied


def test_overdue_request_is_no_obstacle_before_a_sweep(
    break_glass: BreakGlassService, asked: Request, clock: FrozenClock
) -> None:
    clock.advance(DAY)
    assert declare(break_glass, asked).instead_of is None


def test_missing_request_is_reported(break_glass: BreakGlassService, asked: Request) -> None:
    with pytest.raises(RequestNotFound):
        declare(break_glass, asked.replace(id="0" * 16))


def test_approval_in_between_refuses_the_replacement(
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    requests: RequestService,
    stores: Stores,
    asked: Request,
) -> None:
    """The last vote comes in between the judging and the writing."""
    requests.approve(RequestId(asked.id), BOB)
    disturbance.steps.append(lambda: requests.approve(RequestId(asked.id), CLEO))
    with pytest.raises(InvalidStateTransition, match="approved"):
        declare(disturbed_break_glass, asked)
    assert not list(stores.break_glass.iterate())


def test_vote_in_between_does_not_stop_the_replacement(
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    requests: RequestService,
    stores: Stores,
    asked: Request,
) -> None:
    disturbance.steps.append(lambda: requests.approve(RequestId(asked.id), CLEO))
    event = declare(disturbed_break_glass, asked)
    assert stored(stores, asked).replaced_by == event.id


def test_request_that_cannot_be_read_stops_no_emergency(
    break_glass: BreakGlassService, asked: Request, stores: Stores, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as past, past:
        past.execute("UPDATE requests SET body = json_set(body, '$.requester', 'U0MALLORY')")
    event = declare(break_glass, asked)
    assert (event.status, event.instead_of) == (EventStatus.ACTIVE, None)
    assert AuditAction.SEAL_BROKEN in {each.event for each in noted(stores)}

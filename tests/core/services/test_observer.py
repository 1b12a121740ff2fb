"""An observer is called for each committed change once, each refusal and each conflict, and never too early."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.audit.trail import AuditAction
from core.break_glass import EventId, ReasonCode
from core.directory import FixedDirectory
from core.errors import InvalidInput, NotAllowed, StoreUnavailable
from core.record import Record
from core.request import RequestId
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.core.services.harness import (
    ANN,
    BOB,
    EVE,
    RITA,
    STRANGER,
    ChangingPolicy,
    Disturbance,
    DisturbedStores,
)
from tests.harness.clock import FrozenClock

HOUR = timedelta(hours=1)
WHY = "Deploy the fix for INC-12"


class Diary:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[AuditAction, str]] = []
        self.refusals: list[AuditAction] = []
        self.conflicts: list[str] = []

    def committed(self, record: Record, event: AuditAction) -> None:
        """A change, and the status that it led to."""
        self.heard.append((event, str(record.state)))

    def refused(self, event: AuditAction) -> None:
        """A refusal."""
        self.refusals.append(event)

    def conflicted(self, record: str) -> None:
        """A conflict."""
        self.conflicts.append(record)

    def ledger_unreadable(self, owner: str) -> None:
        """A ledger that can't be read."""
        self.conflicts.append(owner)


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def observed(stores: Stores, policy: ChangingPolicy, clock: FrozenClock, diary: Diary) -> RequestService:
    return RequestService(stores, policy, clock, diary, directory=FixedDirectory())


def test_each_change_of_a_request_is_observed_once(observed: RequestService, diary: Diary, clock: FrozenClock) -> None:
    asked = observed.submit(RITA, "prod", HOUR, WHY, idempotency_key="form")
    assert observed.submit(RITA, "prod", HOUR, WHY, idempotency_key="form").id == asked.id
    observed.approve(RequestId(asked.id), ANN)
    observed.approve(RequestId(asked.id), ANN)
    observed.approve(RequestId(asked.id), BOB)
    denied = observed.submit(RITA, "prod", HOUR, WHY)
    observed.deny(RequestId(denied.id), ANN, "Not today")
    cancelled = observed.submit(RITA, "prod", HOUR, WHY)
    observed.cancel(RequestId(cancelled.id), RITA)
    observed.submit(RITA, "prod", HOUR, WHY)
    clock.advance(timedelta(days=2))
    observed.expire_due()

    submitted = (AuditAction.REQUEST_SUBMITTED, "pending")
    assert diary.heard == [
        submitted,
        (AuditAction.APPROVAL_ADDED, "pending"),
        (AuditAction.REQUEST_APPROVED, "approved"),
        submitted,
        (AuditAction.REQUEST_DENIED, "denied"),
        submitted,
        (AuditAction.REQUEST_CANCELLED, "cancelled"),
        submitted,
        (AuditAction.REQUEST_EXPIRED, "expired"),
    ]
    assert (diary.refusals, diary.conflicts) == ([], [])


def test_approval_by_the_policy_is_two_changes(observed: RequestService, diary: Diary) -> None:
    observed.submit(EVE, "staging", HOUR, WHY)

    assert diary.heard == [
        (AuditAction.REQUEST_SUBMITTED, "approved"),
        (AuditAction.REQUEST_APPROVED, "approved"),
    ]


def test_refusal_is_observed_and_a_mistake_is_not(observed: RequestService, diary: Diary) -> None:
    with pytest.raises(NotAllowed):
        observed.submit(STRANGER, "prod", HOUR, WHY)
    with pytest.raises(InvalidInput):
        observed.submit(RITA, "prod", HOUR, "why")

    assert diary.refusals == [AuditAction.SUBMIT_REFUSED]
    assert diary.heard == []


def test_conflict_is_observed_and_then_the_change_that_succeeded(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, disturbance: Disturbance, diary: Diary
) -> None:
    asked = RequestService(stores, policy, clock, directory=FixedDirectory()).submit(RITA, "prod", HOUR, WHY)
    disturbed = RequestService(DisturbedStores(stores, disturbance), policy, clock, diary, directory=FixedDirectory())
    disturbance.conflicts(2)
    disturbed.approve(RequestId(asked.id), ANN)

    assert len(diary.conflicts) == 2
    assert diary.heard == [(AuditAction.APPROVAL_ADDED, "pending")]


def test_change_that_did_not_reach_the_store_is_not_observed(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, disturbance: Disturbance, diary: Diary
) -> None:
    asked = RequestService(stores, policy, clock, directory=FixedDirectory()).submit(RITA, "prod", HOUR, WHY)

    def fail() -> None:
        raise StoreUnavailable("no answer")

    disturbance.steps.append(fail)
    with pytest.raises(StoreUnavailable):
        RequestService(DisturbedStores(stores, disturbance), policy, clock, diary, directory=FixedDirectory()).approve(
            RequestId(asked.id), ANN
        )

    assert diary.heard == []


def test_break_glass_is_observed_from_beginning_to_end(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, diary: Diary
) -> None:
    service = BreakGlassService(stores, policy, clock, diary, directory=FixedDirectory())
    event = service.invoke(ANN, "prod", ReasonCode.INCIDENT, "The checkout is down, see INC-12", HOUR)
    with pytest.raises(NotAllowed):
        service.close(EventId(event.id), STRANGER, "it is over")
    service.close(EventId(event.id), ANN, "it is over")

    assert diary.heard == [(AuditAction.BREAK_GLASS_INVOKED, "active"), (AuditAction.BREAK_GLASS_CLOSED, "closed")]
    assert diary.refusals == [AuditAction.CLOSE_REFUSED]

"""Asking on behalf of somebody: two people behind one request, and neither of them decides on it."""

from __future__ import annotations

from typing import Final

import pytest

from core.actor import Actor
from core.approval import Approval
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_chain
from core.errors import InvalidInput, InvalidStateTransition, LimitReached, NotAllowed
from core.request import Request, RequestStatus
from core.services import RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    EVE,
    RITA,
    STRANGER,
    ChangingPolicy,
    by,
    noted,
    person,
    request_id_of,
    trail,
)
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory

ONE_PERSON: Final = {
    "security_channel: C0SECURITY": (
        "security_channel: C0SECURITY\nsame_person: [[U0ANN, U0CLEO], [U0RITA, U0RITATWO]]"
    )
}
RITA_TWO: Final = person("U0RITATWO")
QUESTION: Final = "Which ticket is this for?"


def is_intact(stores: Stores, request: Request, clock: FrozenClock) -> bool:
    """True when verification finds nothing in the request's chain."""
    return not list(verify_chain(stores, request.chain, AuditKeyring(), clock.now()))


def _refuses_all(requests: RequestService, asked: Request, who: Actor) -> None:
    with pytest.raises(NotAllowed):
        requests.approve(request_id_of(asked), who)
    with pytest.raises(NotAllowed):
        requests.deny(request_id_of(asked), who, "not today")
    with pytest.raises(NotAllowed):
        requests.ask(request_id_of(asked), who, QUESTION)


@pytest.fixture
def asked(requests: RequestService) -> Request:
    """What ANN, who may approve prod, requested for RITA."""
    return requests.submit(ANN, "prod", 2 * HOUR, DEPLOY, on_behalf_of=RITA)


def test_both_are_named_and_the_requester_confirms(
    requests: RequestService, stores: Stores, asked: Request, clock: FrozenClock
) -> None:
    assert (asked.requester, asked.asked_by, asked.awaits_confirmation) == (RITA.id, ANN.id, True)
    confirmed = requests.confirm(request_id_of(asked), RITA)
    assert (confirmed.status, confirmed.awaits_confirmation) == (RequestStatus.PENDING, False)
    assert requests.confirm(request_id_of(asked), RITA) == confirmed
    requests.approve(request_id_of(asked), BOB)
    approved = requests.approve(request_id_of(asked), CLEO)
    assert (approved.status, approved.person) == (RequestStatus.APPROVED, RITA.id)
    assert trail(stores, asked) == [
        ("request_submitted", ANN.id),
        ("request_confirmed", RITA.id),
        ("approval_added", BOB.id),
        ("request_approved", CLEO.id),
    ]
    assert is_intact(stores, asked, clock)


@pytest.mark.parametrize("who", [BOB, ANN, RITA, STRANGER])
def test_nobody_decides_before_the_confirmation(requests: RequestService, asked: Request, who: Actor) -> None:
    _refuses_all(requests, asked, who)
    assert requests.confirm(request_id_of(asked), RITA).approvals == ()


@pytest.mark.parametrize("who", [ANN, RITA, CLEO, RITA_TWO], ids=["asker", "requester", "asker's other id", "hers"])
def test_neither_of_the_two_decides_by_any_id(
    requests: RequestService, policy: ChangingPolicy, asked: Request, who: Actor
) -> None:
    policy.edit(ONE_PERSON)
    requests.confirm(request_id_of(asked), RITA)
    _refuses_all(requests, asked, who)


@pytest.mark.parametrize("who", [ANN, BOB, STRANGER, RITA.model_copy(update={"service": "ci-deploy"})])
def test_only_the_requester_confirms(requests: RequestService, stores: Stores, asked: Request, who: Actor) -> None:
    with pytest.raises(NotAllowed):
        requests.confirm(request_id_of(asked), who)
    assert [(entry.event, entry.actor) for entry in noted(stores)] == [(AuditAction.CONFIRM_REFUSED, by(who))]


def test_requester_confirms_with_another_id(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, asked: Request
) -> None:
    policy.edit(ONE_PERSON)
    requests.confirm(request_id_of(asked), RITA_TWO)
    entry = stores.audit.get_chain(asked.chain)[-1]
    assert (entry.actor, entry.details) == (by(RITA), {"acted_with": str(RITA_TWO.id)})


def test_confirmation_after_the_deadline_comes_too_late(
    requests: RequestService, asked: Request, clock: FrozenClock
) -> None:
    clock.advance(25 * HOUR)
    with pytest.raises(InvalidStateTransition):
        requests.confirm(request_id_of(asked), RITA)


@pytest.mark.parametrize("who", [RITA, ANN])
def test_both_of_the_two_can_cancel(
    requests: RequestService, stores: Stores, asked: Request, clock: FrozenClock, who: Actor
) -> None:
    with pytest.raises(NotAllowed):
        requests.cancel(request_id_of(asked), BOB)
    cancelled = requests.cancel(request_id_of(asked), who)
    assert (cancelled.status, cancelled.ended_by[0]) == (RequestStatus.CANCELLED, who.id)
    with pytest.raises(InvalidStateTransition):
        requests.confirm(request_id_of(asked), RITA)
    assert is_intact(stores, asked, clock)


@pytest.mark.parametrize(("asker", "other"), [(BOB, RITA), (ANN, BOB), (EVE, RITA)])
def test_both_need_a_rule_for_the_profile(requests: RequestService, stores: Stores, asker: Actor, other: Actor) -> None:
    with pytest.raises(NotAllowed):
        requests.submit(asker, "prod", HOUR, DEPLOY, on_behalf_of=other)
    entry = noted(stores)[-1]
    assert (entry.event, entry.actor, entry.subject) == (AuditAction.SUBMIT_REFUSED, by(asker), other.id)


def test_policy_approves_nothing_that_somebody_else_requested(requests: RequestService) -> None:
    assert requests.submit(EVE, "staging", HOUR, DEPLOY).status is RequestStatus.APPROVED
    asked = requests.submit(RITA, "staging", HOUR, DEPLOY, on_behalf_of=EVE)
    assert asked.awaits_confirmation
    assert requests.confirm(request_id_of(asked), EVE).status is RequestStatus.PENDING


def test_limits_are_those_of_the_person_who_gets_the_access(requests: RequestService, asked: Request) -> None:
    with pytest.raises(LimitReached):
        requests.submit(RITA, "prod", HOUR, DEPLOY)
    assert requests.submit(ANN, "prod", HOUR, DEPLOY).requester == ANN.id
    assert asked.requester == RITA.id


def test_somebody_is_never_their_own_colleague(requests: RequestService, policy: ChangingPolicy) -> None:
    assert requests.submit(RITA, "prod", HOUR, DEPLOY, on_behalf_of=RITA).asked_by is None
    policy.edit(ONE_PERSON)
    with pytest.raises(InvalidInput, match="one person"):
        requests.submit(RITA_TWO, "prod", HOUR, DEPLOY, on_behalf_of=RITA)


def test_service_asks_for_nobody_else(requests: RequestService) -> None:
    with pytest.raises(NotAllowed):
        requests.submit(ANN.model_copy(update={"service": "ci"}), "prod", HOUR, DEPLOY, on_behalf_of=RITA)


def test_same_key_gives_the_same_request_to_the_same_two(requests: RequestService, clock: FrozenClock) -> None:
    first = requests.submit(ANN, "prod", HOUR, DEPLOY, idempotency_key="V1", on_behalf_of=RITA)
    clock.advance(HOUR)
    assert requests.submit(ANN, "prod", HOUR, DEPLOY, idempotency_key="V1", on_behalf_of=RITA) == first
    requests.cancel(request_id_of(first), RITA)
    assert requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="V1").id != first.id


@pytest.mark.parametrize("change", ["left", "lost their rule"])
def test_deciding_vote_judges_the_asker_again(
    requests: RequestService, policy: ChangingPolicy, directory: OfficeDirectory, asked: Request, change: str
) -> None:
    requests.confirm(request_id_of(asked), RITA)
    requests.approve(request_id_of(asked), BOB)
    if change == "left":
        directory.leave(ANN.id)
    else:
        policy.edit({"    requesters: [U0RITA, U0ANN]\n": "    requesters: [U0RITA]\n"})
    with pytest.raises(NotAllowed, match=ANN.id):
        requests.approve(request_id_of(asked), CLEO)


def test_vote_of_an_older_version_before_it_is_confirmed_lapses(
    requests: RequestService, stores: Stores, asked: Request, clock: FrozenClock
) -> None:
    early = asked.replace(approvals=(Approval(approver=BOB.id, at=clock.now()),))
    stores.requests.update(early, EntryDraft.of(early, AuditAction.APPROVAL_ADDED, BOB.id))
    clock.advance(HOUR)
    requests.confirm(request_id_of(asked), RITA)
    voted = requests.approve(request_id_of(asked), CLEO)
    assert (voted.status, [each.approver for each in voted.counting_approvals]) == (RequestStatus.PENDING, [CLEO.id])
    approved = requests.approve(request_id_of(asked), BOB)
    assert [each.approver for each in approved.counting_approvals] == [CLEO.id, BOB.id]
    assert is_intact(stores, asked, clock)


def test_vote_of_the_asker_by_an_older_version_lapses(
    requests: RequestService, stores: Stores, asked: Request, clock: FrozenClock
) -> None:
    confirmed = requests.confirm(request_id_of(asked), RITA)
    clock.advance(HOUR)
    voted = confirmed.replace(approvals=(Approval(approver=ANN.id, at=clock.now()),))
    stores.requests.update(voted, EntryDraft.of(voted, AuditAction.APPROVAL_ADDED, ANN.id))
    assert requests.approve(request_id_of(asked), BOB).status is RequestStatus.PENDING
    assert requests.approve(request_id_of(asked), CLEO).status is RequestStatus.APPROVED
    assert is_intact(stores, asked, clock)


def test_approvers_are_reminded_only_of_what_is_confirmed(
    requests: RequestService, asked: Request, clock: FrozenClock
) -> None:
    clock.advance(4 * HOUR)
    assert requests.remind_due() == ()
    requests.confirm(request_id_of(asked), RITA)
    assert requests.remind_due() == ()
    clock.advance(3 * HOUR)
    assert [each.id for each in requests.remind_due()] == [asked.id]

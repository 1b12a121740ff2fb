from __future__ import annotations

from collections.abc import Callable

import pytest

from core.audit.trail import AuditAction
from core.clock import TICK
from core.errors import (
    InvalidStateTransition,
    NotAllowed,
)
from core.request import Request, RequestStatus
from core.services import RequestService
from core.stores import Stores
from tests.builders import HOUR, PROD, STAGING
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    RITA,
    STRANGER,
    ChangingPolicy,
    by,
    noted,
    request_id_of,
    trail,
)
from tests.harness.clock import A_MOMENT, FrozenClock


def test_votes_are_counted_until_the_last_one_opens_the_window(
    requests: RequestService, stores: Stores, clock: FrozenClock, pending: Request, policy: ChangingPolicy
) -> None:
    first = requests.approve(request_id_of(pending), ANN, "  looks right ")
    assert (first.status, first.access_ends_at) == (RequestStatus.PENDING, None)
    now = clock.advance(HOUR)
    second = requests.approve(request_id_of(pending), BOB, "   ")
    assert (second.status, second.approver) == (RequestStatus.APPROVED, by(BOB))
    assert (second.decided_at, second.access_ends_at) == (now, now + 2 * HOUR)
    assert stores.requests.get(request_id_of(pending)) == second
    assert trail(stores, pending) == [
        ("request_submitted", RITA.id),
        ("approval_added", ANN.id),
        ("request_approved", BOB.id),
    ]
    _, vote, decision = stores.audit.get_chain(pending.chain)
    common = {"policy_digest": policy.policy.digest, "rule": "prod", "required_approvals": 2}
    assert vote.details == {**common, "approvals": 1, "comment": "looks right"}
    assert decision.details == {**common, "approvals": 2, "access_ends_at": "2026-01-15T06:53:45.120000Z"}
    assert (vote.outcome, decision.outcome, decision.subject) == ("pending", "approved", RITA.id)


def test_approver_can_deny_what_still_waits_after_their_vote(requests: RequestService, pending: Request) -> None:
    assert requests.approve(request_id_of(pending), ANN).status is RequestStatus.PENDING
    assert requests.deny(request_id_of(pending), ANN, "Not during the freeze").status is RequestStatus.DENIED


def test_second_vote_of_one_person_changes_nothing(requests: RequestService, stores: Stores, pending: Request) -> None:
    once = requests.approve(request_id_of(pending), ANN, "yes")
    assert requests.approve(request_id_of(pending), ANN, "yes, yes") == once
    approved = requests.approve(request_id_of(pending), BOB)
    assert requests.approve(request_id_of(pending), ANN) == requests.approve(request_id_of(pending), BOB) == approved
    assert len(stores.audit.get_chain(pending.chain)) == 3
    assert noted(stores) == []


def test_nobody_approves_their_own_request_even_as_an_approver(requests: RequestService, stores: Stores) -> None:
    own = requests.submit(ANN, "prod", HOUR, DEPLOY)
    with pytest.raises(NotAllowed, match="nobody decides on their own request"):
        requests.approve(request_id_of(own), ANN)
    with pytest.raises(NotAllowed, match="nobody decides on their own request"):
        requests.deny(request_id_of(own), ANN, "never mind")
    assert stores.requests.get(request_id_of(own)) == own
    assert [(entry.event, entry.record, entry.subject) for entry in noted(stores)] == [
        (AuditAction.APPROVE_REFUSED, own.chain, ANN.id),
        (AuditAction.DENY_REFUSED, own.chain, ANN.id),
    ]


def test_person_who_is_no_approver_is_refused_with_reasons_noted(
    requests: RequestService, stores: Stores, pending: Request
) -> None:
    with pytest.raises(NotAllowed, match="not among the approvers of rule prod") as refusal:
        requests.approve(request_id_of(pending), STRANGER)
    assert stores.requests.get(request_id_of(pending)) == pending
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.subject) == (AuditAction.APPROVE_REFUSED, by(STRANGER), RITA.id)
    assert (entry.record, entry.profile, entry.outcome) == (pending.chain, PROD, "refused")
    assert entry.details == {"rule": "prod", "unmet": list(refusal.value.reasons)}


def test_late_action_learns_who_decided_and_when(
    requests: RequestService, stores: Stores, clock: FrozenClock, single: Request
) -> None:
    requests.approve(request_id_of(single), ANN)
    clock.advance(HOUR)
    late: list[Callable[[], Request]] = [
        lambda: requests.approve(request_id_of(single), BOB),
        lambda: requests.deny(request_id_of(single), BOB, "too late"),
    ]
    for click in late:
        with pytest.raises(InvalidStateTransition) as refusal:
            click()
        assert (refusal.value.status, refusal.value.decided_by) == ("approved", ANN.id)
        assert refusal.value.decided_at == A_MOMENT
    assert [entry.details for entry in noted(stores)] == [
        {
            "status": "approved",
            "wanted": wanted,
            "decided_by": ANN.id,
            "decided_at": "2026-01-15T03:53:45.120000Z",
        }
        for wanted in ("approved", "denied")
    ]


def test_late_action_of_a_stranger_learns_what_was_decided(requests: RequestService, single: Request) -> None:
    requests.approve(request_id_of(single), ANN)
    with pytest.raises(InvalidStateTransition):
        requests.approve(request_id_of(single), STRANGER)


def test_approval_after_the_deadline_is_refused_and_expires_it(
    requests: RequestService, stores: Stores, clock: FrozenClock, single: Request
) -> None:
    clock.set(single.expires_at)
    with pytest.raises(InvalidStateTransition) as refusal:
        requests.approve(request_id_of(single), ANN)
    assert (refusal.value.status, refusal.value.wanted) == ("expired", "approved")
    assert refusal.value.decided_at == single.expires_at
    assert stores.requests.get(request_id_of(single)).status is RequestStatus.EXPIRED
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_expired", "clock")]
    (entry,) = noted(stores)
    assert (entry.record, entry.profile, entry.subject) == (single.chain, STAGING, RITA.id)


def test_vote_one_tick_before_the_deadline_is_in_time(
    requests: RequestService, clock: FrozenClock, single: Request
) -> None:
    clock.set(single.expires_at - TICK)
    assert requests.approve(request_id_of(single), ANN).status is RequestStatus.APPROVED


def test_right_to_vote_is_judged_by_the_current_policy(
    requests: RequestService, policy: ChangingPolicy, pending: Request, stores: Stores
) -> None:
    requests.approve(request_id_of(pending), ANN)
    before = policy.policy.digest
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0ANN, U0CLEO]"})
    with pytest.raises(NotAllowed):
        requests.approve(request_id_of(pending), BOB)
    assert requests.approve(request_id_of(pending), CLEO).status is RequestStatus.APPROVED, "a vote given stays given"
    _, first, last = stores.audit.get_chain(pending.chain)
    assert (first.details["policy_digest"], last.details["policy_digest"]) == (before, policy.policy.digest)
    assert before != policy.policy.digest


def test_quorum_was_fixed_when_the_request_was_made(
    requests: RequestService, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit({"required_approvals: 2": "required_approvals: 1"})
    assert requests.approve(request_id_of(pending), ANN).status is RequestStatus.PENDING


@pytest.mark.parametrize(
    "changes",
    [
        {"- name: prod": "- name: production"},
        {
            "profiles: [prod]\n": "profiles: [vault]\n",
            "profiles: [vault]\n    requesters: [U0CLEO]": "profiles: [prod]\n",
        },
    ],
    ids=["renamed", "covers another profile"],
)
def test_request_whose_rule_changed_can_only_be_cancelled(
    requests: RequestService, policy: ChangingPolicy, pending: Request, changes: dict[str, str]
) -> None:
    policy.edit(changes)
    with pytest.raises(NotAllowed, match="cancel the request and ask again"):
        requests.approve(request_id_of(pending), ANN)
    with pytest.raises(NotAllowed, match="cancel the request and ask again"):
        requests.deny(request_id_of(pending), ANN, "not today")
    assert requests.cancel(request_id_of(pending), RITA).status is RequestStatus.CANCELLED


def test_one_denial_is_final_and_says_why(
    requests: RequestService, stores: Stores, pending: Request, policy: ChangingPolicy
) -> None:
    requests.approve(request_id_of(pending), ANN)
    denied = requests.deny(request_id_of(pending), BOB, "  use staging ")
    assert (denied.status, denied.approver, denied.approver_comment) == (RequestStatus.DENIED, by(BOB), "use staging")
    assert requests.deny(request_id_of(pending), BOB, "another reason") == denied
    late: list[Callable[[], Request]] = [
        lambda: requests.approve(request_id_of(pending), ANN),
        lambda: requests.approve(request_id_of(pending), CLEO),
        lambda: requests.deny(request_id_of(pending), CLEO, "me too"),
        lambda: requests.cancel(request_id_of(pending), RITA),
    ]
    for click in late:
        with pytest.raises(InvalidStateTransition) as refusal:
            click()
        assert (refusal.value.status, refusal.value.decided_by) == ("denied", BOB.id)
    assert stores.requests.get(request_id_of(pending)) == denied
    entry = stores.audit.get_chain(pending.chain)[-1]
    assert (entry.event, entry.actor) == (AuditAction.REQUEST_DENIED, by(BOB))
    assert entry.details == {"policy_digest": policy.policy.digest, "rule": "prod", "reason": "use staging"}


def test_person_who_is_no_approver_may_not_deny(requests: RequestService, stores: Stores, pending: Request) -> None:
    with pytest.raises(NotAllowed):
        requests.deny(request_id_of(pending), STRANGER, "because I can")
    assert stores.requests.get(request_id_of(pending)) == pending
    assert [entry.event for entry in noted(stores)] == [AuditAction.DENY_REFUSED]


def test_only_the_requester_cancels(requests: RequestService, stores: Stores, pending: Request) -> None:
    with pytest.raises(NotAllowed, match="only the requester"):
        requests.cancel(request_id_of(pending), ANN)
    cancelled = requests.cancel(request_id_of(pending), RITA)
    assert (cancelled.status, cancelled.approver) == (RequestStatus.CANCELLED, None)
    assert requests.cancel(request_id_of(pending), RITA) == cancelled
    assert trail(stores, pending) == [("request_submitted", RITA.id), ("request_cancelled", RITA.id)]
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.record) == (AuditAction.CANCEL_REFUSED, by(ANN), pending.chain)
    with pytest.raises(InvalidStateTransition) as refusal:
        requests.approve(request_id_of(pending), ANN)
    assert refusal.value.decided_by == RITA.id


def test_cancelling_after_the_deadline_finds_it_expired(
    requests: RequestService, clock: FrozenClock, single: Request
) -> None:
    clock.set(single.expires_at)
    with pytest.raises(InvalidStateTransition) as refusal:
        requests.cancel(request_id_of(single), RITA)
    assert refusal.value.status == "expired"


@pytest.mark.parametrize("shown", ["0" * 64, "", "\u00e9", "another request"])
def test_vote_from_a_form_that_showed_something_else_is_refused(
    requests: RequestService, stores: Stores, pending: Request, shown: str
) -> None:
    digest = pending.replace(justification="Look at the logs of INC-13").facts_digest()
    with pytest.raises(NotAllowed, match="isn't what the form showed"):
        requests.approve(request_id_of(pending), ANN, shown=digest if shown == "another request" else shown)
    assert stores.requests.get(request_id_of(pending)) == pending

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from core.audit import AuditEvent
from core.clock import TICK, new_id
from core.errors import (
    InvalidInput,
    InvalidStateTransition,
    NotAllowed,
    RequestExists,
    RequestNotFound,
    StoreUnavailable,
)
from core.request import Request, RequestId, RequestStatus
from core.services import RequestService
from core.services.attempt import MOST_TRIES
from core.stores import Stores
from tests.builders import DAY, HOUR, PROD, STAGING, a_clock_draft, a_draft, a_request
from tests.core.services.bench import (
    ANN,
    BOB,
    CLEO,
    EVE,
    RITA,
    STRANGER,
    ChangingPolicy,
    Disturbance,
    by,
    noted,
    trail,
)
from tests.engines.clock import A_MOMENT, FrozenClock

WHY = "Deploy the fix for INC-12"


def id_of(request: Request) -> RequestId:
    return RequestId(request.id)


@pytest.fixture
def pending(requests: RequestService) -> Request:
    """RITA's request for prod, which needs two approvals."""
    return requests.submit(RITA, "prod", 2 * HOUR, WHY)


@pytest.fixture
def single(requests: RequestService) -> Request:
    """RITA's request for staging, which needs one approval within two hours."""
    return requests.submit(RITA, "staging", HOUR, WHY)


# submit


def test_submit_stores_a_pending_request_that_bears_what_its_rule_asks_for(
    pending: Request, stores: Stores, policy: ChangingPolicy
) -> None:
    assert stores.requests.get(id_of(pending)) == pending
    assert (pending.requester, pending.profile, pending.duration) == (RITA.id, PROD, 2 * HOUR)
    assert (pending.status, pending.rule, pending.required_approvals) == (RequestStatus.PENDING, "prod", 2)
    assert pending.expires_at == A_MOMENT + DAY
    (entry,) = stores.audit.get_chain(pending.chain)
    assert (entry.event, entry.actor, entry.subject) == (AuditEvent.REQUEST_SUBMITTED, by(RITA), RITA.id)
    assert (entry.profile, entry.outcome) == (PROD, "pending")
    assert entry.details == {
        "policy_digest": policy.policy.digest,
        "rule": "prod",
        "justification": WHY,
        "duration": 7_200_000_000_000,
        "required_approvals": 2,
        "expires_at": "2026-01-16T03:53:45.120000Z",
    }


def test_the_deadline_is_the_rule_s(single: Request) -> None:
    assert single.expires_at == A_MOMENT + 2 * HOUR


def test_submit_approves_at_once_in_the_rule_s_name_where_the_rule_says_so(
    requests: RequestService, stores: Stores, policy: ChangingPolicy
) -> None:
    request = requests.submit(EVE, "staging", HOUR, WHY)
    assert (request.status, request.approver) == (RequestStatus.APPROVED, "policy:staging")
    assert (request.decided_at, request.access_ends_at) == (A_MOMENT, A_MOMENT + HOUR)
    assert trail(stores, request) == [("request_submitted", EVE.id), ("request_approved", "policy:staging")]
    asked, approved = stores.audit.get_chain(request.chain)
    assert (asked.outcome, approved.outcome) == ("pending", "approved")
    assert approved.details == {
        "policy_digest": policy.policy.digest,
        "rule": "staging",
        "access_ends_at": "2026-01-15T04:53:45.120000Z",
    }


def test_what_is_too_long_to_be_approved_by_the_rule_alone_waits_for_people(requests: RequestService) -> None:
    assert requests.submit(EVE, "staging", HOUR + TICK, WHY).status is RequestStatus.PENDING
    assert requests.submit(RITA, "staging", HOUR, WHY).status is RequestStatus.PENDING


@pytest.mark.parametrize(
    ("profile", "duration", "unmet"),
    [
        ("vault", HOUR, "no rule covers vault"),
        ("prod", 4 * HOUR + TICK, "longer than the 4h"),
        ("prod", timedelta(), "no time at all"),
        ("prod", -HOUR, "no time at all"),
    ],
)
def test_what_no_rule_allows_is_refused_and_noted(
    requests: RequestService, stores: Stores, profile: str, duration: timedelta, unmet: str
) -> None:
    with pytest.raises(NotAllowed, match=unmet):
        requests.submit(RITA, profile, duration, WHY)
    assert not list(stores.requests.iterate())
    (entry,) = noted(stores)
    assert (entry.event, entry.outcome, entry.actor) == (AuditEvent.SUBMIT_REFUSED, "refused", by(RITA))
    assert (entry.profile, entry.subject, entry.record) == (profile, RITA.id, None)
    assert unmet in str(entry.details["unmet"])


def test_a_stranger_may_not_ask_for_prod(requests: RequestService, stores: Stores) -> None:
    with pytest.raises(NotAllowed, match="U0STRANGER"):
        requests.submit(STRANGER, "prod", HOUR, WHY)
    assert [entry.actor for entry in noted(stores)] == [by(STRANGER)]


def test_an_unknown_profile_is_bad_input_with_the_nearest_name_and_no_refusal(
    requests: RequestService, stores: Stores
) -> None:
    with pytest.raises(InvalidInput, match="Did you mean prod") as error:
        requests.submit(RITA, "prood", HOUR, WHY)
    assert error.value.field == "profile"
    assert noted(stores) == []


def test_the_same_key_from_the_same_person_gives_the_first_request_again(
    requests: RequestService, stores: Stores, clock: FrozenClock
) -> None:
    first = requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1")
    clock.advance(HOUR)
    assert requests.submit(RITA, "prod", 2 * HOUR, WHY, idempotency_key="view-1") == first
    assert list(stores.requests.iterate()) == [first]
    assert trail(stores, first) == [("request_submitted", RITA.id)]


def test_the_same_key_gives_the_first_request_even_when_the_policy_says_no_by_now(
    requests: RequestService, stores: Stores, policy: ChangingPolicy
) -> None:
    first = requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1")
    policy.edit({"[U0RITA, U0ANN]": "[U0ANN]"})
    assert requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1") == first
    with pytest.raises(NotAllowed):
        requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-2")
    assert len(noted(stores)) == 1


def test_the_same_key_from_another_person_is_another_request(requests: RequestService) -> None:
    assert requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1").requester == RITA.id
    assert requests.submit(ANN, "prod", HOUR, WHY, idempotency_key="view-1").requester == ANN.id


def test_a_key_never_gives_somebody_else_s_request(
    requests: RequestService, stores: Stores, policy: ChangingPolicy
) -> None:
    first = requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1")
    stores.requests.delete(first, a_clock_draft(AuditEvent.RECORD_DELETED))
    taken = a_request(requester=ANN.id, request_id=id_of(first))
    stores.requests.create(taken.replace(audit_length=2, audit_head="ab" * 32), a_draft())
    with pytest.raises(RequestExists):
        requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1")
    policy.edit({"[U0RITA, U0ANN]": "[U0ANN]"})
    with pytest.raises(NotAllowed):
        requests.submit(RITA, "prod", HOUR, WHY, idempotency_key="view-1")


def test_without_a_key_the_same_wish_twice_is_two_requests(requests: RequestService, stores: Stores) -> None:
    requests.submit(RITA, "prod", HOUR, WHY)
    requests.submit(RITA, "prod", HOUR, WHY)
    assert len(list(stores.requests.iterate())) == 2


# bad input


@pytest.mark.parametrize(
    ("field", "use"),
    [
        ("profile", lambda service: service.submit(RITA, "pr od", HOUR, WHY)),
        ("justification", lambda service: service.submit(RITA, "prod", HOUR, "short")),
        ("justification", lambda service: service.submit(RITA, "prod", HOUR, "x" * 501)),
        ("comment", lambda service: service.approve(RequestId(new_id()), ANN, "x" * 501)),
        ("comment", lambda service: service.approve(RequestId(new_id()), ANN, "a\x00b")),
        ("reason", lambda service: service.deny(RequestId(new_id()), ANN, "")),
        ("reason", lambda service: service.deny(RequestId(new_id()), ANN, "no")),
        ("reason", lambda service: service.deny(RequestId(new_id()), ANN, "\u200b" * 9)),
    ],
)
def test_bad_input_is_refused_before_anything_is_read(
    requests: RequestService, stores: Stores, field: str, use: Callable[[RequestService], object]
) -> None:
    stores.close()
    with pytest.raises(InvalidInput) as error:
        use(requests)
    assert error.value.field == field


@pytest.mark.parametrize(
    "use",
    [
        lambda service, request_id: service.approve(request_id, ANN),
        lambda service, request_id: service.deny(request_id, ANN, "not today"),
        lambda service, request_id: service.cancel(request_id, RITA),
    ],
)
def test_a_request_that_is_not_there_is_not_found(
    requests: RequestService, use: Callable[[RequestService, RequestId], object]
) -> None:
    with pytest.raises(RequestNotFound):
        use(requests, RequestId("0123456789abcdef"))
    with pytest.raises(InvalidInput, match="is not an id"):
        use(requests, RequestId("; DROP TABLE requests"))


# approve


def test_votes_are_counted_until_the_last_one_opens_the_window(
    requests: RequestService, stores: Stores, clock: FrozenClock, pending: Request, policy: ChangingPolicy
) -> None:
    first = requests.approve(id_of(pending), ANN, "  looks right ")
    assert (first.status, first.access_ends_at) == (RequestStatus.PENDING, None)
    now = clock.advance(HOUR)
    second = requests.approve(id_of(pending), BOB, "   ")
    assert (second.status, second.approver) == (RequestStatus.APPROVED, by(BOB))
    assert (second.decided_at, second.access_ends_at) == (now, now + 2 * HOUR)
    assert stores.requests.get(id_of(pending)) == second
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


def test_a_second_vote_of_the_same_person_changes_nothing_and_is_not_noted(
    requests: RequestService, stores: Stores, pending: Request
) -> None:
    once = requests.approve(id_of(pending), ANN, "yes")
    assert requests.approve(id_of(pending), ANN, "yes, yes") == once
    approved = requests.approve(id_of(pending), BOB)
    assert requests.approve(id_of(pending), ANN) == requests.approve(id_of(pending), BOB) == approved
    assert len(stores.audit.get_chain(pending.chain)) == 3
    assert noted(stores) == []


def test_nobody_approves_their_own_request_even_as_an_approver(requests: RequestService, stores: Stores) -> None:
    own = requests.submit(ANN, "prod", HOUR, WHY)
    with pytest.raises(NotAllowed, match="nobody decides on their own request"):
        requests.approve(id_of(own), ANN)
    with pytest.raises(NotAllowed, match="nobody decides on their own request"):
        requests.deny(id_of(own), ANN, "never mind")
    assert stores.requests.get(id_of(own)) == own
    assert [(entry.event, entry.record, entry.subject) for entry in noted(stores)] == [
        (AuditEvent.APPROVE_REFUSED, own.chain, ANN.id),
        (AuditEvent.DENY_REFUSED, own.chain, ANN.id),
    ]


def test_who_is_no_approver_is_refused_and_noted_with_the_reasons(
    requests: RequestService, stores: Stores, pending: Request
) -> None:
    with pytest.raises(NotAllowed, match="not among the approvers of rule prod") as refusal:
        requests.approve(id_of(pending), STRANGER)
    assert stores.requests.get(id_of(pending)) == pending
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.subject) == (AuditEvent.APPROVE_REFUSED, by(STRANGER), RITA.id)
    assert (entry.record, entry.profile, entry.outcome) == (pending.chain, PROD, "refused")
    assert entry.details == {"rule": "prod", "unmet": list(refusal.value.reasons)}


def test_a_late_click_learns_who_decided_and_when(
    requests: RequestService, stores: Stores, clock: FrozenClock, single: Request
) -> None:
    requests.approve(id_of(single), ANN)
    clock.advance(HOUR)
    late: list[Callable[[], Request]] = [
        lambda: requests.approve(id_of(single), BOB),
        lambda: requests.deny(id_of(single), BOB, "too late"),
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


def test_a_stranger_s_late_click_learns_what_was_decided_and_not_a_lecture(
    requests: RequestService, single: Request
) -> None:
    requests.approve(id_of(single), ANN)
    with pytest.raises(InvalidStateTransition):
        requests.approve(id_of(single), STRANGER)


def test_approving_after_the_deadline_is_refused_and_the_request_becomes_expired(
    requests: RequestService, stores: Stores, clock: FrozenClock, single: Request
) -> None:
    clock.set(single.expires_at)
    with pytest.raises(InvalidStateTransition) as refusal:
        requests.approve(id_of(single), ANN)
    assert (refusal.value.status, refusal.value.wanted) == ("expired", "approved")
    assert refusal.value.decided_at == single.expires_at
    assert stores.requests.get(id_of(single)).status is RequestStatus.EXPIRED
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_expired", "clock")]
    (entry,) = noted(stores)
    assert (entry.record, entry.profile, entry.subject) == (single.chain, STAGING, RITA.id)


def test_one_tick_before_the_deadline_is_in_time(requests: RequestService, clock: FrozenClock, single: Request) -> None:
    clock.set(single.expires_at - TICK)
    assert requests.approve(id_of(single), ANN).status is RequestStatus.APPROVED


def test_who_may_vote_is_judged_by_the_policy_of_the_moment(
    requests: RequestService, policy: ChangingPolicy, pending: Request, stores: Stores
) -> None:
    requests.approve(id_of(pending), ANN)
    before = policy.policy.digest
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0ANN, U0CLEO]"})
    with pytest.raises(NotAllowed):
        requests.approve(id_of(pending), BOB)
    assert requests.approve(id_of(pending), CLEO).status is RequestStatus.APPROVED, "a vote given stays given"
    _, first, last = stores.audit.get_chain(pending.chain)
    assert (first.details["policy_digest"], last.details["policy_digest"]) == (before, policy.policy.digest)
    assert before != policy.policy.digest


def test_what_a_request_needs_was_fixed_when_it_was_made(
    requests: RequestService, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit({"required_approvals: 2": "required_approvals: 1"})
    assert requests.approve(id_of(pending), ANN).status is RequestStatus.PENDING


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
def test_when_its_rule_is_not_what_it_was_nobody_decides_but_the_requester_can_cancel(
    requests: RequestService, policy: ChangingPolicy, pending: Request, changes: dict[str, str]
) -> None:
    policy.edit(changes)
    with pytest.raises(NotAllowed, match="cancel the request and ask again"):
        requests.approve(id_of(pending), ANN)
    with pytest.raises(NotAllowed, match="cancel the request and ask again"):
        requests.deny(id_of(pending), ANN, "not today")
    assert requests.cancel(id_of(pending), RITA).status is RequestStatus.CANCELLED


# deny and cancel


def test_one_denial_is_final_and_says_why(
    requests: RequestService, stores: Stores, pending: Request, policy: ChangingPolicy
) -> None:
    requests.approve(id_of(pending), ANN)
    denied = requests.deny(id_of(pending), BOB, "  use staging ")
    assert (denied.status, denied.approver, denied.approver_comment) == (RequestStatus.DENIED, by(BOB), "use staging")
    assert requests.deny(id_of(pending), BOB, "another reason") == denied
    late: list[Callable[[], Request]] = [
        lambda: requests.approve(id_of(pending), ANN),
        lambda: requests.approve(id_of(pending), CLEO),
        lambda: requests.deny(id_of(pending), CLEO, "me too"),
        lambda: requests.cancel(id_of(pending), RITA),
    ]
    for click in late:
        with pytest.raises(InvalidStateTransition) as refusal:
            click()
        assert (refusal.value.status, refusal.value.decided_by) == ("denied", BOB.id)
    assert stores.requests.get(id_of(pending)) == denied
    entry = stores.audit.get_chain(pending.chain)[-1]
    assert (entry.event, entry.actor) == (AuditEvent.REQUEST_DENIED, by(BOB))
    assert entry.details == {"policy_digest": policy.policy.digest, "rule": "prod", "reason": "use staging"}


def test_who_is_no_approver_may_not_deny(requests: RequestService, stores: Stores, pending: Request) -> None:
    with pytest.raises(NotAllowed):
        requests.deny(id_of(pending), STRANGER, "because I can")
    assert stores.requests.get(id_of(pending)) == pending
    assert [entry.event for entry in noted(stores)] == [AuditEvent.DENY_REFUSED]


def test_only_the_requester_cancels(requests: RequestService, stores: Stores, pending: Request) -> None:
    with pytest.raises(NotAllowed, match="only the requester"):
        requests.cancel(id_of(pending), ANN)
    cancelled = requests.cancel(id_of(pending), RITA)
    assert (cancelled.status, cancelled.approver) == (RequestStatus.CANCELLED, None)
    assert requests.cancel(id_of(pending), RITA) == cancelled
    assert trail(stores, pending) == [("request_submitted", RITA.id), ("request_cancelled", RITA.id)]
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.record) == (AuditEvent.CANCEL_REFUSED, by(ANN), pending.chain)
    with pytest.raises(InvalidStateTransition) as refusal:
        requests.approve(id_of(pending), ANN)
    assert refusal.value.decided_by == RITA.id


def test_cancelling_after_the_deadline_finds_it_expired(
    requests: RequestService, clock: FrozenClock, single: Request
) -> None:
    clock.set(single.expires_at)
    with pytest.raises(InvalidStateTransition) as refusal:
        requests.cancel(id_of(single), RITA)
    assert refusal.value.status == "expired"


# others are quicker


def test_a_vote_that_another_one_overtook_is_decided_again_on_the_new_record(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    pending: Request,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: requests.approve(id_of(pending), BOB))
    approved = disturbed_requests.approve(id_of(pending), ANN)
    assert (approved.status, approved.approver) == (RequestStatus.APPROVED, by(ANN))
    assert [vote.approver for vote in approved.approvals] == [BOB.id, ANN.id]
    assert len(stores.audit.get_chain(pending.chain)) == 3


def test_two_clicks_of_one_approver_at_once_get_the_same_answer(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: requests.approve(id_of(single), ANN))
    assert disturbed_requests.approve(id_of(single), ANN) == stores.requests.get(id_of(single))
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_approved", ANN.id)]
    assert noted(stores) == []


@pytest.mark.parametrize(
    "quicker",
    [
        lambda service, request_id: service.approve(request_id, BOB),
        lambda service, request_id: service.deny(request_id, BOB, "not today"),
    ],
)
def test_whoever_is_overtaken_by_a_decision_learns_of_it_and_that_is_noted(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    stores: Stores,
    quicker: Callable[[RequestService, RequestId], Request],
) -> None:
    disturbance.steps.append(lambda: quicker(requests, id_of(single)))
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_requests.deny(id_of(single), ANN, "rather not")
    assert (refusal.value.decided_by, refusal.value.wanted) == (BOB.id, "denied")
    (entry,) = noted(stores)
    assert (entry.record, entry.details["decided_by"]) == (single.chain, BOB.id)


def test_a_late_click_that_a_sweep_overtakes_is_refused_for_what_it_wanted(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    stores: Stores,
    clock: FrozenClock,
) -> None:
    clock.set(single.expires_at)
    disturbance.steps.append(requests.expire_due)
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_requests.approve(id_of(single), ANN)
    assert (refusal.value.status, refusal.value.wanted) == ("expired", "approved")
    (entry,) = noted(stores)
    assert (entry.record, entry.subject, entry.details["wanted"]) == (single.chain, RITA.id, "approved")
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_expired", "clock")]


def test_a_late_click_of_a_slow_clock_that_an_approval_overtakes_learns_of_the_approval(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    clock: FrozenClock,
) -> None:
    def approve_in_time() -> None:
        clock.set(A_MOMENT)
        requests.approve(id_of(single), BOB)

    clock.set(single.expires_at)
    disturbance.steps.append(approve_in_time)
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_requests.deny(id_of(single), ANN, "rather not")
    assert (refusal.value.status, refusal.value.decided_by) == ("approved", BOB.id)


def test_a_request_that_cannot_be_ended_does_not_keep_the_sweep_from_the_others(
    requests: RequestService, clock: FrozenClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = [requests.submit(RITA, "prod", HOUR, "Deploy the fix for INC-12") for _ in range(3)]
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
        connection.execute(
            "INSERT INTO audit (chain, seq, id, at, body) SELECT chain, 2, id, at, body FROM audit WHERE chain = ?",
            (made[1].chain,),
        )
    clock.advance(2 * DAY)
    assert {request.id for request in requests.expire_due()} == {made[0].id, made[2].id}
    assert made[1].chain in caplog.text


def test_conflicts_are_retried_a_bounded_number_of_times(
    disturbed_requests: RequestService, disturbance: Disturbance, single: Request, stores: Stores
) -> None:
    disturbance.conflicts(MOST_TRIES)
    with pytest.raises(StoreUnavailable, match=f"changed {MOST_TRIES} times") as error:
        disturbed_requests.approve(id_of(single), ANN)
    assert not error.value.is_outcome_unknown
    assert disturbance.writes == MOST_TRIES
    assert stores.requests.get(id_of(single)) == single
    disturbance.conflicts(MOST_TRIES - 1)
    assert disturbed_requests.approve(id_of(single), ANN).status is RequestStatus.APPROVED


# expire_due and find_access


def test_expire_due_expires_each_overdue_request_once(
    requests: RequestService, stores: Stores, clock: FrozenClock, single: Request, pending: Request
) -> None:
    clock.set(single.expires_at - TICK)
    assert requests.expire_due() == ()
    clock.set(single.expires_at)
    (expired,) = requests.expire_due()
    assert (expired.id, expired.status) == (single.id, RequestStatus.EXPIRED)
    assert requests.expire_due() == ()
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_expired", "clock")]
    assert stores.requests.get(id_of(pending)) == pending


def test_expire_due_reaches_beyond_the_first_page_and_rests_between_pages(
    requests: RequestService, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.requests.PER_PAGE", 2)
    made = {requests.submit(RITA, "staging", HOUR, WHY).id for _ in range(5)}
    clock.advance(DAY)
    rests: list[int] = []
    assert {request.id for request in requests.expire_due(lambda: rests.append(1))} == made
    assert len(rests) == 2


def test_expire_due_passes_over_what_others_ended_and_goes_on(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    clock: FrozenClock,
    stores: Stores,
) -> None:
    for _ in range(3):
        requests.submit(RITA, "staging", HOUR, WHY)
    clock.advance(DAY)
    disturbance.steps.append(requests.expire_due)
    assert disturbed_requests.expire_due() == ()
    disturbance.conflicts(1)
    late = requests.submit(RITA, "staging", HOUR, WHY)
    clock.advance(DAY)
    assert disturbed_requests.expire_due() == ()
    assert [request.id for request in disturbed_requests.expire_due()] == [late.id]
    assert noted(stores) == []


def test_find_access_tells_the_longest_window_that_is_open_now(requests: RequestService, clock: FrozenClock) -> None:
    requests.submit(EVE, "staging", HOUR / 2, WHY)
    longest = requests.submit(EVE, "staging", HOUR, WHY)
    requests.submit(EVE, "staging", HOUR / 4, WHY)
    assert requests.find_access(EVE.id, STAGING) == longest
    assert requests.find_access(EVE.id, PROD) is None
    assert requests.find_access(RITA.id, STAGING) is None
    clock.advance(HOUR - TICK)
    assert requests.find_access(EVE.id, STAGING) == longest
    clock.advance(TICK)
    assert requests.find_access(EVE.id, STAGING) is None


def test_a_request_that_is_pending_denied_or_cancelled_gives_no_access(requests: RequestService) -> None:
    denied = requests.submit(RITA, "staging", HOUR, WHY)
    requests.deny(id_of(denied), ANN, "not today")
    cancelled = requests.submit(RITA, "staging", HOUR, WHY)
    requests.cancel(id_of(cancelled), RITA)
    requests.submit(RITA, "staging", HOUR, WHY)
    assert requests.find_access(RITA.id, STAGING) is None

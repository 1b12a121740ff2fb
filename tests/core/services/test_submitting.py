from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.audit.trail import AuditAction
from core.clock import TICK, new_id
from core.errors import (
    InvalidInput,
    NotAllowed,
    RequestExists,
    RequestNotFound,
)
from core.request import Request, RequestId, RequestStatus
from core.services import RequestService
from core.stores import Stores
from tests.builders import DAY, HOUR, PROD, a_clock_draft, a_draft, a_request
from tests.core.services.harness import (
    ANN,
    DEPLOY,
    EVE,
    RITA,
    STRANGER,
    ChangingPolicy,
    by,
    noted,
    request_id_of,
    trail,
)
from tests.harness.clock import A_MOMENT, FrozenClock


def test_submit_stores_a_pending_request_by_its_rule(pending: Request, stores: Stores, policy: ChangingPolicy) -> None:
    assert stores.requests.get(request_id_of(pending)) == pending
    assert (pending.requester, pending.profile, pending.duration) == (RITA.id, PROD, 2 * HOUR)
    assert (pending.status, pending.rule, pending.required_approvals) == (RequestStatus.PENDING, "prod", 2)
    assert pending.expires_at == A_MOMENT + DAY
    (entry,) = stores.audit.get_chain(pending.chain)
    assert (entry.event, entry.actor, entry.subject) == (AuditAction.REQUEST_SUBMITTED, by(RITA), RITA.id)
    assert (entry.profile, entry.outcome) == (PROD, "pending")
    assert entry.details == {
        "policy_digest": policy.policy.digest,
        "rule": "prod",
        "justification": DEPLOY,
        "duration": 7_200_000_000_000,
        "required_approvals": 2,
        "expires_at": "2026-01-16T03:53:45.120000Z",
    }


def test_deadline_is_the_rule_s(single: Request) -> None:
    assert single.expires_at == A_MOMENT + 2 * HOUR


def test_submit_approves_at_once_by_the_rule_that_says_so(
    requests: RequestService, stores: Stores, policy: ChangingPolicy
) -> None:
    request = requests.submit(EVE, "staging", HOUR, DEPLOY)
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


def test_request_too_long_for_automatic_approval_is_pending(requests: RequestService) -> None:
    assert requests.submit(EVE, "staging", HOUR + TICK, DEPLOY).status is RequestStatus.PENDING
    assert requests.submit(RITA, "staging", HOUR, DEPLOY).status is RequestStatus.PENDING


@pytest.mark.parametrize(
    ("profile", "duration", "unmet"),
    [
        ("vault", HOUR, "no rule lets U0RITA request vault"),
        ("prod", 4 * HOUR + TICK, "longer than the 4h"),
        ("prod", timedelta(), "no time at all"),
        ("prod", -HOUR, "no time at all"),
    ],
)
def test_request_that_no_rule_allows_is_refused_and_noted(
    requests: RequestService, stores: Stores, profile: str, duration: timedelta, unmet: str
) -> None:
    with pytest.raises(NotAllowed, match=unmet):
        requests.submit(RITA, profile, duration, DEPLOY)
    assert not list(stores.requests.iterate())
    (entry,) = noted(stores)
    assert (entry.event, entry.outcome, entry.actor) == (AuditAction.SUBMIT_REFUSED, "refused", by(RITA))
    assert (entry.profile, entry.subject, entry.record) == (profile, RITA.id, None)
    assert unmet in str(entry.details["unmet"])


def test_stranger_may_not_ask_for_prod(requests: RequestService, stores: Stores) -> None:
    with pytest.raises(NotAllowed, match="U0STRANGER"):
        requests.submit(STRANGER, "prod", HOUR, DEPLOY)
    assert [entry.actor for entry in noted(stores)] == [by(STRANGER)]


def test_unknown_profile_is_bad_input_with_the_nearest_name(requests: RequestService, stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="Did you mean prod") as error:
        requests.submit(RITA, "prood", HOUR, DEPLOY)
    assert error.value.field == "profile"
    assert noted(stores) == []


def test_same_key_of_the_same_person_gives_the_first_request(
    requests: RequestService, stores: Stores, clock: FrozenClock
) -> None:
    first = requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1")
    clock.advance(HOUR)
    assert requests.submit(RITA, "prod", 2 * HOUR, DEPLOY, idempotency_key="view-1") == first
    assert list(stores.requests.iterate()) == [first]
    assert trail(stores, first) == [("request_submitted", RITA.id)]


def test_same_key_gives_the_first_request_after_a_policy_change(
    requests: RequestService, stores: Stores, policy: ChangingPolicy
) -> None:
    first = requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1")
    policy.edit({"[U0RITA, U0ANN]": "[U0ANN]"})
    assert requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1") == first
    with pytest.raises(NotAllowed):
        requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-2")
    assert len(noted(stores)) == 1


def test_same_key_from_another_person_is_another_request(requests: RequestService) -> None:
    assert requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1").requester == RITA.id
    assert requests.submit(ANN, "prod", HOUR, DEPLOY, idempotency_key="view-1").requester == ANN.id


def test_key_never_gives_somebody_else_s_request(
    requests: RequestService, stores: Stores, policy: ChangingPolicy
) -> None:
    first = requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1")
    stores.requests.delete(first, a_clock_draft(AuditAction.RECORD_DELETED))
    taken = a_request(requester=ANN.id, request_id=request_id_of(first))
    stores.requests.create(taken.replace(audit_length=2, audit_head="ab" * 32), a_draft())
    with pytest.raises(RequestExists):
        requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1")
    policy.edit({"[U0RITA, U0ANN]": "[U0ANN]"})
    with pytest.raises(NotAllowed):
        requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="view-1")


@pytest.mark.parametrize(
    ("field", "use"),
    [
        ("profile", lambda service: service.submit(RITA, "pr od", HOUR, DEPLOY)),
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
def test_request_that_is_not_there_is_not_found(
    requests: RequestService, use: Callable[[RequestService, RequestId], object]
) -> None:
    with pytest.raises(RequestNotFound):
        use(requests, RequestId("0123456789abcdef"))
    with pytest.raises(InvalidInput, match="is not an id"):
        use(requests, RequestId("; DROP TABLE requests"))

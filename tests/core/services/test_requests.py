from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.clock import TICK
from core.errors import (
    InvalidStateTransition,
    StoreUnavailable,
)
from core.request import Request, RequestId, RequestStatus
from core.services import RequestService
from core.stores import Stores
from tests.builders import DAY, HOUR, PROD, STAGING
from tests.core.services.harness import (
    ANN,
    BOB,
    DEPLOY,
    ENDLESS,
    EVE,
    MIN_TRIES,
    RITA,
    Disturbance,
    by,
    noted,
    people,
    request_id_of,
    trail,
)
from tests.harness.clock import A_MOMENT, FrozenClock


def test_overtaken_vote_is_decided_again_on_the_new_record(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    pending: Request,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: requests.approve(request_id_of(pending), BOB))
    approved = disturbed_requests.approve(request_id_of(pending), ANN)
    assert (approved.status, approved.approver) == (RequestStatus.APPROVED, by(ANN))
    assert [vote.approver for vote in approved.approvals] == [BOB.id, ANN.id]
    assert len(stores.audit.get_chain(pending.chain)) == 3


def test_two_votes_of_one_approver_at_once_get_the_same_answer(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: requests.approve(request_id_of(single), ANN))
    assert disturbed_requests.approve(request_id_of(single), ANN) == stores.requests.get(request_id_of(single))
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_approved", ANN.id)]
    assert noted(stores) == []


@pytest.mark.parametrize(
    "quicker",
    [
        lambda service, request_id: service.approve(request_id, BOB),
        lambda service, request_id: service.deny(request_id, BOB, "not today"),
    ],
)
def test_person_overtaken_by_a_decision_learns_of_it(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    stores: Stores,
    quicker: Callable[[RequestService, RequestId], Request],
) -> None:
    disturbance.steps.append(lambda: quicker(requests, request_id_of(single)))
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_requests.deny(request_id_of(single), ANN, "rather not")
    assert (refusal.value.decided_by, refusal.value.wanted) == (BOB.id, "denied")
    (entry,) = noted(stores)
    assert (entry.record, entry.details["decided_by"]) == (single.chain, BOB.id)


def test_late_action_overtaken_by_a_sweep_is_refused_as_itself(
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
        disturbed_requests.approve(request_id_of(single), ANN)
    assert (refusal.value.status, refusal.value.wanted) == ("expired", "approved")
    (entry,) = noted(stores)
    assert (entry.record, entry.subject, entry.details["wanted"]) == (single.chain, RITA.id, "approved")
    assert trail(stores, single) == [("request_submitted", RITA.id), ("request_expired", "clock")]


def test_late_action_overtaken_by_an_approval_learns_of_it(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    single: Request,
    clock: FrozenClock,
) -> None:
    def approve_in_time() -> None:
        clock.set(A_MOMENT)
        requests.approve(request_id_of(single), BOB)

    clock.set(single.expires_at)
    disturbance.steps.append(approve_in_time)
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_requests.deny(request_id_of(single), ANN, "rather not")
    assert (refusal.value.status, refusal.value.decided_by) == ("approved", BOB.id)


def test_request_that_cannot_expire_does_not_stop_the_sweep(
    requests: RequestService, clock: FrozenClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = [requests.submit(each, "staging", HOUR, DEPLOY) for each in people(3)]
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
        connection.execute(
            "INSERT INTO audit (chain, seq, id, at, body) SELECT chain, 2, id, at, body FROM audit WHERE chain = ?",
            (made[1].chain,),
        )
    clock.advance(2 * DAY)
    assert {request.id for request in requests.expire_due()} == {made[0].id, made[2].id}
    assert made[1].chain in caplog.text


def test_conflicts_are_retried_until_a_deadline(
    disturbed_requests: RequestService, disturbance: Disturbance, single: Request, stores: Stores
) -> None:
    disturbance.conflicts(ENDLESS)
    with pytest.raises(StoreUnavailable, match=r"changed \d+ times") as error:
        disturbed_requests.approve(request_id_of(single), ANN)
    assert not error.value.is_outcome_unknown
    assert MIN_TRIES < disturbance.writes < ENDLESS
    assert stores.requests.get(request_id_of(single)) == single
    disturbance.steps.clear()
    disturbance.conflicts(MIN_TRIES)
    assert disturbed_requests.approve(request_id_of(single), ANN).status is RequestStatus.APPROVED


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
    assert stores.requests.get(request_id_of(pending)) == pending


def test_expire_due_reads_every_page_and_rests_between(
    requests: RequestService, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.waiting.PER_PAGE", 2)
    made = {requests.submit(each, "staging", HOUR, DEPLOY).id for each in people(5)}
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
    for each in people(3):
        requests.submit(each, "staging", HOUR, DEPLOY)
    clock.advance(DAY)
    disturbance.steps.append(requests.expire_due)
    assert disturbed_requests.expire_due() == ()
    disturbance.conflicts(1)
    late = requests.submit(RITA, "staging", HOUR, DEPLOY)
    clock.advance(DAY)
    assert disturbed_requests.expire_due() == ()
    assert [request.id for request in disturbed_requests.expire_due()] == [late.id]
    assert noted(stores) == []


def test_find_access_gives_the_longest_window_open_now(requests: RequestService, clock: FrozenClock) -> None:
    requests.submit(EVE, "staging", HOUR / 2, DEPLOY)
    longest = requests.submit(EVE, "staging", HOUR, DEPLOY)
    requests.submit(EVE, "staging", HOUR / 4, DEPLOY)
    assert requests.find_access(EVE.id, STAGING) == longest
    assert requests.find_access(EVE.id, PROD) is None
    assert requests.find_access(RITA.id, STAGING) is None
    clock.advance(HOUR - TICK)
    assert requests.find_access(EVE.id, STAGING) == longest
    clock.advance(TICK)
    assert requests.find_access(EVE.id, STAGING) is None


def test_request_that_is_not_approved_gives_no_access(requests: RequestService) -> None:
    denied = requests.submit(RITA, "staging", HOUR, DEPLOY)
    requests.deny(request_id_of(denied), ANN, "not today")
    cancelled = requests.submit(RITA, "staging", HOUR, DEPLOY)
    requests.cancel(request_id_of(cancelled), RITA)
    requests.submit(RITA, "staging", HOUR, DEPLOY)
    assert requests.find_access(RITA.id, STAGING) is None

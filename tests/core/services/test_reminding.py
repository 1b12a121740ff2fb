"""Reminders: of each request that waits too long, once, by the policy of the moment."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from core.clock import TICK
from core.duration import to_nanoseconds
from core.errors import StoreUnavailable
from core.request import RequestId, RequestStatus
from tests.builders import HOUR
from tests.core.services.harness import ANN, BOB, ENDLESS, EVERYBODY_ASKS, RITA, people, trail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.request import Request
    from core.services import RequestService
    from core.stores import Stores
    from tests.core.services.harness import ENDLESS, ChangingPolicy, Disturbance
    from tests.harness.clock import FrozenClock

WHY: Final = "Deploy the fix for INC-12"
REMIND_AFTER: Final = 3 * HOUR
SUBMITTED: Final = ("request_submitted", RITA.id)
REMINDED: Final = ("request_reminded", "clock")


@pytest.fixture
def pending(requests: RequestService) -> Request:
    """A request under a rule that reminds after three hours."""
    return requests.submit(RITA, "prod", HOUR, WHY)


def id_of(request: Request) -> RequestId:
    return RequestId(request.id)


def test_request_is_reminded_of_at_its_rules_exact_time_and_once(
    requests: RequestService, stores: Stores, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(REMIND_AFTER - TICK)
    assert requests.remind_due() == ()
    clock.advance(TICK)
    (reminded,) = requests.remind_due()
    assert (reminded.id, reminded.status, reminded.reminded_at) == (pending.id, RequestStatus.PENDING, clock.now())
    assert stores.requests.get(id_of(pending)) == reminded
    clock.advance(REMIND_AFTER)
    assert requests.remind_due() == ()
    assert trail(stores, pending) == [SUBMITTED, REMINDED]


def test_reminder_names_rule_and_time_in_trail_and_outbox(
    requests: RequestService, stores: Stores, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(REMIND_AFTER)
    requests.remind_due()
    entry = stores.audit.get_chain(pending.chain)[-1]
    assert entry.details == {"rule": "prod", "remind_after": to_nanoseconds(REMIND_AFTER)}
    assert (entry.outcome, entry.subject, entry.profile) == ("pending", RITA.id, "prod")
    assert entry in [due.entry for due in stores.outbox.iterate_due(clock.now())]


def test_rule_without_the_key_reminds_nobody(requests: RequestService, clock: FrozenClock) -> None:
    requests.submit(RITA, "staging", HOUR, WHY)
    clock.advance(2 * HOUR - TICK)
    assert requests.remind_due() == ()


@pytest.mark.parametrize("end", ["approve", "deny", "cancel", "expire"])
def test_ended_request_is_not_reminded_of(
    requests: RequestService, clock: FrozenClock, pending: Request, end: str
) -> None:
    acts: dict[str, Callable[[], object]] = {
        "approve": lambda: [requests.approve(id_of(pending), each) for each in (ANN, BOB)],
        "deny": lambda: requests.deny(id_of(pending), ANN, "not today"),
        "cancel": lambda: requests.cancel(id_of(pending), RITA),
        "expire": lambda: clock.set(pending.expires_at),
    }
    acts[end]()
    clock.advance(REMIND_AFTER)
    assert requests.remind_due() == ()


def test_request_with_votes_is_reminded_of_and_still_decidable(
    requests: RequestService, clock: FrozenClock, pending: Request
) -> None:
    requests.approve(id_of(pending), ANN)
    clock.advance(REMIND_AFTER)
    (reminded,) = requests.remind_due()
    approved = requests.approve(id_of(pending), BOB)
    assert (approved.status, approved.reminded_at) == (RequestStatus.APPROVED, reminded.reminded_at)


def test_current_policy_says_when(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(HOUR)
    assert requests.remind_due() == ()
    policy.edit({"remind_after: 3h": "remind_after: 1h"})
    assert [each.id for each in requests.remind_due()] == [pending.id]


@pytest.mark.parametrize(
    "change",
    [{"- name: prod": "- name: production"}, {"profiles: [prod]\n    req": "profiles: [vault]\n    req"}],
)
def test_undecidable_request_is_not_reminded_of(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock, pending: Request, change: dict[str, str]
) -> None:
    # A rule for the profile has to stay, or nobody could review its events.
    policy.edit({**change, "- name: vault\n    profiles: [vault]": "- name: vault\n    profiles: [vault, prod]"})
    clock.advance(REMIND_AFTER)
    assert pending.status is RequestStatus.PENDING
    assert requests.remind_due() == ()


def test_vote_in_between_does_not_lose_the_reminder(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    stores: Stores,
    clock: FrozenClock,
    pending: Request,
) -> None:
    clock.advance(REMIND_AFTER)
    disturbance.steps.append(lambda: requests.approve(id_of(pending), ANN))
    (reminded,) = disturbed_requests.remind_due()
    assert reminded.has_approval_by(ANN.id)
    assert trail(stores, pending) == [SUBMITTED, ("approval_added", ANN.id), REMINDED]


def test_another_instance_in_between_leaves_one_reminder(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    stores: Stores,
    clock: FrozenClock,
    pending: Request,
) -> None:
    clock.advance(REMIND_AFTER)
    disturbance.steps.append(requests.remind_due)
    assert disturbed_requests.remind_due() == ()
    assert trail(stores, pending) == [SUBMITTED, REMINDED]


def test_decision_in_between_leaves_no_reminder(
    requests: RequestService,
    disturbed_requests: RequestService,
    disturbance: Disturbance,
    stores: Stores,
    clock: FrozenClock,
    pending: Request,
) -> None:
    clock.advance(REMIND_AFTER)
    disturbance.steps.append(lambda: requests.deny(id_of(pending), ANN, "not today"))
    assert disturbed_requests.remind_due() == ()
    assert trail(stores, pending) == [SUBMITTED, ("request_denied", ANN.id)]


def test_conflicts_are_tried_again_until_a_deadline(
    disturbed_requests: RequestService, disturbance: Disturbance, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(REMIND_AFTER)
    disturbance.conflicts(ENDLESS)
    with pytest.raises(StoreUnavailable, match=r"changed \d+ times"):
        disturbed_requests.remind_due()
    disturbance.steps.clear()
    assert [each.id for each in disturbed_requests.remind_due()] == [pending.id]


def test_request_that_cannot_be_changed_blocks_no_other_reminder(
    requests: RequestService,
    clock: FrozenClock,
    policy: ChangingPolicy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy.edit(EVERYBODY_ASKS)
    made = [requests.submit(each, "prod", HOUR, WHY) for each in people(3)]
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
        connection.execute(
            "INSERT INTO audit (chain, seq, id, at, body) SELECT chain, 2, id, at, body FROM audit WHERE chain = ?",
            (made[1].chain,),
        )
    clock.advance(REMIND_AFTER)
    assert {each.id for each in requests.remind_due()} == {made[0].id, made[2].id}
    assert made[1].chain in caplog.text

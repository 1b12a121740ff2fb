from __future__ import annotations

from collections.abc import Callable

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.clock import TICK
from core.errors import (
    InvalidStateTransition,
    NotAllowed,
    StoreUnavailable,
)
from core.services import BreakGlassService
from core.stores import Stores
from tests.builders import DAY, HOUR, PROD, STAGING
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    ENDLESS,
    MIN_TRIES,
    STRANGER,
    ChangingPolicy,
    Disturbance,
    event_id_of,
    invoke,
    noted,
    trail,
)
from tests.harness.clock import A_MOMENT, FrozenClock


@pytest.mark.parametrize("closer", [ANN, BOB], ids=["its invoker", "an approver"])
def test_its_invoker_and_an_approver_may_close(
    break_glass: BreakGlassService,
    stores: Stores,
    clock: FrozenClock,
    live: BreakGlassEvent,
    closer: Actor,
) -> None:
    now = clock.advance(HOUR / 2)
    closed = break_glass.close(event_id_of(live), closer, "  it is up again ")
    assert (closed.status, closed.closed_by, closed.closed_at) == (EventStatus.CLOSED, closer.id, now)
    assert closed.closed_reason == "it is up again"
    assert break_glass.find_access(ANN.id, PROD) is None
    assert break_glass.close(event_id_of(live), closer, "I said so already") == closed
    assert trail(stores, live) == [("break_glass_invoked", ANN.id), ("break_glass_closed", closer.id)]
    entry = stores.audit.get_chain(live.chain)[-1]
    assert (entry.details["reason"], entry.outcome, entry.subject) == ("it is up again", "closed", ANN.id)
    assert noted(stores) == []


def test_stranger_may_not_close(break_glass: BreakGlassService, stores: Stores, live: BreakGlassEvent) -> None:
    with pytest.raises(NotAllowed, match="not among the approvers"):
        break_glass.close(event_id_of(live), STRANGER, "because I can")
    assert stores.break_glass.get(event_id_of(live)) == live
    (entry,) = noted(stores)
    assert (entry.event, entry.record, entry.subject) == (AuditAction.CLOSE_REFUSED, live.chain, ANN.id)
    assert entry.profile == PROD


def test_its_invoker_may_close_even_when_the_policy_forgot_them(
    break_glass: BreakGlassService, policy: ChangingPolicy, live: BreakGlassEvent
) -> None:
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0BOB, U0CLEO]"})
    assert break_glass.close(event_id_of(live), ANN, "it is up again").status is EventStatus.CLOSED


def test_second_close_by_another_learns_who_closed(break_glass: BreakGlassService, live: BreakGlassEvent) -> None:
    break_glass.close(event_id_of(live), BOB, "enough of it")
    for late in (ANN, STRANGER):
        with pytest.raises(InvalidStateTransition) as refusal:
            break_glass.close(event_id_of(live), late, "it is up again")
        assert (refusal.value.status, refusal.value.decided_by) == ("closed", BOB.id)
        assert refusal.value.decided_at == A_MOMENT


def test_close_after_the_end_is_refused_and_the_event_expires(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    with pytest.raises(InvalidStateTransition) as refusal:
        break_glass.close(event_id_of(live), ANN, "it is up again")
    assert (refusal.value.status, refusal.value.wanted) == ("expired", "closed")
    assert refusal.value.decided_at == live.expires_at
    assert stores.break_glass.get(event_id_of(live)).status is EventStatus.EXPIRED
    assert trail(stores, live)[-1] == ("break_glass_expired", "clock")
    assert [entry.record for entry in noted(stores)] == [live.chain]


def test_two_closes_of_one_person_at_once_get_the_same_answer(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: break_glass.close(event_id_of(live), ANN, "it is up again"))
    closed = disturbed_break_glass.close(event_id_of(live), ANN, "it is up again, I think")
    assert closed == stores.break_glass.get(event_id_of(live))
    assert closed.closed_reason == "it is up again"
    assert noted(stores) == []


def test_close_meets_no_conflict_on_a_ledger(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
) -> None:
    disturbance.steps.append(lambda: invoke(break_glass, profile="staging"))
    disturbed_break_glass.close(event_id_of(live), ANN, "it is up again")
    assert disturbance.writes == 1
    assert break_glass.find_access(ANN.id, PROD) is None
    assert break_glass.find_access(ANN.id, STAGING) is not None


@pytest.mark.parametrize(
    "use",
    [
        lambda service, _: invoke(service, BOB),
        lambda service, event_id: service.close(event_id, BOB, "enough of it"),
    ],
)
def test_conflicts_are_retried_until_a_deadline(
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    use: Callable[[BreakGlassService, EventId], BreakGlassEvent],
) -> None:
    disturbance.conflicts(ENDLESS)
    with pytest.raises(StoreUnavailable):
        use(disturbed_break_glass, event_id_of(live))
    assert MIN_TRIES < disturbance.writes < ENDLESS
    disturbance.steps.clear()
    disturbance.conflicts(MIN_TRIES)
    assert use(disturbed_break_glass, event_id_of(live)).updated_at >= A_MOMENT


def test_expire_due_expires_each_overdue_event_once(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    longer = invoke(break_glass, BOB, duration=2 * HOUR)
    clock.set(live.expires_at - TICK)
    assert break_glass.expire_due() == ()
    clock.advance(TICK)
    (expired,) = break_glass.expire_due()
    assert (expired.id, expired.status) == (live.id, EventStatus.EXPIRED)
    assert break_glass.expire_due() == ()
    assert trail(stores, live) == [("break_glass_invoked", ANN.id), ("break_glass_expired", "clock")]
    assert stores.break_glass.get(event_id_of(longer)) == longer


def test_expire_due_skips_what_others_ended_on_every_page(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.services.break_glass.PER_PAGE", 1)
    made = {invoke(break_glass, who).id for who in (ANN, BOB, CLEO)}
    clock.advance(DAY)
    disturbance.conflicts(1)
    expired = {event.id for event in disturbed_break_glass.expire_due()}
    assert len(expired) == 2
    assert expired | {event.id for event in break_glass.expire_due()} == made


def test_find_access_is_of_one_person_and_profile_until_the_end(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    assert break_glass.find_access(BOB.id, PROD) is None
    assert break_glass.find_access(ANN.id, STAGING) is None
    clock.set(live.expires_at - TICK)
    assert break_glass.find_access(ANN.id, PROD) is not None
    clock.advance(TICK)
    assert break_glass.find_access(ANN.id, PROD) is None

from __future__ import annotations

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventStatus
from core.errors import (
    InvalidStateTransition,
    NotAllowed,
)
from core.review import Verdict
from core.services import BreakGlassService
from core.stores import Stores
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    NOTES,
    RITA,
    ChangingPolicy,
    Disturbance,
    by,
    event_id_of,
    noted,
    trail,
)
from tests.harness.clock import A_MOMENT, FrozenClock


@pytest.fixture
def ended(break_glass: BreakGlassService, live: BreakGlassEvent) -> BreakGlassEvent:
    """ANN's event for prod, closed by her."""
    return break_glass.close(event_id_of(live), ANN, "it is up again")


def test_approver_answers_for_an_ended_event_once(
    break_glass: BreakGlassService, stores: Stores, ended: BreakGlassEvent, policy: ChangingPolicy
) -> None:
    link = "https://example.com/INC-12"
    reviewed = break_glass.review(event_id_of(ended), BOB, Verdict.PARTLY_JUSTIFIED, f" {NOTES} ", f" {link} ")
    assert reviewed.review is not None
    assert (reviewed.review.reviewer, reviewed.review.at) == (BOB.id, A_MOMENT)
    assert (reviewed.review.verdict, reviewed.review.notes) == (Verdict.PARTLY_JUSTIFIED, NOTES)
    assert reviewed.review.follow_up == link
    assert break_glass.review(event_id_of(ended), BOB, Verdict.JUSTIFIED, NOTES + "!") == reviewed
    with pytest.raises(InvalidStateTransition) as refusal:
        break_glass.review(event_id_of(ended), CLEO, Verdict.JUSTIFIED, NOTES)
    assert (refusal.value.status, refusal.value.decided_by) == ("reviewed", BOB.id)
    entry = stores.audit.get_chain(ended.chain)[-1]
    assert (entry.event, entry.actor) == (AuditAction.BREAK_GLASS_REVIEWED, by(BOB))
    assert entry.details == {
        "policy_digest": policy.policy.digest,
        "rule": "prod",
        "verdict": "partly_justified",
        "notes": NOTES,
        "follow_up": link,
    }
    assert [entry.event for entry in noted(stores)] == [AuditAction.REVIEW_REFUSED]


def test_blank_link_is_no_link(break_glass: BreakGlassService, ended: BreakGlassEvent, stores: Stores) -> None:
    reviewed = break_glass.review(event_id_of(ended), BOB, Verdict.JUSTIFIED, NOTES, "  ")
    assert reviewed.review is not None
    assert reviewed.review.follow_up is None
    assert "follow_up" not in stores.audit.get_chain(ended.chain)[-1].details


@pytest.mark.parametrize(
    ("reviewer", "why"), [(ANN, "nobody reviews their own event"), (RITA, "not among the approvers")]
)
def test_neither_the_invoker_nor_a_stranger_may_review(
    break_glass: BreakGlassService,
    stores: Stores,
    ended: BreakGlassEvent,
    reviewer: Actor,
    why: str,
) -> None:
    with pytest.raises(NotAllowed, match=why):
        break_glass.review(event_id_of(ended), reviewer, Verdict.JUSTIFIED, NOTES)
    assert stores.break_glass.get(event_id_of(ended)) == ended
    (entry,) = noted(stores)
    assert (entry.event, entry.record, entry.subject) == (AuditAction.REVIEW_REFUSED, ended.chain, ANN.id)


def test_live_event_cannot_be_reviewed_yet(
    break_glass: BreakGlassService, stores: Stores, live: BreakGlassEvent
) -> None:
    with pytest.raises(InvalidStateTransition, match="it has not ended"):
        break_glass.review(event_id_of(live), BOB, Verdict.JUSTIFIED, NOTES)
    assert stores.break_glass.get(event_id_of(live)) == live


def test_overdue_event_is_expired_and_reviewed_in_one_go(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    reviewed = break_glass.review(event_id_of(live), BOB, Verdict.JUSTIFIED, NOTES)
    assert reviewed.status is EventStatus.EXPIRED
    assert [event for event, _ in trail(stores, live)] == [
        "break_glass_invoked",
        "break_glass_expired",
        "break_glass_reviewed",
    ]


def test_two_reviewers_at_once_make_one_review_and_learn_whose(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    ended: BreakGlassEvent,
) -> None:
    disturbance.steps.append(lambda: break_glass.review(event_id_of(ended), BOB, Verdict.JUSTIFIED, NOTES))
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_break_glass.review(event_id_of(ended), CLEO, Verdict.NOT_JUSTIFIED, NOTES)
    assert refusal.value.decided_by == BOB.id


def test_review_that_a_sweep_overtakes_is_made_all_the_same(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    clock: FrozenClock,
) -> None:
    clock.set(live.expires_at)
    disturbance.steps.append(break_glass.expire_due)
    assert disturbed_break_glass.review(event_id_of(live), BOB, Verdict.JUSTIFIED, NOTES).review is not None

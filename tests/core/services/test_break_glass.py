from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.actor import Actor
from core.audit import AuditEvent
from core.break_glass import BreakGlassEvent, EventId, EventStatus, ReasonCode
from core.clock import TICK, new_id
from core.errors import (
    EventExists,
    EventNotFound,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    StoreUnavailable,
)
from core.review import Verdict
from core.services import BreakGlassService
from core.services.attempt import MOST_TRIES
from core.stores import Stores
from core.usage import UsageLedger
from tests.builders import DAY, HOUR, PROD, STAGING, a_clock_draft, a_draft, an_event
from tests.core.services.bench import (
    ANN,
    BOB,
    CLEO,
    RITA,
    STRANGER,
    ChangingPolicy,
    Disturbance,
    by,
    noted,
    trail,
)
from tests.engines.clock import A_MOMENT, FrozenClock

INCIDENT = ReasonCode.INCIDENT
WHY = "The checkout is down, INC-12"
NOTES = "The runbook left no other way"


def id_of(event: BreakGlassEvent) -> EventId:
    return EventId(event.id)


def invoke(
    service: BreakGlassService,
    invoker: Actor = ANN,
    profile: str = "prod",
    duration: timedelta = HOUR,
) -> BreakGlassEvent:
    return service.invoke(invoker, profile, INCIDENT, WHY, duration)


@pytest.fixture
def live(break_glass: BreakGlassService) -> BreakGlassEvent:
    """ANN's live event for prod, for an hour."""
    return invoke(break_glass)


# invoke


def test_invoke_gives_access_at_once_and_says_in_the_trail_what_for(
    live: BreakGlassEvent, break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy
) -> None:
    assert stores.break_glass.get(id_of(live)) == live
    assert (live.status, live.invoker, live.rule) == (EventStatus.ACTIVE, ANN.id, "on-call")
    assert live.expires_at == A_MOMENT + HOUR
    usage = break_glass.find_access(ANN.id, PROD)
    assert usage is not None
    assert usage.event_id == live.id
    (entry,) = stores.audit.get_chain(live.chain)
    assert (entry.event, entry.actor, entry.outcome) == (AuditEvent.BREAK_GLASS_INVOKED, by(ANN), "active")
    assert (entry.subject, entry.profile) == (ANN.id, PROD)
    assert entry.details == {
        "policy_digest": policy.policy.digest,
        "rule": "on-call",
        "reason_code": "incident",
        "justification": WHY,
        "duration": 3_600_000_000_000,
        "expires_at": "2026-01-15T04:53:45.120000Z",
        "request_id": live.request_id,
        "is_escalated": False,
    }


@pytest.mark.parametrize(
    ("profile", "reason_code", "duration", "unmet"),
    [
        ("prod", ReasonCode.SECURITY, HOUR, "not a reason that counts"),
        ("prod", INCIDENT, 2 * HOUR + TICK, "longer than the 2h"),
        ("prod", INCIDENT, timedelta(), "no time at all"),
        ("vault", INCIDENT, HOUR, "a second factor is needed"),
    ],
)
def test_what_no_rule_allows_is_refused_and_noted(
    break_glass: BreakGlassService,
    stores: Stores,
    profile: str,
    reason_code: ReasonCode,
    duration: timedelta,
    unmet: str,
) -> None:
    with pytest.raises(NotAllowed, match=unmet):
        break_glass.invoke(ANN, profile, reason_code, WHY, duration)
    assert not list(stores.break_glass.iterate())
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.outcome) == (AuditEvent.INVOKE_REFUSED, by(ANN), "refused")
    assert (entry.profile, entry.subject) == (profile, ANN.id)
    assert unmet in str(entry.details["unmet"])
    assert entry.must_be_told, "the security channel hears of every break-glass that was refused"


def test_who_is_not_on_call_may_not_break_the_glass(break_glass: BreakGlassService, stores: Stores) -> None:
    with pytest.raises(NotAllowed, match="U0STRANGER"):
        invoke(break_glass, STRANGER)
    assert [entry.subject for entry in noted(stores)] == [STRANGER.id]


def test_a_second_event_is_refused_while_one_is_live_and_the_limit_says_until_when(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at - TICK)
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass)
    assert (refusal.value.limit, refusal.value.value) == ("live event", live.id)
    assert refusal.value.ends_at == live.expires_at
    (entry,) = noted(stores)
    assert (entry.event, entry.profile, entry.subject) == (AuditEvent.INVOKE_REFUSED, PROD, ANN.id)
    assert entry.details == {"limit": "live event", "value": live.id, "ends_at": "2026-01-15T04:53:45.120000Z"}


def test_a_cooldown_follows_the_end_whether_or_not_anything_recorded_it(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass)
    assert (refusal.value.limit, refusal.value.ends_at) == ("cooldown", live.expires_at + HOUR / 2)
    assert invoke(break_glass, profile="staging").profile == STAGING
    clock.set(live.expires_at + HOUR / 2 - TICK)
    with pytest.raises(LimitReached):
        invoke(break_glass)
    clock.advance(TICK)
    assert invoke(break_glass).status is EventStatus.ACTIVE


def test_after_a_close_the_cooldown_runs_from_the_close(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    closed_at = clock.advance(HOUR / 4)
    break_glass.close(id_of(live), ANN, "it is up again")
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass)
    assert (refusal.value.limit, refusal.value.ends_at) == ("cooldown", closed_at + HOUR / 2)
    clock.set(refusal.value.ends_at)
    assert invoke(break_glass).status is EventStatus.ACTIVE


def test_a_quota_per_user_is_free_again_exactly_when_it_says(
    break_glass: BreakGlassService, clock: FrozenClock
) -> None:
    for _ in range(3):
        invoke(break_glass)
        clock.advance(2 * HOUR)
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass)
    assert (refusal.value.limit, refusal.value.value) == ("quota per user", "3 in 1d")
    assert refusal.value.ends_at == A_MOMENT + DAY
    clock.set(A_MOMENT + DAY - TICK)
    with pytest.raises(LimitReached):
        invoke(break_glass)
    clock.advance(TICK)
    assert invoke(break_glass).status is EventStatus.ACTIVE


def test_a_quota_per_profile_counts_everybody_and_the_threshold_escalates(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock
) -> None:
    events = [invoke(break_glass, who) for who in (ANN, BOB, CLEO)]
    clock.advance(2 * HOUR)
    events.append(invoke(break_glass, ANN))
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass, BOB)
    assert (refusal.value.limit, refusal.value.value) == ("quota per profile", "4 in 1d")
    assert refusal.value.ends_at == A_MOMENT + DAY
    escalated = [stores.audit.get_chain(event.chain)[0].details["is_escalated"] for event in events]
    assert escalated == [False, True, True, True]


def test_limits_are_those_of_the_policy_of_the_moment(
    break_glass: BreakGlassService, policy: ChangingPolicy, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    policy.edit({"    cooldown: 30m\n": ""})
    assert invoke(break_glass).status is EventStatus.ACTIVE


def test_the_same_key_from_the_same_person_gives_the_first_event_again(
    break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy
) -> None:
    first = break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1")
    assert break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1") == first
    policy.edit({"users: [group:sre]\n    allowed": "users: [U0BOB]\n    allowed"})
    assert break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1") == first
    with pytest.raises(NotAllowed):
        break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-2")
    assert list(stores.break_glass.iterate()) == [first]
    assert len(noted(stores)) == 1


def test_the_same_key_from_another_person_is_another_event(break_glass: BreakGlassService) -> None:
    assert break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1").invoker == ANN.id
    assert break_glass.invoke(BOB, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1").invoker == BOB.id


def test_a_key_never_gives_somebody_else_s_event(
    break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    first = break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1")
    stores.break_glass.delete(first, a_clock_draft(AuditEvent.RECORD_DELETED))
    taken = an_event(invoker=BOB.id, event_id=id_of(first)).replace(audit_length=2, audit_head="ab" * 32)
    stores.break_glass.create(taken, a_draft())
    clock.advance(timedelta(days=40))
    invoke(break_glass)
    clock.advance(DAY)
    with pytest.raises(EventExists):
        break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1")
    policy.edit({"users: [group:sre]\n    allowed": "users: [U0BOB]\n    allowed"})
    with pytest.raises(NotAllowed):
        break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1")


def test_two_deliveries_of_one_invocation_at_once_are_one_event(
    break_glass: BreakGlassService, disturbed_break_glass: BreakGlassService, disturbance: Disturbance, stores: Stores
) -> None:
    first: list[BreakGlassEvent] = []
    disturbance.steps.append(
        lambda: first.append(break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1"))
    )
    assert disturbed_break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1") == first[0]
    assert len(list(stores.break_glass.iterate())) == 1
    assert noted(stores) == []


def test_a_key_works_even_when_the_ledger_forgot_its_event(break_glass: BreakGlassService, clock: FrozenClock) -> None:
    first = break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1")
    clock.advance(timedelta(days=40))
    invoke(break_glass)
    clock.advance(DAY)
    assert break_glass.invoke(ANN, "prod", INCIDENT, WHY, HOUR, idempotency_key="view-1") == first


def test_two_invocations_at_once_do_not_stack(
    break_glass: BreakGlassService, disturbed_break_glass: BreakGlassService, disturbance: Disturbance, stores: Stores
) -> None:
    disturbance.steps.append(lambda: invoke(break_glass))
    with pytest.raises(LimitReached, match="live event"):
        invoke(disturbed_break_glass)
    assert len(list(stores.break_glass.iterate())) == 1
    assert len(noted(stores)) == 1


def test_others_on_the_same_profile_at_once_are_counted_exactly(
    break_glass: BreakGlassService, disturbed_break_glass: BreakGlassService, disturbance: Disturbance, stores: Stores
) -> None:
    disturbance.steps.append(lambda: invoke(break_glass, BOB))
    event = invoke(disturbed_break_glass, ANN)
    assert stores.audit.get_chain(event.chain)[0].details["is_escalated"] is True
    _, by_profile = stores.break_glass.get_ledgers(ANN.id, PROD)
    assert {usage.invoker for usage in by_profile.usages} == {ANN.id, BOB.id}


# bad input


@pytest.mark.parametrize(
    ("field", "use"),
    [
        ("profile", lambda service: service.invoke(ANN, "pr od", INCIDENT, WHY, HOUR)),
        ("justification", lambda service: service.invoke(ANN, "prod", INCIDENT, "too short", HOUR)),
        ("justification", lambda service: service.invoke(ANN, "prod", INCIDENT, "x" * 1001, HOUR)),
        ("reason", lambda service: service.close(EventId(new_id()), ANN, " ")),
        ("notes", lambda service: service.review(EventId(new_id()), BOB, Verdict.JUSTIFIED, "fine")),
        ("follow-up link", lambda service: service.review(EventId(new_id()), BOB, Verdict.JUSTIFIED, NOTES, "none")),
    ],
)
def test_bad_input_is_refused_before_anything_is_read(
    break_glass: BreakGlassService, stores: Stores, field: str, use: Callable[[BreakGlassService], object]
) -> None:
    stores.close()
    with pytest.raises(InvalidInput) as error:
        use(break_glass)
    assert error.value.field == field


def test_an_unknown_profile_is_bad_input_and_no_refusal(break_glass: BreakGlassService, stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="Did you mean prod"):
        invoke(break_glass, profile="prd")
    assert noted(stores) == []


@pytest.mark.parametrize(
    "use",
    [
        lambda service, event_id: service.close(event_id, ANN, "it is up again"),
        lambda service, event_id: service.review(event_id, BOB, Verdict.JUSTIFIED, NOTES),
    ],
)
def test_an_event_that_is_not_there_is_not_found(
    break_glass: BreakGlassService, use: Callable[[BreakGlassService, EventId], object]
) -> None:
    with pytest.raises(EventNotFound):
        use(break_glass, EventId("0123456789abcdef"))


# close


@pytest.mark.parametrize("closer", [ANN, BOB], ids=["its invoker", "an approver"])
def test_its_invoker_and_an_approver_may_close(
    break_glass: BreakGlassService,
    stores: Stores,
    clock: FrozenClock,
    live: BreakGlassEvent,
    closer: Actor,
) -> None:
    now = clock.advance(HOUR / 2)
    closed = break_glass.close(id_of(live), closer, "  it is up again ")
    assert (closed.status, closed.closed_by, closed.closed_at) == (EventStatus.CLOSED, closer.id, now)
    assert closed.closed_reason == "it is up again"
    assert break_glass.find_access(ANN.id, PROD) is None
    assert break_glass.close(id_of(live), closer, "I said so already") == closed
    assert trail(stores, live) == [("break_glass_invoked", ANN.id), ("break_glass_closed", closer.id)]
    entry = stores.audit.get_chain(live.chain)[-1]
    assert (entry.details["reason"], entry.outcome, entry.subject) == ("it is up again", "closed", ANN.id)
    assert noted(stores) == []


def test_a_stranger_may_not_close(break_glass: BreakGlassService, stores: Stores, live: BreakGlassEvent) -> None:
    with pytest.raises(NotAllowed, match="not among the approvers"):
        break_glass.close(id_of(live), STRANGER, "because I can")
    assert stores.break_glass.get(id_of(live)) == live
    (entry,) = noted(stores)
    assert (entry.event, entry.record, entry.subject) == (AuditEvent.CLOSE_REFUSED, live.chain, ANN.id)
    assert entry.profile == PROD


def test_its_invoker_may_close_even_when_the_policy_forgot_them(
    break_glass: BreakGlassService, policy: ChangingPolicy, live: BreakGlassEvent
) -> None:
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0BOB, U0CLEO]"})
    assert break_glass.close(id_of(live), ANN, "it is up again").status is EventStatus.CLOSED


def test_a_second_close_by_another_learns_who_closed(break_glass: BreakGlassService, live: BreakGlassEvent) -> None:
    break_glass.close(id_of(live), BOB, "enough of it")
    for late in (ANN, STRANGER):
        with pytest.raises(InvalidStateTransition) as refusal:
            break_glass.close(id_of(live), late, "it is up again")
        assert (refusal.value.status, refusal.value.decided_by) == ("closed", BOB.id)
        assert refusal.value.decided_at == A_MOMENT


def test_a_close_after_the_end_is_refused_and_the_event_becomes_expired(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    with pytest.raises(InvalidStateTransition) as refusal:
        break_glass.close(id_of(live), ANN, "it is up again")
    assert (refusal.value.status, refusal.value.wanted) == ("expired", "closed")
    assert refusal.value.decided_at == live.expires_at
    assert stores.break_glass.get(id_of(live)).status is EventStatus.EXPIRED
    assert trail(stores, live)[-1] == ("break_glass_expired", "clock")
    assert [entry.record for entry in noted(stores)] == [live.chain]


def test_two_closes_of_one_person_at_once_get_the_same_answer(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: break_glass.close(id_of(live), ANN, "it is up again"))
    closed = disturbed_break_glass.close(id_of(live), ANN, "it is up again, I think")
    assert closed == stores.break_glass.get(id_of(live))
    assert closed.closed_reason == "it is up again"
    assert noted(stores) == []


def test_a_close_while_the_ledger_moves_is_decided_again(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    stores: Stores,
) -> None:
    disturbance.steps.append(lambda: invoke(break_glass, profile="staging"))
    disturbed_break_glass.close(id_of(live), ANN, "it is up again")
    by_invoker, _ = stores.break_glass.get_ledgers(ANN.id, PROD)
    assert by_invoker.live(PROD, A_MOMENT) is None
    assert by_invoker.live(STAGING, A_MOMENT) is not None


def test_an_event_that_its_ledger_forgot_can_still_be_closed(
    break_glass: BreakGlassService, stores: Stores, live: BreakGlassEvent
) -> None:
    by_invoker, by_profile = stores.break_glass.get_ledgers(ANN.id, PROD)
    other = invoke(break_glass, BOB)
    stores.break_glass.update(
        other.close(BOB.id, A_MOMENT, "done with it"),
        a_draft(AuditEvent.BREAK_GLASS_CLOSED, actor=BOB.id, outcome="closed"),
        [by_invoker.model_copy(update={"usages": ()})],
    )
    assert by_profile.has(live.id)
    assert break_glass.close(id_of(live), ANN, "it is up again").status is EventStatus.CLOSED
    assert stores.break_glass.get_ledgers(ANN.id, PROD)[0].usages == UsageLedger.of_invoker(ANN.id).usages


# review


@pytest.fixture
def ended(break_glass: BreakGlassService, live: BreakGlassEvent) -> BreakGlassEvent:
    """ANN's event for prod, closed by her."""
    return break_glass.close(id_of(live), ANN, "it is up again")


def test_an_approver_answers_for_an_ended_event_once(
    break_glass: BreakGlassService, stores: Stores, ended: BreakGlassEvent, policy: ChangingPolicy
) -> None:
    link = "https://example.com/INC-12"
    reviewed = break_glass.review(id_of(ended), BOB, Verdict.PARTLY_JUSTIFIED, f" {NOTES} ", f" {link} ")
    assert reviewed.review is not None
    assert (reviewed.review.reviewer, reviewed.review.at) == (BOB.id, A_MOMENT)
    assert (reviewed.review.verdict, reviewed.review.notes) == (Verdict.PARTLY_JUSTIFIED, NOTES)
    assert reviewed.review.follow_up == link
    assert break_glass.review(id_of(ended), BOB, Verdict.JUSTIFIED, NOTES + "!") == reviewed
    with pytest.raises(InvalidStateTransition) as refusal:
        break_glass.review(id_of(ended), CLEO, Verdict.JUSTIFIED, NOTES)
    assert (refusal.value.status, refusal.value.decided_by) == ("reviewed", BOB.id)
    entry = stores.audit.get_chain(ended.chain)[-1]
    assert (entry.event, entry.actor) == (AuditEvent.BREAK_GLASS_REVIEWED, by(BOB))
    assert entry.details == {
        "policy_digest": policy.policy.digest,
        "rule": "prod",
        "verdict": "partly_justified",
        "notes": NOTES,
        "follow_up": link,
    }
    assert [entry.event for entry in noted(stores)] == [AuditEvent.REVIEW_REFUSED]


def test_a_blank_link_is_no_link(break_glass: BreakGlassService, ended: BreakGlassEvent, stores: Stores) -> None:
    reviewed = break_glass.review(id_of(ended), BOB, Verdict.JUSTIFIED, NOTES, "  ")
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
        break_glass.review(id_of(ended), reviewer, Verdict.JUSTIFIED, NOTES)
    assert stores.break_glass.get(id_of(ended)) == ended
    (entry,) = noted(stores)
    assert (entry.event, entry.record, entry.subject) == (AuditEvent.REVIEW_REFUSED, ended.chain, ANN.id)


def test_a_live_event_cannot_be_reviewed_yet(
    break_glass: BreakGlassService, stores: Stores, live: BreakGlassEvent
) -> None:
    with pytest.raises(InvalidStateTransition, match="it has not ended"):
        break_glass.review(id_of(live), BOB, Verdict.JUSTIFIED, NOTES)
    assert stores.break_glass.get(id_of(live)) == live


def test_an_event_whose_time_passed_is_expired_and_reviewed_in_one_go(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    reviewed = break_glass.review(id_of(live), BOB, Verdict.JUSTIFIED, NOTES)
    assert reviewed.status is EventStatus.EXPIRED
    assert [event for event, _ in trail(stores, live)] == [
        "break_glass_invoked",
        "break_glass_expired",
        "break_glass_reviewed",
    ]


def test_two_reviewers_at_once_are_one_review_and_one_answer_that_says_whose(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    ended: BreakGlassEvent,
) -> None:
    disturbance.steps.append(lambda: break_glass.review(id_of(ended), BOB, Verdict.JUSTIFIED, NOTES))
    with pytest.raises(InvalidStateTransition) as refusal:
        disturbed_break_glass.review(id_of(ended), CLEO, Verdict.NOT_JUSTIFIED, NOTES)
    assert refusal.value.decided_by == BOB.id


def test_a_review_that_a_sweep_overtakes_is_made_all_the_same(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    clock: FrozenClock,
) -> None:
    clock.set(live.expires_at)
    disturbance.steps.append(break_glass.expire_due)
    assert disturbed_break_glass.review(id_of(live), BOB, Verdict.JUSTIFIED, NOTES).review is not None


@pytest.mark.parametrize(
    "use",
    [
        lambda service, _: invoke(service, BOB),
        lambda service, event_id: service.close(event_id, BOB, "enough of it"),
    ],
)
def test_conflicts_are_retried_a_bounded_number_of_times(
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    use: Callable[[BreakGlassService, EventId], BreakGlassEvent],
) -> None:
    disturbance.conflicts(MOST_TRIES)
    with pytest.raises(StoreUnavailable):
        use(disturbed_break_glass, id_of(live))
    assert disturbance.writes == MOST_TRIES
    disturbance.conflicts(MOST_TRIES - 1)
    assert use(disturbed_break_glass, id_of(live)).updated_at >= A_MOMENT


# expire_due and find_access


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
    assert stores.break_glass.get(id_of(longer)) == longer


def test_expire_due_passes_over_what_others_ended_and_reaches_every_page(
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


def test_find_access_ends_with_the_event_and_is_of_one_person_for_one_profile(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    assert break_glass.find_access(BOB.id, PROD) is None
    assert break_glass.find_access(ANN.id, STAGING) is None
    clock.set(live.expires_at - TICK)
    assert break_glass.find_access(ANN.id, PROD) is not None
    clock.advance(TICK)
    assert break_glass.find_access(ANN.id, PROD) is None

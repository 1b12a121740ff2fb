from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventId, EventStatus, ReasonCode
from core.clock import TICK, new_id
from core.errors import (
    EventExists,
    EventNotFound,
    InvalidInput,
    LimitReached,
    NotAllowed,
)
from core.review import Verdict
from core.services import BreakGlassService
from core.stores import Stores
from tests.builders import DAY, HOUR, PROD, STAGING, a_clock_draft, a_draft, an_event
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    INCIDENT,
    NOTES,
    OUTAGE,
    STRANGER,
    ChangingPolicy,
    Disturbance,
    by,
    event_id_of,
    invoke,
    noted,
)
from tests.harness.clock import A_MOMENT, FrozenClock


def test_invoke_gives_access_at_once_and_the_trail_says_what_for(
    live: BreakGlassEvent, break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy
) -> None:
    assert stores.break_glass.get(event_id_of(live)) == live
    assert (live.status, live.invoker, live.rule) == (EventStatus.ACTIVE, ANN.id, "on-call")
    assert live.expires_at == A_MOMENT + HOUR
    usage = break_glass.find_access(ANN.id, PROD)
    assert usage is not None
    assert usage.event_id == live.id
    (entry,) = stores.audit.get_chain(live.chain)
    assert (entry.event, entry.actor, entry.outcome) == (AuditAction.BREAK_GLASS_INVOKED, by(ANN), "active")
    assert (entry.subject, entry.profile) == (ANN.id, PROD)
    assert entry.details == {
        "policy_digest": policy.policy.digest,
        "rule": "on-call",
        "reason_code": "incident",
        "justification": OUTAGE,
        "duration": 3_600_000_000_000,
        "expires_at": "2026-01-15T04:53:45.120000Z",
        "request_id": live.request_id,
        "is_escalated": False,
    }


@pytest.mark.parametrize(
    ("profile", "reason_code", "duration", "unmet"),
    [
        ("prod", ReasonCode.SECURITY, HOUR, "isn't allowed"),
        ("prod", INCIDENT, 2 * HOUR + TICK, "longer than the 2h"),
        ("prod", INCIDENT, timedelta(), "no time at all"),
        ("vault", INCIDENT, HOUR, "an MFA code is required"),
    ],
)
def test_declaration_that_no_rule_allows_is_refused_and_noted(
    break_glass: BreakGlassService,
    stores: Stores,
    profile: str,
    reason_code: ReasonCode,
    duration: timedelta,
    unmet: str,
) -> None:
    with pytest.raises(NotAllowed, match=unmet):
        break_glass.invoke(ANN, profile, reason_code, OUTAGE, duration)
    assert not list(stores.break_glass.iterate())
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.outcome) == (AuditAction.INVOKE_REFUSED, by(ANN), "refused")
    assert (entry.profile, entry.subject) == (profile, ANN.id)
    assert unmet in str(entry.details["unmet"])
    assert entry.must_be_delivered, "the security channel hears of every break-glass that was refused"


def test_person_who_is_not_on_call_may_not_break_glass(break_glass: BreakGlassService, stores: Stores) -> None:
    with pytest.raises(NotAllowed, match="U0STRANGER"):
        invoke(break_glass, STRANGER)
    assert [entry.subject for entry in noted(stores)] == [STRANGER.id]


def test_second_event_is_refused_until_the_active_one_ends(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at - TICK)
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass)
    assert (refusal.value.limit, refusal.value.value) == ("live event", live.id)
    assert refusal.value.ends_at == live.expires_at
    (entry,) = noted(stores)
    assert (entry.event, entry.profile, entry.subject) == (AuditAction.INVOKE_REFUSED, PROD, ANN.id)
    assert entry.details == {"limit": "live event", "value": live.id, "ends_at": "2026-01-15T04:53:45.120000Z"}


def test_cooldown_follows_the_end_whether_recorded_or_not(
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


def test_cooldown_runs_from_the_close(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    closed_at = clock.advance(HOUR / 4)
    break_glass.close(event_id_of(live), ANN, "it is up again")
    with pytest.raises(LimitReached) as refusal:
        invoke(break_glass)
    assert (refusal.value.limit, refusal.value.ends_at) == ("cooldown", closed_at + HOUR / 2)
    clock.set(refusal.value.ends_at)
    assert invoke(break_glass).status is EventStatus.ACTIVE


def test_quota_per_user_is_free_again_exactly_when_it_says(break_glass: BreakGlassService, clock: FrozenClock) -> None:
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


def test_quota_per_profile_counts_everybody_and_escalates(
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


def test_limits_are_those_of_the_current_policy(
    break_glass: BreakGlassService, policy: ChangingPolicy, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    policy.edit({"    cooldown: 30m\n": ""})
    assert invoke(break_glass).status is EventStatus.ACTIVE


def test_same_key_of_the_same_person_gives_the_first_event(
    break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy
) -> None:
    first = break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1")
    assert break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1") == first
    policy.edit({"users: [group:sre]\n    allowed": "users: [U0BOB]\n    allowed"})
    assert break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1") == first
    with pytest.raises(NotAllowed):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-2")
    assert list(stores.break_glass.iterate()) == [first]
    assert len(noted(stores)) == 1


def test_same_key_from_another_person_is_another_event(break_glass: BreakGlassService) -> None:
    assert break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1").invoker == ANN.id
    assert break_glass.invoke(BOB, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1").invoker == BOB.id


def test_key_never_gives_somebody_else_s_event(
    break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    first = break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1")
    stores.break_glass.delete(first, a_clock_draft(AuditAction.RECORD_DELETED))
    taken = an_event(invoker=BOB.id, event_id=event_id_of(first)).replace(audit_length=2, audit_head="ab" * 32)
    stores.break_glass.create(taken, a_draft())
    clock.advance(timedelta(days=40))
    invoke(break_glass)
    clock.advance(DAY)
    with pytest.raises(EventExists):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1")
    policy.edit({"users: [group:sre]\n    allowed": "users: [U0BOB]\n    allowed"})
    with pytest.raises(NotAllowed):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1")


def test_two_deliveries_of_one_invocation_at_once_are_one_event(
    break_glass: BreakGlassService, disturbed_break_glass: BreakGlassService, disturbance: Disturbance, stores: Stores
) -> None:
    first: list[BreakGlassEvent] = []
    disturbance.steps.append(
        lambda: first.append(break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1"))
    )
    assert disturbed_break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1") == first[0]
    assert len(list(stores.break_glass.iterate())) == 1
    assert noted(stores) == []


def test_key_works_even_when_the_ledger_forgot_its_event(break_glass: BreakGlassService, clock: FrozenClock) -> None:
    first = break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1")
    clock.advance(timedelta(days=40))
    invoke(break_glass)
    clock.advance(DAY)
    assert break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, idempotency_key="view-1") == first


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


@pytest.mark.parametrize(
    ("field", "use"),
    [
        ("profile", lambda service: service.invoke(ANN, "pr od", INCIDENT, OUTAGE, HOUR)),
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


def test_unknown_profile_is_bad_input_and_no_refusal(break_glass: BreakGlassService, stores: Stores) -> None:
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
def test_event_that_is_not_there_is_not_found(
    break_glass: BreakGlassService, use: Callable[[BreakGlassService, EventId], object]
) -> None:
    with pytest.raises(EventNotFound):
        use(break_glass, EventId("0123456789abcdef"))

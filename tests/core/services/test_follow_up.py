"""An event is asked about before its end, and its review is asked for until it is there: each time once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.actor import CLOCK
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.clock import TICK
from core.review import Verdict
from core.services import BreakGlassService
from core.stores import Stores
from tests.builders import DAY, HOUR
from tests.core.services.harness import ANN, BOB, ChangingPolicy, Disturbance, trail
from tests.harness.clock import A_MOMENT, FrozenClock

WHY = "The checkout is down, INC-12"
MINUTE = timedelta(minutes=1)
ASK_AT = A_MOMENT + 50 * MINUTE
"""Ten minutes before the end of an hour: the default."""
DUE_AT = A_MOMENT + HOUR + 3 * DAY
"""Three days after the end: the default."""


def invoke(service: BreakGlassService, duration: timedelta = HOUR, profile: str = "prod") -> BreakGlassEvent:
    return service.invoke(ANN, profile, ReasonCode.INCIDENT, WHY, duration)


@pytest.fixture
def live(break_glass: BreakGlassService) -> BreakGlassEvent:
    return invoke(break_glass)


@pytest.fixture
def expired(break_glass: BreakGlassService, live: BreakGlassEvent, clock: FrozenClock) -> BreakGlassEvent:
    clock.advance(HOUR)
    (event,) = break_glass.expire_due()
    assert event.id == live.id
    return event


# Before the end


def test_invoker_is_asked_ten_minutes_before_the_end(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(ASK_AT - TICK)
    assert break_glass.ask_due() == ()
    clock.set(ASK_AT)
    (asked,) = break_glass.ask_due()
    assert asked.asked_at == ASK_AT
    assert stores.break_glass.get(EventId(live.id)) == asked
    entry = stores.audit.get_chain(live.chain)[-1]
    assert (entry.event, entry.actor, entry.outcome) == (AuditAction.BREAK_GLASS_ENDING_SOON, CLOCK, "active")
    assert (entry.subject, entry.details) == (ANN.id, {"expires_at": "2026-01-15T04:53:45.120000Z"})
    assert entry.must_be_delivered


def test_invoker_is_not_asked_twice_nor_after_the_end(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(ASK_AT)
    assert len(break_glass.ask_due()) == 1
    assert break_glass.ask_due() == ()
    clock.set(live.expires_at)
    assert break_glass.ask_due() == ()


def test_event_not_asked_about_in_time_is_not_asked_about_late(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(live.expires_at)
    assert break_glass.ask_due() == ()


def test_short_event_is_asked_about_at_half_its_time(break_glass: BreakGlassService, clock: FrozenClock) -> None:
    invoke(break_glass, 10 * MINUTE)
    clock.set(A_MOMENT + 5 * MINUTE - TICK)
    assert break_glass.ask_due() == ()
    clock.set(A_MOMENT + 5 * MINUTE)
    assert len(break_glass.ask_due()) == 1


def test_current_policy_says_when(
    break_glass: BreakGlassService, clock: FrozenClock, policy: ChangingPolicy, live: BreakGlassEvent
) -> None:
    policy.edit({"    escalation_threshold: 2\n": "    escalation_threshold: 2\n    ask_before_end: 20m\n"})
    clock.set(A_MOMENT + 40 * MINUTE)
    assert [event.id for event in break_glass.ask_due()] == [live.id]


def test_close_before_the_question_leaves_nothing_to_ask(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    stores: Stores,
    clock: FrozenClock,
    live: BreakGlassEvent,
) -> None:
    clock.set(ASK_AT)
    disturbance.steps.append(lambda: break_glass.close(EventId(live.id), ANN, "all is well again"))
    assert disturbed_break_glass.ask_due() == ()
    assert [event for event, _ in trail(stores, live)] == ["break_glass_invoked", "break_glass_closed"]


def test_invoker_who_was_asked_can_still_close(
    break_glass: BreakGlassService, clock: FrozenClock, live: BreakGlassEvent
) -> None:
    clock.set(ASK_AT)
    break_glass.ask_due()
    closed = break_glass.close(EventId(live.id), ANN, "all is well again")
    assert (closed.asked_at, closed.closed_by) == (ASK_AT, ANN.id)


# After the end


def test_reviewers_are_reminded_after_each_review_period(
    break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, expired: BreakGlassEvent
) -> None:
    clock.set(DUE_AT - TICK)
    assert break_glass.remind_due() == ()
    clock.set(DUE_AT)
    (reminded,) = break_glass.remind_due()
    assert reminded.reminded_at == DUE_AT
    assert break_glass.remind_due() == ()
    clock.set(DUE_AT + 3 * DAY - TICK)
    assert break_glass.remind_due() == ()
    clock.set(DUE_AT + 3 * DAY)
    assert len(break_glass.remind_due()) == 1
    entry = stores.audit.get_chain(expired.chain)[-1]
    assert (entry.event, entry.actor, entry.outcome) == (AuditAction.REVIEW_REMINDED, CLOCK, "expired")
    assert entry.details == {"due_at": "2026-01-18T04:53:45.120000Z", "review_within": 3 * 86_400 * 10**9}
    assert entry.must_be_delivered


def test_sweeper_that_slept_reminds_once_for_all_it_missed(
    break_glass: BreakGlassService, clock: FrozenClock, expired: BreakGlassEvent
) -> None:
    clock.set(DUE_AT + 30 * DAY)
    assert [event.id for event in break_glass.remind_due()] == [expired.id]
    assert break_glass.remind_due() == ()


def test_review_ends_the_reminders(
    break_glass: BreakGlassService, clock: FrozenClock, expired: BreakGlassEvent
) -> None:
    clock.set(DUE_AT)
    break_glass.remind_due()
    reviewed = break_glass.review(EventId(expired.id), BOB, Verdict.JUSTIFIED, "The runbook left no other way")
    assert reviewed.reminded_at == DUE_AT
    clock.set(DUE_AT + 30 * DAY)
    assert break_glass.remind_due() == ()


def test_review_before_the_reminder_leaves_nothing_to_remind_of(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    stores: Stores,
    clock: FrozenClock,
    expired: BreakGlassEvent,
) -> None:
    clock.set(DUE_AT)
    disturbance.steps.append(
        lambda: break_glass.review(EventId(expired.id), BOB, Verdict.JUSTIFIED, "The runbook left no other way")
    )
    assert disturbed_break_glass.remind_due() == ()
    assert trail(stores, expired)[-1] == ("break_glass_reviewed", BOB.id)


def test_rule_says_how_soon_a_review_has_to_be_there(
    break_glass: BreakGlassService, clock: FrozenClock, policy: ChangingPolicy, expired: BreakGlassEvent
) -> None:
    policy.edit({"    escalation_threshold: 2\n": "    escalation_threshold: 2\n    review_within: 1d\n"})
    clock.set(A_MOMENT + HOUR + DAY)
    assert [event.id for event in break_glass.remind_due()] == [expired.id]


def test_event_whose_rule_is_gone_is_still_followed_up(
    break_glass: BreakGlassService, clock: FrozenClock, policy: ChangingPolicy, expired: BreakGlassEvent
) -> None:
    policy.edit({"name: on-call": "name: another"})
    clock.set(DUE_AT)
    assert [event.id for event in break_glass.remind_due()] == [expired.id]

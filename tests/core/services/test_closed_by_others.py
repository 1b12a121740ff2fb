"""An event that somebody else closed keeps its invoker from nothing: no cooldown, no quota."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent
from core.errors import LimitReached
from core.services import BreakGlassService
from core.stores import Stores
from tests.builders import PROD, a_clock_draft
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    ChangingPolicy,
    Disturbance,
    event_id_of,
    invoke,
)
from tests.harness.clock import FrozenClock

MINUTE = timedelta(minutes=1)


def _close(service: BreakGlassService, event: BreakGlassEvent, who: Actor) -> BreakGlassEvent:
    return service.close(event_id_of(event), who, "this is not needed")


def test_event_closed_by_another_starts_no_cooldown(break_glass: BreakGlassService, live: BreakGlassEvent) -> None:
    _close(break_glass, live, BOB)
    again = invoke(break_glass, ANN)
    usage = break_glass.find_access(ANN.id, PROD)
    assert usage is not None
    assert usage.event_id == again.id


def test_own_close_starts_the_cooldown_from_the_close(
    break_glass: BreakGlassService, live: BreakGlassEvent, clock: FrozenClock
) -> None:
    clock.advance(MINUTE)
    _close(break_glass, live, ANN)
    with pytest.raises(LimitReached, match="cooldown") as caught:
        invoke(break_glass, ANN)
    assert caught.value.ends_at == clock.now() + 30 * MINUTE
    clock.advance(30 * MINUTE)
    assert invoke(break_glass, ANN).invoker == ANN.id


def test_events_closed_by_others_count_against_no_quota(break_glass: BreakGlassService, clock: FrozenClock) -> None:
    """Three for each person, four for the profile: six that an approver closes at once leave both untouched."""
    for _ in range(6):
        _close(break_glass, invoke(break_glass, ANN), BOB)
    for who in (ANN, BOB, CLEO, ANN):
        _close(break_glass, invoke(break_glass, who), who)
        clock.advance(31 * MINUTE)
    with pytest.raises(LimitReached, match="quota per profile"):
        invoke(break_glass, ANN)


def test_quota_counts_what_ended_in_any_other_way(break_glass: BreakGlassService, clock: FrozenClock) -> None:
    _close(break_glass, invoke(break_glass, ANN), BOB)
    for profile in ("prod", "staging", "prod"):
        invoke(break_glass, ANN, profile)
        clock.advance(91 * MINUTE)
    break_glass.expire_due()
    with pytest.raises(LimitReached, match="quota per user"):
        invoke(break_glass, ANN, "staging")


def test_closed_events_still_escalate(break_glass: BreakGlassService, stores: Stores) -> None:
    _close(break_glass, invoke(break_glass, ANN), BOB)
    again = invoke(break_glass, ANN)
    assert stores.audit.get_chain(again.chain)[0].details["is_escalated"] is True


def test_two_declarations_after_such_a_close_are_one_event(
    break_glass: BreakGlassService,
    disturbed_break_glass: BreakGlassService,
    disturbance: Disturbance,
    live: BreakGlassEvent,
    stores: Stores,
) -> None:
    _close(break_glass, live, BOB)
    disturbance.steps.append(lambda: invoke(break_glass, ANN))
    with pytest.raises(LimitReached, match="live event"):
        invoke(disturbed_break_glass, ANN)
    assert len(list(stores.break_glass.iterate())) == 2


def test_event_that_is_gone_counts_as_its_ledger_says(
    break_glass: BreakGlassService, live: BreakGlassEvent, stores: Stores
) -> None:
    stores.break_glass.delete(live, a_clock_draft(AuditAction.RECORD_DELETED))
    with pytest.raises(LimitReached, match="live event"):
        invoke(break_glass, ANN)


def test_own_other_id_waives_nothing_once_the_policy_knows_it(
    break_glass: BreakGlassService, live: BreakGlassEvent, policy: ChangingPolicy
) -> None:
    """When it was closed, nobody had said yet that the two are one person."""
    _close(break_glass, live, BOB)
    policy.edit({"security_channel": f"same_person: [[{ANN.id}, {BOB.id}]]\nsecurity_channel"})
    for each in (ANN, BOB):
        with pytest.raises(LimitReached, match="cooldown"):
            invoke(break_glass, each)

"""The timeline of an event: the related audit entries, for those who may act on it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.directory import FixedDirectory
from core.errors import EventNotFound, NotAllowed
from core.request import RequestId
from core.services import BreakGlassService, RequestService
from core.services.timeline import Timeline, read_event_activity, read_timeline
from core.stores import Stores
from core.stores.messages import MessageRef
from tests.builders import DAY, HOUR
from tests.core.services.harness import ANN, BOB, STRANGER, ChangingPolicy
from tests.harness.clock import A_MOMENT, FrozenClock

WHY = "The checkout is down, INC-12"


def invoke(service: BreakGlassService, instead_of: RequestId | None = None) -> BreakGlassEvent:
    return service.invoke(ANN, "prod", ReasonCode.INCIDENT, WHY, HOUR, instead_of=instead_of)


def read(stores: Stores, policy: ChangingPolicy, event: BreakGlassEvent) -> Timeline:
    return read_timeline(stores, policy, EventId(event.id), BOB, FixedDirectory(), A_MOMENT)


def test_timeline_merges_the_event_and_the_request_it_replaced(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    requests: RequestService,
    break_glass: BreakGlassService,
) -> None:
    request = requests.submit(ANN, "prod", HOUR, WHY)
    clock.advance(timedelta(minutes=5))
    event = invoke(break_glass, RequestId(request.id))
    clock.advance(timedelta(minutes=5))
    break_glass.close(EventId(event.id), ANN, "all is well again")
    told = read(stores, policy, event)
    first, *in_the_middle, last = [entry.event.value for entry in told.entries]
    assert (first, last) == ("request_submitted", "break_glass_closed")
    # One change made both of the others.
    assert sorted(in_the_middle) == ["break_glass_invoked", "request_cancelled"]
    assert [each.id for each in told.requests] == [request.id]


def test_timeline_has_requests_for_the_profile_of_the_day_before(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    requests: RequestService,
    break_glass: BreakGlassService,
) -> None:
    policy.edit({"    remind_after: 3h\n": "    remind_after: 3h\n    max_pending: 3\n"})
    requests.submit(ANN, "prod", HOUR, "Too long ago to matter")
    clock.advance(DAY)
    linked = requests.submit(ANN, "prod", HOUR, WHY)
    requests.submit(ANN, "staging", HOUR, "For another profile")
    clock.advance(HOUR)
    event = invoke(break_glass)
    clock.advance(2 * HOUR)
    requests.submit(ANN, "prod", HOUR, "Only after the event")
    assert [each.id for each in read(stores, policy, event).requests] == [linked.id]


def test_timeline_says_where_the_event_was_posted(
    stores: Stores, policy: ChangingPolicy, break_glass: BreakGlassService
) -> None:
    event = invoke(break_glass)
    place = MessageRef(channel="C0ACCESS1", ts="1768449225.000100")
    stores.messages.save_message(event.chain, "card", place)
    assert read(stores, policy, event).places == {"card": place}


def test_timeline_is_seen_only_by_the_invoker_and_approvers(
    stores: Stores, policy: ChangingPolicy, break_glass: BreakGlassService
) -> None:
    event = invoke(break_glass)
    for reader in (ANN, BOB):
        assert read_timeline(stores, policy, EventId(event.id), reader, FixedDirectory(), A_MOMENT).event == event
    with pytest.raises(NotAllowed):
        read_event_activity(stores, policy, EventId(event.id), STRANGER, FixedDirectory(), A_MOMENT)
    with pytest.raises(NotAllowed):
        read_timeline(stores, policy, EventId(event.id), STRANGER, FixedDirectory(), A_MOMENT)
    with pytest.raises(EventNotFound):
        read_timeline(stores, policy, EventId("0" * 16), BOB, FixedDirectory(), A_MOMENT)

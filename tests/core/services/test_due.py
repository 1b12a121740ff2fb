"""A sweep reads what is new or due, and not again what is waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from core.break_glass import EventId
from core.clock import TICK
from core.errors import Refused
from core.request import RequestId
from core.services import BreakGlassService, RequestService
from core.services.due import OVERLAP, WHOLE_LIST
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    DEPLOY,
    EVERYBODY_ASKS,
    NOTES,
    RITA,
    STRANGER,
    ChangingPolicy,
    invoke,
    people,
)
from tests.harness.clock import FrozenClock

PENDING = 250


class CountedStores:
    """Stores that count what they return: records listed, and records read one by one."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.counts: Counter[str] = Counter()
        self.requests: Any = _Counting(stores.requests, self.counts)
        self.break_glass: Any = _Counting(stores.break_glass, self.counts)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stores have
        return getattr(self._stores, name)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """What is read meanwhile."""
        self.counts.clear()
        yield self.counts


class _Counting:
    def __init__(self, store: object, counts: Counter[str]) -> None:
        self._store = store
        self._counts = counts

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        method = getattr(self._store, name)
        if name not in {"get", "list_by_status", "list_waiting_for_review"}:
            return method

        def counted(*arguments: object, **named: object) -> object:
            answer = method(*arguments, **named)
            self._counts["got" if name == "get" else "listed"] += 1 if name == "get" else len(answer.items)
            return answer

        return counted


@pytest.fixture
def counted(stores: Stores) -> CountedStores:
    return CountedStores(stores)


@pytest.fixture
def watching(counted: CountedStores, policy: ChangingPolicy, clock: FrozenClock) -> RequestService:
    return RequestService(counted, policy, clock)


@pytest.fixture
def watching_events(counted: CountedStores, policy: ChangingPolicy, clock: FrozenClock) -> BreakGlassService:
    return BreakGlassService(counted, policy, clock)


def _sweep(service: RequestService) -> int:
    return len(service.expire_due()) + len(service.remind_due())


def test_sweep_costs_what_is_due_and_not_what_is_pending(
    requests: RequestService,
    watching: RequestService,
    counted: CountedStores,
    clock: FrozenClock,
    policy: ChangingPolicy,
) -> None:
    policy.edit(EVERYBODY_ASKS)
    for each in people(PENDING):
        requests.submit(each, "prod", HOUR, DEPLOY)
    for _ in range(2):
        assert _sweep(watching) == 0
        clock.advance(OVERLAP + TICK)
    with counted.counting() as counts:
        assert _sweep(watching) == 0
    assert counts == {"listed": 0}
    requests.submit(RITA, "staging", HOUR, DEPLOY)
    with counted.counting() as counts:
        assert _sweep(watching) == 0
    assert counts == {"listed": 2}, "the new one, by both watches"


def test_each_is_changed_when_it_is_due(
    requests: RequestService, watching: RequestService, counted: CountedStores, clock: FrozenClock
) -> None:
    first = requests.submit(RITA, "staging", HOUR, DEPLOY)
    clock.advance(timedelta(minutes=10))
    second = requests.submit(STRANGER, "staging", HOUR, DEPLOY)
    clock.set(first.expires_at - TICK)
    assert watching.expire_due() == (), "the whole list"
    clock.advance(TICK)
    with counted.counting() as counts:
        assert [each.id for each in watching.expire_due()] == [first.id]
    assert counts == {"listed": 0, "got": 1}
    clock.set(second.expires_at)
    assert [each.id for each in watching.expire_due()] == [second.id]


def test_what_others_decided_is_not_due(requests: RequestService, watching: RequestService, clock: FrozenClock) -> None:
    request = requests.submit(RITA, "staging", HOUR, DEPLOY)
    assert watching.expire_due() == ()
    requests.approve(RequestId(request.id), ANN)
    clock.set(request.expires_at)
    assert watching.expire_due() == ()


def test_whole_list_is_read_again_after_a_while(
    requests: RequestService,
    watching: RequestService,
    counted: CountedStores,
    clock: FrozenClock,
    policy: ChangingPolicy,
) -> None:
    policy.edit(EVERYBODY_ASKS)
    for each in people(3):
        requests.submit(each, "prod", HOUR, DEPLOY)
    watching.expire_due()
    clock.advance(WHOLE_LIST)
    with counted.counting() as counts:
        watching.expire_due()
    assert counts == {"listed": 3}


def test_changed_policy_has_its_own_due_times(
    requests: RequestService, watching: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    request = requests.submit(RITA, "prod", HOUR, DEPLOY)
    clock.advance(HOUR)
    assert watching.remind_due() == ()
    policy.edit({"remind_after: 3h": "remind_after: 30m"})
    assert [each.id for each in watching.remind_due()] == [request.id]
    assert watching.remind_due() == ()


def test_event_is_asked_expired_and_its_review_reminded(
    break_glass: BreakGlassService, watching_events: BreakGlassService, clock: FrozenClock
) -> None:
    event = invoke(break_glass, ANN)
    closed = invoke(break_glass, BOB)

    def sweep() -> list[str]:
        service = watching_events
        found = {"expired": service.expire_due(), "asked": service.ask_due(), "reminded": service.remind_due()}
        return [f"{name} {each.id}" for name, records in found.items() for each in records]

    assert sweep() == []
    break_glass.close(EventId(closed.id), BOB, NOTES)
    clock.advance(timedelta(minutes=50))
    assert sweep() == [f"asked {event.id}"]
    clock.advance(timedelta(minutes=10))
    assert sweep() == [f"expired {event.id}"]
    clock.advance(timedelta(hours=72))
    assert sorted(sweep()) == sorted([f"reminded {event.id}", f"reminded {closed.id}"])
    assert sweep() == []


@pytest.mark.parametrize("ends_by", ["sweep", "click"])
def test_review_of_what_ended_late_is_reminded_at_once(
    watching_events: BreakGlassService, counted: CountedStores, clock: FrozenClock, ends_by: str
) -> None:
    event = invoke(watching_events, ANN)
    clock.advance(HOUR + timedelta(hours=72))
    assert watching_events.remind_due() == (), "nobody has ended it yet, so the list of reviews is empty"
    if ends_by == "sweep":
        watching_events.expire_due()
    else:
        with pytest.raises(Refused):
            watching_events.close(EventId(event.id), BOB, NOTES)
    with counted.counting() as counts:
        assert [each.id for each in watching_events.remind_due()] == [event.id]
    assert counts == {"listed": 0, "got": 1}, "not by the whole list"
    assert watching_events.remind_due() == ()

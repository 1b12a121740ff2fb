"""Each use case makes exactly the database round trips that it is allowed, on every DynamoDB."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from benchmarks.harness import dynamodb_harness
from benchmarks.round_trips import USE_CASES, CallCounter, Cost, UseCase, count
from core.clock import SystemClock
from core.request import RequestId
from core.services import BreakGlassService, GrantService, RequestService
from tests.builders import HOUR
from tests.core.services.access_harness import KnownPrincipals, with_access
from tests.core.services.harness import ANN, DEPLOY, RITA, event_id_of, invoke, request_id_of
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import ServiceHarness
    from core.break_glass import BreakGlassEvent
    from core.request import Request


@pytest.fixture(scope="module", params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def counted(request: pytest.FixtureRequest) -> Iterator[tuple[ServiceHarness, CallCounter]]:
    """Services over tables of their own, and what counts their calls."""
    # Not a FrozenClock: DynamoDB Local deletes what is past its `ttl`, and a clock in the past writes only such items.
    with dynamodb_harness(request.getfixturevalue(f"{request.param}_url"), SystemClock()) as (harness, client, _):
        yield harness, CallCounter(client)


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
def test_use_case_makes_the_round_trips_of_its_goal(
    counted: tuple[ServiceHarness, CallCounter], use_case: UseCase
) -> None:
    harness, counter = counted
    assert count(use_case, harness, counter) == use_case.goal


def test_access_adds_no_round_trip_to_a_decision(counted: tuple[ServiceHarness, CallCounter]) -> None:
    harness, counter = counted
    stores, policy, principals = harness.stores, with_access(), KnownPrincipals()
    directory = OfficeDirectory({"S0ENGINEERS": []})
    requests = RequestService(stores, policy, harness.clock, directory=directory, principals=principals)
    break_glass = BreakGlassService(stores, policy, harness.clock, directory=directory, principals=principals)
    grants = GrantService(stores, policy, harness.clock, directory=directory)

    def cost(act: Callable[[], object]) -> Cost:
        counter.start()
        act()
        return counter.cost()

    pending: list[Request] = []
    assert cost(lambda: pending.append(requests.submit(RITA, "staging", HOUR, DEPLOY))) == Cost(reads=1, writes=1)
    assert cost(lambda: requests.approve(request_id_of(pending[0]), ANN)) == Cost(reads=1, writes=1)
    soon = FrozenClock(harness.clock.now() + HOUR - timedelta(minutes=1))
    (reminded,) = GrantService(stores, policy, soon).remind_due()
    assert grants.find(pending[0].chain) == (reminded,)
    assert cost(lambda: grants.end(pending[0].chain, RITA)) == Cost(reads=2, writes=1)
    events: list[BreakGlassEvent] = []
    assert cost(lambda: events.append(invoke(break_glass, ANN, "staging"))) == Cost(reads=1, writes=1)
    # Which grants an event has, the event says.
    assert cost(lambda: break_glass.close(event_id_of(events[0]), ANN, "It is over")) == Cost(reads=2, writes=1)


def test_counter_counts_every_http_request(counted: tuple[ServiceHarness, CallCounter]) -> None:
    harness, counter = counted
    counter.start()
    request = harness.ask()
    for _ in range(3):
        harness.stores.requests.get(RequestId(request.id))
    # The directory notes, which a submission reads, and the request, three times.
    assert counter.cost() == Cost(reads=4, writes=1)

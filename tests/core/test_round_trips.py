"""Each use case makes exactly the database round trips that it is allowed, on every DynamoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.harness import dynamodb_harness
from benchmarks.round_trips import USE_CASES, CallCounter, Cost, UseCase, count
from core.clock import SystemClock
from core.request import RequestId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import ServiceHarness


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


def test_counter_counts_every_http_request(counted: tuple[ServiceHarness, CallCounter]) -> None:
    harness, counter = counted
    counter.start()
    request = harness.ask()
    for _ in range(3):
        harness.stores.requests.get(RequestId(request.id))
    # The directory notes, which a submission reads, and the request, three times.
    assert counter.cost() == Cost(reads=4, writes=1)

"""Long polls: answered at the change, by any process; at their time; and when the server stops."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from bot.api.rate_limits import CallRates
from bot.api.watching import RequestWatch
from core.access.device import DeviceId
from core.actor import Actor
from core.request import RequestId
from core.services import RequestService
from core.stores import open_stores
from tests.bot.api.served_api import ANN, JON, PATIENCE, WHY, ServedApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

MANY = 200


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def submit(api: ServedApi, token: str) -> tuple[str, str]:
    """A pending request: its id and its version."""
    made = api.ask("POST", "/v1/requests", token, {"profile": "prod", "justification": WHY}).body
    return made["id"], made["version"]


def waiting(api: ServedApi) -> float:
    return api.registry.get_sample_value("countersign_api_waiting") or 0.0


def wait_until(api: ServedApi, count: int) -> None:
    """Until so many calls wait. The event ends the test if it is broken."""
    tick, left = threading.Event(), PATIENCE * 100
    while waiting(api) != count:
        tick.wait(0.01)
        left -= 1
        assert left > 0


def test_wait_ends_at_a_decision_of_this_process(api: ServedApi, token: str, threads: ThreadPoolExecutor) -> None:
    made, version = submit(api, token)
    answer = threads.submit(api.ask, "GET", f"/v1/requests/{made}?wait=25&seen={version}", token)
    wait_until(api, 1)
    api.requests.approve(RequestId(made), Actor(id=JON))
    decided = answer.result(PATIENCE).body
    assert (decided["status"], decided["decided_by"]) == ("approved", JON)
    assert decided["version"] != version
    assert waiting(api) == 0


def test_wait_ends_at_a_decision_of_another_process(
    api: ServedApi, token: str, threads: ThreadPoolExecutor, tmp_path: Path, clock: FrozenClock
) -> None:
    made, version = submit(api, token)
    answer = threads.submit(api.ask, "GET", f"/v1/requests/{made}?wait=25&seen={version}", token)
    wait_until(api, 1)
    with closing(open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)) as elsewhere:
        RequestService(elsewhere, api.policy, clock, directory=api.directory).deny(
            RequestId(made), Actor(id=JON), "no!"
        )
    denied = answer.result(PATIENCE).body
    assert (denied["status"], denied["comment"]) == ("denied", "no!")


@pytest.mark.parametrize("query", ["", "?wait=0&seen=VERSION", "?wait=25&seen=older", "?wait=25", "?seen=VERSION"])
def test_look_without_a_reason_to_wait_is_answered_at_once(api: ServedApi, token: str, query: str) -> None:
    made, version = submit(api, token)
    assert api.ask("GET", f"/v1/requests/{made}{query.replace('VERSION', version)}", token).body["version"] == version


@pytest.mark.parametrize("query", ["?wait=26", "?wait=-1", "?wait=x", "?wait=1&wait=2", "?weit=1"])
def test_wait_that_cannot_be_read_is_refused(api: ServedApi, token: str, query: str) -> None:
    made, _ = submit(api, token)
    assert api.ask("GET", f"/v1/requests/{made}{query}", token).code == "invalid_input"


def test_wait_without_a_change_ends_at_its_time(api: ServedApi, token: str) -> None:
    made, version = submit(api, token)
    assert api.ask("GET", f"/v1/requests/{made}?wait=1&seen={version}", token).body["version"] == version


def test_device_that_ends_meanwhile_learns_nothing_more(
    api: ServedApi, token: str, threads: ThreadPoolExecutor
) -> None:
    made, version = submit(api, token)
    answer = threads.submit(api.ask, "GET", f"/v1/requests/{made}?wait=25&seen={version}", token)
    wait_until(api, 1)
    api.paper.end(DeviceId("0" * 15 + "1"), Actor(id=ANN))
    api.requests.approve(RequestId(made), Actor(id=JON))
    assert answer.result(PATIENCE).code == "pairing_expired"


def test_client_that_goes_away_frees_its_place(api: ServedApi, token: str) -> None:
    made, version = submit(api, token)
    connection = http.client.HTTPConnection(*api.where, timeout=PATIENCE)
    path = f"/v1/requests/{made}?wait=25&seen={version}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    wait_until(api, 1)
    connection.close()
    wait_until(api, 0)


def test_one_device_cannot_take_all_places(stores: Stores, clock: FrozenClock, threads: ThreadPoolExecutor) -> None:
    with ServedApi(stores, clock, limits=CallRates(waiting_each=2)) as api:
        token, other = api.paper.pair(), api.paper.pair()
        made, version = submit(api, token)
        path = f"/v1/requests/{made}?wait=25&seen={version}"
        answers = [threads.submit(api.ask, "GET", path, token) for _ in range(2)]
        wait_until(api, 2)
        assert api.ask("GET", path, token).code == "rate_limited"
        answers.append(threads.submit(api.ask, "GET", path, other))
        wait_until(api, 3)
        api.requests.cancel(RequestId(made), Actor(id=ANN))
        assert {each.result(PATIENCE).body["status"] for each in answers} == {"cancelled"}


def test_stopping_answers_all_that_wait_at_once(
    stores: Stores, clock: FrozenClock, threads: ThreadPoolExecutor
) -> None:
    with ServedApi(stores, clock) as api:
        token = api.paper.pair()
        made, version = submit(api, token)
        answers = [
            threads.submit(api.ask, "GET", f"/v1/requests/{made}?wait=25&seen={version}", token) for _ in range(4)
        ]
        wait_until(api, 4)
    assert [each.result(PATIENCE).body["status"] for each in answers] == ["pending"] * 4


def test_two_hundred_wait_without_a_thread_for_each(api: ServedApi) -> None:
    tokens = [api.paper.pair() for _ in range(20)]
    made, version = submit(api, tokens[0])
    before = threading.active_count()
    with ExitStack() as stack:
        connections = []
        for number in range(MANY):
            connection = stack.enter_context(closing(http.client.HTTPConnection(*api.where, timeout=PATIENCE)))
            headers = {"Authorization": f"Bearer {tokens[number % 20]}"}
            connection.request("GET", f"/v1/requests/{made}?wait=25&seen={version}", headers=headers)
            connections.append(connection)
        wait_until(api, MANY)
        # The lanes and the watch; nobody's own.
        assert threading.active_count() - before <= 10
        api.requests.approve(RequestId(made), Actor(id=JON))
        statuses = {json.loads(each.getresponse().read())["status"] for each in connections}
    assert statuses == {"approved"}


@pytest.mark.parametrize("is_nudged", [False, True])
def test_change_that_nobody_tells_of_is_seen_by_reading(*, is_nudged: bool) -> None:
    versions = {"a": "1", "b": "1"}
    reads: list[set[str]] = []

    async def wait() -> bool:
        watch = RequestWatch(lambda ids: read(watch, set(ids)), poll_seconds=0.01)
        with watch.join("a", "device") as waiter, watch.join("b", "device"):
            await asyncio.wait_for(waiter.wait("1", 3600), PATIENCE)
            ended = waiter.woken.is_set()
        watch.close()
        return ended

    def read(watch: RequestWatch, ids: set[str]) -> dict[str, str]:
        reads.append(ids)
        if len(reads) == 3:
            versions["a"] = "2"
        if is_nudged:
            # However often the other one is changed here.
            watch.wake("b")
        return {each: versions[each] for each in ids}

    assert asyncio.run(wait())
    assert any(each == {"a", "b"} for each in reads[2:])

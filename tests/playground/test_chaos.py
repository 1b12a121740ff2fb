"""What stands between the bot and its store and clock does what is switched on, and nothing once it's off."""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from core.errors import StoreUnavailable
from core.request import RequestId
from core.stores.base import PurgedStores
from core.stores.opening import open_stores
from playground.bots_clock import SkewedClock
from playground.gated_stores import StoreGate, StoreTrouble, gate_stores
from tests.builders import a_draft, a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

PATIENCE_SECONDS = 30


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    stores = open_stores(f"sqlite:///{tmp_path / 'store.db'}", clock=clock)
    yield stores
    stores.close()


@pytest.fixture
def gate() -> StoreGate:
    return StoreGate()


@pytest.fixture
def gated(stores: Stores, gate: StoreGate) -> Stores:
    return gate_stores(stores, gate)


def test_open_gate_changes_nothing(stores: Stores, gated: Stores) -> None:
    request = gated.requests.create(a_request(), a_draft())
    assert stores.requests.get(RequestId(request.id)) == gated.requests.get(RequestId(request.id)) == request
    assert isinstance(gated, PurgedStores)


def test_store_that_is_away_refuses_every_call(stores: Stores, gate: StoreGate, gated: Stores) -> None:
    gate.set_trouble(StoreTrouble.AWAY)
    with pytest.raises(StoreUnavailable, match="switched off"):
        gated.requests.create(a_request(), a_draft())
    assert list(stores.requests.iterate()) == []
    gate.set_trouble(StoreTrouble.NONE)
    gated.requests.create(a_request(), a_draft())


def test_slow_store_goes_on_at_once_when_it_ends(
    gate: StoreGate, gated: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.gated_stores.SLOW_SECONDS", PATIENCE_SECONDS)
    gate.set_trouble(StoreTrouble.SLOW)
    thread = threading.Thread(target=gated.requests.create, args=(a_request(), a_draft()))
    thread.start()
    gate.set_trouble(StoreTrouble.NONE)
    thread.join(PATIENCE_SECONDS / 2)
    assert not thread.is_alive()


def test_nothing_of_a_killed_bot_reaches_the_store(stores: Stores, gate: StoreGate, gated: Stores) -> None:
    gate.kill()
    with pytest.raises(SystemExit):
        gated.requests.create(a_request(), a_draft())
    with pytest.raises(SystemExit):
        gated.audit.get_chain("POLICY")
    assert list(stores.requests.iterate()) == []


def test_armed_bot_dies_once_its_decision_is_stored(stores: Stores, gate: StoreGate, gated: Stores) -> None:
    deaths: list[str] = []
    gate.arm(lambda: deaths.append("killed"))
    list(gated.requests.iterate())
    assert (deaths, gate.is_armed) == ([], True)
    request = a_request()
    with pytest.raises(SystemExit):
        gated.requests.create(request, a_draft())
    assert stores.requests.get(RequestId(request.id)).id == request.id
    assert (deaths, gate.is_armed, gate.is_dead) == (["killed"], False, True)


def test_clock_that_is_off_is_noticed_and_forgotten(clock: FrozenClock) -> None:
    machine = SkewedClock(clock)

    def compare() -> None:
        for _ in range(3):
            machine.compare(format_datetime(clock.now(), usegmt=True), machine.now())

    compare()
    assert (machine.is_known, machine.is_off) == (True, False)
    machine.set_skew(timedelta(minutes=-10))
    assert machine.now() == clock.now() - timedelta(minutes=10)
    assert not machine.is_known
    compare()
    assert (machine.is_off, round(machine.offset_seconds)) == (True, -600)
    machine.set_skew(timedelta())
    assert (machine.is_off, machine.now()) == (False, clock.now())


def test_moving_the_playgrounds_clock_is_no_fault(clock: FrozenClock) -> None:
    machine, sent_at = SkewedClock(clock), clock.now()
    clock.advance(timedelta(hours=6))
    for _ in range(5):
        machine.compare(format_datetime(clock.now(), usegmt=True), sent_at)
    assert not machine.is_off

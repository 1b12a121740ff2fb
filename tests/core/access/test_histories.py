"""The property that matters, over random histories: access is there exactly when it is wanted, up to the stated slack.

COUNTERSIGN_ACCESS_HISTORIES sets how many; `world.py` says what can happen in one. A seed plays the same history again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from core.audit.replay import find_contradictions
from core.clock import Clock
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.core.access.edge_triggered import play_edge_triggered
from tests.core.access.world import MakeStore, Odds, World, play
from tests.harness.access_store import MemoryAccessStore
from tests.harness.mirrored_access import MirroredAccessStore

HISTORIES: Final = int(os.environ.get("COUNTERSIGN_ACCESS_HISTORIES", "300"))
FIRST_SEED: Final = int(os.environ.get("COUNTERSIGN_ACCESS_FIRST_SEED", "0"))
BATCHES: Final = 5
ON_SQLITE: Final = min(HISTORIES, 25)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_access_is_there_exactly_when_it_is_wanted(batch: int) -> None:
    seeds = range(FIRST_SEED + batch, FIRST_SEED + HISTORIES, BATCHES)
    found = {seed: verdicts for seed in seeds if (verdicts := play(seed, _store_for(seed))[1])}
    assert found == {}


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + ON_SQLITE))
def test_real_store_answers_as_the_model_does(tmp_path: Path, seed: int) -> None:
    with ExitStack() as opened:

        def make_store(clock: Clock, boundary: Callable[[str], object]) -> MirroredAccessStore:
            stores = SqliteStores(str(tmp_path / "access.db"), StoreSettings(clock=clock))
            opened.callback(stores.close)
            return MirroredAccessStore(stores, clock, boundary)

        world, verdicts = play(seed, make_store)
        assert verdicts == []
        assert all(world.store.get_right(grant.right).grants for grant in world.store.grants.values())


def test_late_call_of_a_worker_that_died_stays_ours() -> None:
    """In this history it called half a minute after its intent, died, and the list lagged."""
    assert play(1633, None)[1] == []


def _store_for(seed: int) -> MakeStore | None:
    return MemoryAccessStore if seed % 20 == 0 else None


def test_histories_have_what_they_promise() -> None:
    calls: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    ahead = 0
    for seed in range(100):
        world, _ = play(seed)
        calls.update(world.target.calls)
        actions.update(entry.event for entries in world.store.entries.values() for entry in entries)
        for grant in world.store.grants.values():
            early = grant.ended_early
            ahead += int(early is not None and early.at < grant.starts_at and grant.opened_at is None)
            assert list(find_contradictions(grant, world.store.read_chain(grant))) == []
    assert all(calls[name] > 100 for name in ("inspect", "give", "take", "poll"))
    expected = {"grant_opened", "grant_closed", "grant_failed", "revoke_failing", "drift_found", "grant_delayed"}
    assert expected <= {str(action) for action in actions}
    assert ahead > 10, "grants that ended before their start"


def test_same_seed_plays_the_same_history() -> None:
    (first, _), (second, _) = play(7), play(7)
    assert first.target.calls == second.target.calls
    assert first.now == second.now


def test_edge_triggered_design_fails_before_the_same_judge() -> None:
    verdicts = [play_edge_triggered(seed) for seed in range(600)]
    cut = sum(any("missing" in each for each in found) for found in verdicts)
    for_ever = sum(any("for ever" in each for each in found) for found in verdicts)
    assert cut > 50
    assert for_ever > 0


def test_judge_is_silent_in_a_world_without_trouble() -> None:
    world = World(1, Odds())
    assert world.judge.finish(with_records=True) == []

"""Issuing against ending, by threads and by processes: the second is refused, or sees what the first did.

COUNTERSIGN_RACE_ROUNDS sets the rounds. Moto handles one request at a time, so there a round shows only that it agrees.
"""

from __future__ import annotations

import multiprocessing
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantId
from core.access.session import SessionId, SessionStatus
from core.audit.trail import AuditAction
from core.errors import CountersignError
from core.stores import open_stores
from tests.core.access.world import RIGHT
from tests.core.stores.harness import KEYRING, SqliteHarness
from tests.core.stores.session_bench import DESKTOP, SessionBench
from tests.core.stores.test_access_races import _race, _rights
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.core.stores.harness import StoreHarness

pytestmark = pytest.mark.race


@pytest.fixture
def benches(harness: StoreHarness) -> list[SessionBench]:
    """Three running bots on one store."""
    return [SessionBench.on(harness.open(), harness.clock) for _ in range(3)]


def test_issue_and_end_of_the_grant_see_each_other(harness: StoreHarness, benches: list[SessionBench]) -> None:
    one, two, three = benches
    for number, right in enumerate(_rights(harness)):
        grant = one.open_grant(number, right=right)
        found: list[str] = []

        def end_and_look() -> None:
            three.end(grant)  # noqa: B023 - called in this round
            found.extend(each.id for each in three.store.list_of_right(right).sessions)  # noqa: B023

        winners = _race(partial(one.issue, grant), partial(two.issue, grant, DESKTOP), end_and_look)
        assert 2 in winners
        assert sorted(found) == sorted(each.id for each in one.store.list_of_grant(GrantId(grant.id)).sessions)
        assert len(found) == len(winners) - 1


def test_touch_and_revoke_exclude_each_other(harness: StoreHarness, benches: list[SessionBench]) -> None:
    one, two, three = benches
    for number, right in enumerate(_rights(harness)):
        grant = one.open_grant(number, right=right)
        session = one.issue(grant)
        winners = _race(
            partial(one.touch, session, grant), partial(two.revoke, session), partial(three.touch, session, grant)
        )
        assert len(winners) == 1
        stored = one.store.get(SessionId(session.id))
        assert stored.status is (SessionStatus.REVOKED if winners == [1] else SessionStatus.ACTIVE)
        assert stored.issue_count == (1 if winners == [1] else 2)
        assert len(harness.stores.audit.get_chain(session.chain)) == 2


def test_only_one_of_several_moves_a_door(harness: StoreHarness, benches: list[SessionBench]) -> None:
    for right in _rights(harness):
        door, now = benches[0].store.get_door(right), harness.clock.now()
        moves = [partial(each.store.move_door, door.open(f"{at:016x}", 1, now)) for at, each in enumerate(benches)]
        (winner,) = _race(*moves)
        assert benches[0].store.get_door(right).grant == f"{winner:016x}"


def test_two_processes_make_one_session(tmp_path: Path, clock: FrozenClock) -> None:
    with closing(SqliteHarness(tmp_path / "shared.db", clock)) as harness:
        bench = SessionBench.on(harness.stores, clock)
        grant = bench.open_grant()
        context = multiprocessing.get_context("forkserver")
        ours, theirs = zip(*(context.Pipe() for _ in range(2)), strict=True)
        processes = [context.Process(target=_issue_when_told, args=(str(harness.path), end)) for end in theirs]
        for process in processes:
            process.start()
        for end in ours:
            end.recv()
        for end in ours:
            end.send("go")
        won = sum(end.recv() for end in ours)
        for process in processes:
            process.join()
        assert won == 1
        (session,) = bench.store.list_of_grant(GrantId(grant.id)).sessions
        assert [each.event for each in harness.stores.audit.get_chain(session.chain)] == [
            AuditAction.CREDENTIALS_ISSUED
        ]


def _issue_when_told(path: str, pipe: Connection) -> None:
    with closing(open_stores(f"sqlite:///{path}", keyring=KEYRING, clock=FrozenClock())) as stores:
        bench = SessionBench.on(stores, FrozenClock())
        (grant,) = stores.access.get_right(RIGHT).grants
        pipe.send("ready")
        pipe.recv()
        has_won = False
        with suppress(CountersignError):
            bench.issue(grant)
            has_won = True
        pipe.send(has_won)

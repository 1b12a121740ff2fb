"""Threads that take effect side by side: what hangs holds up no other target, no other emergency, and no stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from bot.background import AccessWork
from core.access.grant import GrantId, GrantStatus
from core.errors import StoreUnavailable
from core.stores import open_stores
from tests.bot.access_grants import HOUR, StallingTarget, a_right, make_grant
from tests.bot.test_access_work import Watched
from tests.core.sinks import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    stores = open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)
    yield stores
    stores.close()


class Background:
    """The work of one process, whose passes a test begins, on a target that may stall and one that doesn't."""

    def __init__(self, stores: Stores, clock: FrozenClock, access: Watched | None = None) -> None:
        self.aws, self.db = StallingTarget(), StallingTarget()
        self.stopping = threading.Event()
        self._work = AccessWork(
            access if access is not None else stores.access, {"aws": self.aws, "db": self.db}, clock
        )
        self.emergencies, self.others, _ = self._work.loops(self.stopping, list)

    def join(self, patience_seconds: float = PATIENCE_SECONDS) -> bool:
        return self._work.join(time.monotonic() + patience_seconds)


@pytest.fixture
def background(stores: Stores, clock: FrozenClock) -> Iterator[Background]:
    background = Background(stores, clock)
    yield background
    background.stopping.set()
    background.aws.release()
    assert background.join()


def test_target_that_hangs_holds_up_no_revoke_of_another(
    stores: Stores, clock: FrozenClock, background: Background
) -> None:
    ending = make_grant(stores, clock.now(), 1, right=a_right("bob", "db"))
    background.others.work()
    background.db.wait_until_held(ending.right)
    assert background.join()
    clock.advance(HOUR)
    make_grant(stores, clock.now(), 2, right=a_right("slow"))
    background.others.work()
    background.aws.wait_until_stalled()
    background.db.wait_until_held(ending.right, is_held=False)
    assert not background.aws.held


def test_revoke_that_comes_while_a_target_hangs_is_done(
    stores: Stores, clock: FrozenClock, background: Background
) -> None:
    ending = make_grant(stores, clock.now(), 1, right=a_right("bob", "db"))
    background.others.work()
    assert background.join()
    make_grant(stores, clock.now(), 2, right=a_right("slow"))
    background.others.work()
    background.aws.wait_until_stalled()
    clock.advance(HOUR)
    background.others.work()
    background.db.wait_until_held(ending.right, is_held=False)
    assert background.aws.waiting == 1, "its lane waits for the call in hand"


def test_emergency_opens_while_another_of_its_target_hangs(
    stores: Stores, clock: FrozenClock, background: Background
) -> None:
    make_grant(stores, clock.now(), 1, right=a_right("slow"), is_emergency=True)
    background.emergencies.work()
    background.aws.wait_until_stalled()
    second = make_grant(stores, clock.now(), 2, right=a_right("eve"), is_emergency=True)
    background.emergencies.work()
    background.aws.wait_until_held(second.right)
    assert a_right("slow") not in background.aws.held
    assert background.aws.waiting == 1, "what is in hand is not handed out again"


def test_stop_waits_no_longer_than_it_may(stores: Stores, clock: FrozenClock, background: Background) -> None:
    rights = [a_right("slow"), a_right("zoe")]
    for number, right in enumerate(rights, start=1):
        make_grant(stores, clock.now(), number, right=right)
    background.others.work()
    background.aws.wait_until_stalled()
    background.stopping.set()
    assert not background.join(0.0)
    background.aws.release()
    assert background.join()
    assert background.aws.held == {a_right("slow")}, "the call in hand ends, and no other begins"
    background.others.work()
    assert background.join()
    assert a_right("zoe") not in background.aws.held


def test_store_that_is_away_during_a_visit_is_heard_of(stores: Stores, clock: FrozenClock) -> None:
    is_away = [True]

    def answer(name: str, answer: object) -> object:
        if name == "commit" and is_away[0]:
            raise StoreUnavailable("nobody answers")
        return answer

    background = Background(stores, clock, Watched(stores.access, answer))
    grant = make_grant(stores, clock.now(), 1)
    background.others.work()
    assert background.join()
    with pytest.raises(StoreUnavailable, match="nobody answers"):
        background.others.work()
    assert background.join()
    is_away[0] = False
    # The commit of which no answer came holds a lease.
    clock.advance(HOUR / 2)
    background.others.work()
    assert background.join()
    assert stores.access.get(GrantId(grant.id)).status is GrantStatus.ACTIVE


def test_nothing_more_is_visited_while_the_store_is_away(stores: Stores, clock: FrozenClock) -> None:
    failures: list[str] = []

    def answer(name: str, answer: object) -> object:
        if name == "commit" and failures:
            raise StoreUnavailable(failures.pop())
        return answer

    background = Background(stores, clock, Watched(stores.access, answer))
    waiting = a_right("zoe", "db")
    for number, right in enumerate((a_right("slow", "db"), waiting), start=1):
        make_grant(stores, clock.now(), number, right=right)
    background.others.work()
    background.db.wait_until_stalled()
    failures.append("nobody answers")
    make_grant(stores, clock.now(), 3)
    background.others.work()
    for thread in threading.enumerate():
        if thread.name.endswith("of aws"):
            thread.join(PATIENCE_SECONDS)
    background.db.release()
    assert background.join()
    assert waiting not in background.db.held
    with pytest.raises(StoreUnavailable, match="nobody answers"):
        background.others.work()
    background.db.wait_until_held(waiting)
    assert background.join()


def test_thread_that_cannot_start_leaves_its_right_due(
    stores: Stores, clock: FrozenClock, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = make_grant(stores, clock.now(), 1)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            background.others.work()
    background.others.work()
    background.aws.wait_until_held(grant.right)


def test_more_than_a_lane_holds_is_read_without_a_rest(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.access.due_queue.MAX_WAITING", 2)
    for name in ("access.AGAIN_SECONDS", "loops.MIN_PAUSE_SECONDS"):
        monkeypatch.setattr(f"bot.background.{name}", 0.0 if "MIN" in name else 3_600.0)
    background = Background(stores, clock)
    for number in range(1, 6):
        make_grant(stores, clock.now(), number, right=a_right(f"p{number}"))
    for held in (2, 4):
        background.others.work()
        assert background.join()
        assert len(background.aws.held) == held
        resting = threading.Thread(target=background.others.rest, args=(3_600.0,), daemon=True)
        resting.start()
        resting.join(PATIENCE_SECONDS)
        assert not resting.is_alive()
    background.others.work()
    assert background.join()
    assert len(background.aws.held) == 5

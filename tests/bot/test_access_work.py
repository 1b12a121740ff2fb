"""Access in the background: at once, emergencies apart, without calls while nothing is due, and stopped in time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.background import AccessWork, Sweeper
from bot.background.access import DUE_SECONDS, EMERGENCY_SECONDS
from bot.background.loops import Nudge
from core.access.due_rights import VisitCounts
from core.access.grant import GrantId, GrantStatus
from core.access.holding import Urgency
from core.audit.trail import AuditAction, EntryDraft
from core.directory import FixedDirectory
from core.errors import StoreMisconfigured, StoreUnavailable
from core.services import BreakGlassService, GrantService, RequestService
from core.stores import open_stores
from tests.bot.access_grants import HOUR, StallingTarget, a_right, make_grant
from tests.builders import a_request
from tests.core.access.test_cost import READS_OF_AN_IDLE_PASS, with_live
from tests.core.access.world import a_grant
from tests.core.services.access_harness import KnownPrincipals, with_access
from tests.core.services.harness import ChangingPolicy, invoke
from tests.core.sinks import PATIENCE_SECONDS, StalledSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from core.record import Record
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

NEVER_SECONDS = 3_600.0
QUICK = ("EMERGENCY_SECONDS", "DUE_SECONDS", "MEASURE_SECONDS")


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    stores = open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)
    yield stores
    stores.close()


@pytest.fixture
def target() -> Iterator[StallingTarget]:
    target = StallingTarget()
    yield target
    target.release()


@pytest.fixture
def sweepers() -> Iterator[list[Sweeper]]:
    """Whatever a test puts in here is stopped at its end."""
    sweepers: list[Sweeper] = []
    yield sweepers
    for sweeper in sweepers:
        sweeper.stop()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time, so that a test does not wait for a look."""
    for name in QUICK:
        monkeypatch.setattr(f"bot.background.access.{name}", 0.01)
    monkeypatch.setattr("bot.background.loops.MIN_PAUSE_SECONDS", 0.0)


@pytest.fixture
def _at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first pass, no other one starts on its own."""
    for name in QUICK:
        monkeypatch.setattr(f"bot.background.access.{name}", NEVER_SECONDS)
    monkeypatch.setattr("bot.background.sweeper.LOOK_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr("bot.background.loops.MIN_PAUSE_SECONDS", 0.0)


class Watched:
    """A real store; `look` sees each answer, and may wait, raise or replace it."""

    def __init__(self, store: object, look: Callable[[str, Any], Any]) -> None:
        self._store = store
        self._look = look

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  Whatever the store has.
        found = getattr(self._store, name)
        return lambda *arguments, **named: self._look(name, found(*arguments, **named))


def a_sweeper(
    stores: Stores,
    clock: FrozenClock,
    target: StallingTarget,
    sink: StalledSink | None = None,
    access: Watched | None = None,
    committed: Sequence[Record] = (),
) -> Sweeper:
    policy = ChangingPolicy()
    work = AccessWork(access if access is not None else stores.access, {"aws": target}, clock)
    for each in committed:
        work.hear(each)
    return Sweeper(
        RequestService(stores, policy, clock, directory=FixedDirectory()),
        BreakGlassService(stores, policy, clock, directory=FixedDirectory()),
        stores,
        [sink] if sink is not None else [],
        clock,
        access=work,
    )


# Once


def test_sweep_opens_and_ends_access(stores: Stores, clock: FrozenClock, target: StallingTarget) -> None:
    grant = make_grant(stores, clock.now())
    sweeper = a_sweeper(stores, clock, target)
    assert sweeper.sweep().access == VisitCounts(visited=1)
    assert stores.access.get(GrantId(grant.id)).status is GrantStatus.ACTIVE
    clock.advance(HOUR)
    sweeper.sweep()
    assert stores.access.get(GrantId(grant.id)).status is GrantStatus.ENDED
    assert not target.held


def test_idle_background_calls_no_target_and_reads_little() -> None:
    access = with_live(10)
    work = AccessWork(access.store, access.targets, access.clock)
    stopping = threading.Event()
    emergencies, others, measure = work.loops(stopping, list)
    reads, calls = access.store.reads, len(access.target.calls)
    emergencies.work()
    assert access.store.reads - reads == 1
    others.work()
    assert access.store.reads - reads == READS_OF_AN_IDLE_PASS
    assert len(access.target.calls) == calls
    # A grant opens within a few seconds, and ends within a minute.
    assert (emergencies.seconds, others.seconds) == (EMERGENCY_SECONDS, DUE_SECONDS)
    assert EMERGENCY_SECONDS <= 1
    assert DUE_SECONDS <= 5
    assert measure.seconds >= 10


@pytest.mark.parametrize("in_background", [False, True])
def test_what_a_wrong_clock_put_off_is_visited(
    stores: Stores, clock: FrozenClock, target: StallingTarget, sweepers: list[Sweeper], *, in_background: bool
) -> None:
    grant = make_grant(stores, clock.now())
    state = stores.access.get_right(grant.right)
    tomorrow = clock.now() + timedelta(days=1)
    stores.access.commit(state, state.holding.change(next_look_at=tomorrow, urgency=Urgency.GRANT))
    sweepers.append(sweeper := a_sweeper(stores, clock, target))
    if in_background:
        sweeper.start()
    else:
        sweeper.sweep()
    target.wait_until_held(grant.right)


def test_sweep_ends_what_a_closed_event_left_open(stores: Stores, clock: FrozenClock) -> None:
    policy, people = with_access(), FixedDirectory()
    break_glass = BreakGlassService(stores, policy, clock, directory=people, principals=KnownPrincipals())
    requests, grants = RequestService(stores, policy, clock, directory=people), GrantService(stores, policy, clock)
    event = invoke(break_glass)
    closed = event.close(event.invoker, clock.now(), "It is over")
    stores.break_glass.update(closed, EntryDraft.of(closed, AuditAction.BREAK_GLASS_CLOSED, event.invoker))
    Sweeper(requests, break_glass, stores, [], clock, grants=grants).sweep()
    assert {grant.status for grant in grants.find(event.chain)} == {GrantStatus.ENDING}


def test_sweep_delivers_although_access_cannot_be_read(
    stores: Stores, clock: FrozenClock, target: StallingTarget
) -> None:
    def refuse(*_: Any) -> None:  # noqa: ANN401  Whatever was asked.
        raise StoreMisconfigured("a table is missing", "Run `countersign tables create`")

    make_grant(stores, clock.now())
    sink = StalledSink("slack")
    sink.release()
    with pytest.raises(StoreMisconfigured):
        a_sweeper(stores, clock, target, sink, Watched(stores.access, refuse)).sweep()
    assert not stores.outbox.measure_backlog(10).waiting


# In the background


def test_rest_is_short_while_something_is_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.background.loops.MIN_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("bot.background.access.AGAIN_SECONDS", 0.0)
    access = with_live(1)
    access.clock.set(access.clock.now() + HOUR)
    work = AccessWork(access.store, access.targets, access.clock)
    _, others, _ = work.loops(threading.Event(), list)
    others.work()
    assert work.join(time.monotonic() + PATIENCE_SECONDS)
    # Without the visit, this would take an hour.
    others.rest(NEVER_SECONDS)
    assert not access.target.held


@pytest.mark.usefixtures("_at_rest")
def test_nudge_lets_a_decision_take_effect_at_once(
    stores: Stores, clock: FrozenClock, target: StallingTarget, sweepers: list[Sweeper]
) -> None:
    sweepers.append(sweeper := a_sweeper(stores, clock, target))
    sweeper.start()
    for number, is_emergency in enumerate((False, True, False), start=1):
        right = a_right(f"p{number}")
        make_grant(stores, clock.now(), number, right=right, is_emergency=is_emergency)
        sweeper.nudge()
        target.wait_until_held(right)


def test_change_without_a_grant_wakes_no_look_for_access() -> None:
    access = with_live(1)
    work, now = AccessWork(access.store, access.targets, access.clock), access.clock.now()
    _, others, _ = work.loops(threading.Event(), list)
    resting = threading.Thread(target=others.rest, args=(NEVER_SECONDS,), daemon=True)
    resting.start()
    work.hear(a_request(now=now))
    work.nudge()
    # As it should be, it rests on, however long this is.
    resting.join(0.2)
    assert resting.is_alive()
    work.hear(a_grant(source=f"REQUEST#{1:016x}", starts_at=now, ends_at=now + HOUR, now=now))
    work.nudge()
    resting.join(PATIENCE_SECONDS)
    assert not resting.is_alive()


def test_index_that_lags_is_looked_at_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.background.loops.MIN_PAUSE_SECONDS", 0.0)
    nudge = Nudge(threading.Event(), again_seconds=0.0)
    nudge.give()
    nudge.rest(NEVER_SECONDS)
    resting = threading.Thread(target=nudge.rest, args=(NEVER_SECONDS,), daemon=True)
    resting.start()
    resting.join(PATIENCE_SECONDS)
    assert not resting.is_alive()


@pytest.mark.usefixtures("_quick")
def test_emergency_opens_while_a_target_is_slow(
    stores: Stores, clock: FrozenClock, target: StallingTarget, sweepers: list[Sweeper]
) -> None:
    make_grant(stores, clock.now(), 1, right=a_right("slow"))
    sweepers.append(sweeper := a_sweeper(stores, clock, target))
    sweeper.start()
    target.wait_until_stalled()
    emergency = make_grant(stores, clock.now(), 2, right=a_right("eve"), is_emergency=True)
    target.wait_until_held(emergency.right)
    assert a_right("slow") not in target.held
    target.release()


def test_what_took_effect_is_announced_at_once(stores: Stores, clock: FrozenClock, target: StallingTarget) -> None:
    announced: list[int] = []
    work = AccessWork(stores.access, {"aws": target}, clock)
    _, others, _ = work.loops(threading.Event(), lambda: announced.append(len(target.held)))
    grant = make_grant(stores, clock.now())
    others.work()
    assert work.join(time.monotonic() + PATIENCE_SECONDS)
    assert announced == [1]
    assert [entry.event for entry in stores.audit.get_chain(grant.chain)] == [
        AuditAction.GRANT_CREATED, AuditAction.GRANT_GIVEN, AuditAction.GRANT_OPENED
    ]  # fmt: skip


@pytest.mark.usefixtures("_quick")
def test_store_that_was_away_lets_access_open_later(
    stores: Stores, clock: FrozenClock, target: StallingTarget, sweepers: list[Sweeper],
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("bot.background.loops.MAX_PAUSE_SECONDS", 0.01)
    was_asked, is_back = threading.Event(), threading.Event()

    def answer(_name: str, answer: Any) -> Any:  # noqa: ANN401  Whatever the store has.
        was_asked.set()
        if not is_back.is_set():
            raise StoreUnavailable("nobody answers")
        return answer

    make_grant(stores, clock.now())
    sweepers.append(sweeper := a_sweeper(stores, clock, target, access=Watched(stores.access, answer)))
    sweeper.start()
    assert was_asked.wait(PATIENCE_SECONDS)
    is_back.set()
    target.wait_until_held(a_right())
    assert sweeper.stop()
    assert "nobody answers" in caplog.text
    assert "Traceback" not in caplog.text


# Stopping


@pytest.mark.usefixtures("_quick")
def test_stop_finishes_the_step_in_hand_and_begins_no_other(
    stores: Stores, clock: FrozenClock, target: StallingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.background.sweeper.FINISH_TIMEOUT_SECONDS", 0.01)
    slow, later = a_right("slow"), a_right("zoe")
    for number, right in enumerate((slow, later), start=1):
        make_grant(stores, clock.now(), number, right=right)
    sweeper = a_sweeper(stores, clock, target)
    sweeper.start()
    target.wait_until_stalled()
    # What hangs is left to its lease.
    assert not sweeper.stop()
    lease = stores.access.get_right(slow).holding.lease
    assert lease is not None
    assert lease.until > clock.now()
    target.release()
    monkeypatch.setattr("bot.background.sweeper.FINISH_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    assert sweeper.stop()
    assert target.held == {slow}
    assert stores.access.get_right(slow).holding.lease is None


@pytest.mark.usefixtures("_at_rest")
def test_stop_waits_for_no_rest(stores: Stores, clock: FrozenClock, target: StallingTarget) -> None:
    sweeper = a_sweeper(stores, clock, target, committed=[a_request(now=clock.now())])
    sweeper.start()
    assert sweeper.stop()


# What is measured


def test_reading_says_when_the_first_end_is_and_how_much_is_live(
    stores: Stores, clock: FrozenClock, target: StallingTarget
) -> None:
    work = AccessWork(stores.access, {"aws": target}, clock)
    assert work.reading() is None
    make_grant(stores, clock.now(), 1)
    make_grant(stores, clock.now(), 2, right=a_right("bob"), length=2 * HOUR)
    work.measure()
    reading = work.reading()
    assert reading is not None
    assert (reading.first_end, reading.live) == (clock.now() + HOUR, 2)


def test_live_grants_are_counted_seldom(stores: Stores, clock: FrozenClock, target: StallingTarget) -> None:
    asked: list[str] = []

    def note(name: str, answer: Any) -> Any:  # noqa: ANN401  Whatever the store has.
        asked.append(name)
        return answer

    work = AccessWork(Watched(stores.access, note), {"aws": target}, clock)
    for _ in range(31):
        work.measure()
        clock.advance(timedelta(seconds=10))
    assert asked.count("find_first_end") == 31
    assert asked.count("count_live") == 2


def test_reading_is_gone_when_the_store_is(stores: Stores, clock: FrozenClock, target: StallingTarget) -> None:
    work = AccessWork(stores.access, {"aws": target}, clock)
    work.measure()
    assert work.reading() is not None
    stores.close()
    with pytest.raises(StoreUnavailable):
        work.measure()
    assert work.reading() is None

"""The sweeper: once, in the background, beside others, and through every error."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from slack_sdk import WebClient

from bot.background import OutboxState, Sweeper, Swept, TerminalWork
from bot.wiring.instance import build_services, build_sweeper
from bot.wiring.ports import Ports
from core.access.device import DeviceId, DeviceStatus
from core.actor import DeciderId
from core.audit.key_retirement import retire_key
from core.audit.keyring import AuditKeyring
from core.audit.trail import CHECKPOINTS
from core.break_glass import EventId, EventStatus, ReasonCode
from core.directory import FixedDirectory
from core.errors import StoreUnavailable
from core.outbox.outbox import DeliveryCounts
from core.request import RequestId, RequestStatus
from core.services import BreakGlassService, DeviceService, RequestService, SessionService
from core.services.due import Rest, no_rest
from core.stores import open_stores
from core.stores.outbox import Backlog
from tests.builders import HOUR
from tests.core.services.harness import ANN, RITA, ChangingPolicy, trail
from tests.core.sinks import PATIENCE_SECONDS, PickySink, RecordingSink, StalledSink, a_failure, a_final_failure
from tests.core.stores.device_bench import DeviceBench
from tests.core.targets.role_office import RoleOffice
from tests.harness.keys import AUDIT_KEY, OLDER_AUDIT_KEY
from tests.harness.pretend_aws import serve_pretend_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from core.access.session import Session
    from core.break_glass import BreakGlassEvent
    from core.outbox.delivery import Sink
    from core.request import Request
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

WHY: Final = "Deploy the fix for INC-12"
NEVER_SECONDS: Final = 3_600.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/countersign.db"


@pytest.fixture
def stores(url: str, clock: FrozenClock) -> Iterator[Stores]:
    stores = open_stores(url, clock=clock)
    yield stores
    stores.close()


@pytest.fixture
def requests(stores: Stores, clock: FrozenClock) -> RequestService:
    return RequestService(stores, _policy(), clock, directory=FixedDirectory())


@pytest.fixture
def break_glass(stores: Stores, clock: FrozenClock) -> BreakGlassService:
    return BreakGlassService(stores, _policy(), clock, directory=FixedDirectory())


@pytest.fixture
def sweepers() -> Iterator[list[Sweeper]]:
    """Whatever a test puts in here is stopped at its end."""
    sweepers: list[Sweeper] = []
    yield sweepers
    for sweeper in sweepers:
        assert sweeper.stop()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time, so that a test does not wait for a look."""
    for name in ("LOOK_SECONDS", "WATCH_SECONDS", "MEASURE_SECONDS"):
        monkeypatch.setattr(f"bot.background.sweeper.{name}", 0.01)
    for name in ("MIN_PAUSE_SECONDS", "MAX_PAUSE_SECONDS"):
        monkeypatch.setattr(f"bot.background.loops.{name}", 0.01)


@pytest.fixture
def _at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first pass, no other one starts on its own."""
    monkeypatch.setattr("bot.background.loops.MIN_PAUSE_SECONDS", 0.0)
    for name in ("LOOK_SECONDS", "WATCH_SECONDS", "MEASURE_SECONDS"):
        monkeypatch.setattr(f"bot.background.sweeper.{name}", NEVER_SECONDS)


class _Watched:
    """Real stores whose every answer somebody may look at, or replace by an error."""

    def __init__(self, store: object, look: Callable[[str, Any], Any]) -> None:
        self._store = store
        self._look = look

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  Whatever the store has.
        found = getattr(self._store, name)
        if callable(found):
            return lambda *arguments, **named: self._look(name, found(*arguments, **named))
        return _Watched(found, self._look)


MANY: Final = {
    "    max_duration: 8h\n": "    max_duration: 8h\n    max_pending: 20\n",
    "    remind_after: 3h\n": "    remind_after: 3h\n    max_pending: 20\n",
}


def _policy() -> ChangingPolicy:
    """One that lets somebody have many open requests."""
    policy = ChangingPolicy()
    policy.edit(MANY)
    return policy


def _sweeper(stores: Stores, clock: FrozenClock, *sinks: Sink) -> Sweeper:
    policy = _policy()
    requests, break_glass = (
        RequestService(stores, policy, clock, directory=FixedDirectory()),
        BreakGlassService(stores, policy, clock, directory=FixedDirectory()),
    )
    return Sweeper(requests, break_glass, stores, sinks, clock)


def test_sweep_ends_devices_whose_time_is_over(stores: Stores, clock: FrozenClock) -> None:
    policy, nobody = _policy(), FixedDirectory()
    device = DeviceBench(stores, clock).pair()
    sweeper = Sweeper(
        RequestService(stores, policy, clock), BreakGlassService(stores, policy, clock), stores, [], clock,
        terminals=TerminalWork(devices=DeviceService(stores, policy, clock, directory=nobody)),
    )  # fmt: skip
    for wait, status in ((0, DeviceStatus.ACTIVE), (12, DeviceStatus.EXPIRED)):
        clock.advance(timedelta(hours=wait))
        sweeper.sweep()
        assert stores.devices.get(DeviceId(device.id)).status is status


class _NotedDenies:
    """A role editor that only notes which sessions it was asked to deny."""

    def __init__(self) -> None:
        self.denied: queue.Queue[str] = queue.Queue()

    def deny(self, session: Session, *, has_grant_ended: bool) -> str | None:
        assert not has_grant_ended
        self.denied.put(session.id)
        return None

    def clean(
        self, target: str, role: str, dead: Sequence[Session], over: frozenset[str]
    ) -> tuple[frozenset[str], str | None]:
        raise AssertionError((target, role, dead, over))


@pytest.mark.usefixtures("_at_rest")
def test_session_that_is_revoked_is_denied_at_once(stores: Stores, clock: FrozenClock) -> None:
    policy, editor = _policy(), _NotedDenies()
    with serve_pretend_aws(clock) as aws:
        office = RoleOffice(stores, clock, aws)
        office.open()
        issued = [office.issue(device=number) for number in (1, 2)]
    sessions = SessionService(stores, office.policy, clock, office.roles, directory=FixedDirectory(), editor=editor)
    sweeper = Sweeper(
        RequestService(stores, policy, clock), BreakGlassService(stores, policy, clock), stores, [], clock,
        terminals=TerminalWork(sessions=sessions),
    )  # fmt: skip
    sweeper.start()
    try:
        # The first may be seen by the first look.
        for each in issued:
            sessions.end_device(each.session.user, each.session.device, DeciderId(each.session.user))
            sweeper.nudge()
            assert editor.denied.get(timeout=PATIENCE_SECONDS) == each.session.id
    finally:
        sweeper.stop()


def _submit(requests: RequestService, profile: str = "staging") -> Request:
    return requests.submit(RITA, profile, HOUR, WHY)


def _invoke(break_glass: BreakGlassService) -> BreakGlassEvent:
    return break_glass.invoke(ANN, "prod", ReasonCode.INCIDENT, "The checkout is down, INC-12", HOUR)


def _attentive(name: str = "slack") -> StalledSink:
    """A sink that stalls for nobody and can be waited for."""
    return StalledSink(name, profile="none")


# Once


def test_sweep_does_all_that_is_due_and_says_how_much(
    stores: Stores, clock: FrozenClock, requests: RequestService, break_glass: BreakGlassService
) -> None:
    overdue, reminded, event = _submit(requests), _submit(requests, "prod"), _invoke(break_glass)
    clock.advance(3 * HOUR)
    sink = RecordingSink("slack")
    sweeper = _sweeper(stores, clock, sink)
    assert sweeper.sweep() == Swept(1, 1, 1, 0, 0, DeliveryCounts(delivered=6))
    assert stores.requests.get(RequestId(overdue.id)).status is RequestStatus.EXPIRED
    assert stores.requests.get(RequestId(reminded.id)).reminded_at == clock.now()
    assert stores.break_glass.get(EventId(event.id)).status is EventStatus.EXPIRED
    assert sink.seqs(overdue.chain) == sink.seqs(reminded.chain) == sink.seqs(event.chain) == [1, 2]
    assert sweeper.sweep() == Swept(0, 0, 0, 0, 0, DeliveryCounts())


def test_sweep_asks_before_an_events_end_and_reminds_of_a_review(
    stores: Stores, clock: FrozenClock, break_glass: BreakGlassService
) -> None:
    unreviewed = _invoke(break_glass)
    clock.advance(2 * HOUR)
    _sweeper(stores, clock, RecordingSink("slack")).sweep()
    clock.advance(70.5 * HOUR)
    ending = _invoke(break_glass)
    clock.advance(0.9 * HOUR)
    sink = RecordingSink("slack")
    assert _sweeper(stores, clock, sink).sweep() == Swept(0, 0, 0, 1, 1, DeliveryCounts(delivered=3))
    assert sink.seqs(ending.chain) == [1, 2]
    assert sink.seqs(unreviewed.chain) == [3]


def test_unavailable_store_is_reported(stores: Stores, clock: FrozenClock) -> None:
    stores.close()
    with pytest.raises(StoreUnavailable):
        _sweeper(stores, clock).sweep()


def test_parked_entry_is_delivered_after_a_retry(stores: Stores, clock: FrozenClock, requests: RequestService) -> None:
    made = [_submit(requests) for _ in range(3)]
    sink = PickySink("slack", lambda _: a_final_failure())
    sweeper = _sweeper(stores, clock, sink)
    assert sweeper.sweep().delivered == DeliveryCounts(parked=3)
    assert sweeper.sweep().delivered == DeliveryCounts()
    sink.find_trouble = lambda _: None
    assert sweeper.retry_parked() == 3
    assert sweeper.retry_parked() == 0
    assert sweeper.sweep().delivered == DeliveryCounts(delivered=3)
    assert {chain for chain, _ in sink.delivered} == {request.chain for request in made}


# In the background


@pytest.mark.usefixtures("_quick")
def test_background_does_everything_unasked(
    stores: Stores,
    clock: FrozenClock,
    requests: RequestService,
    break_glass: BreakGlassService,
    sweepers: list[Sweeper],
) -> None:
    sink = _attentive()
    sweepers.append(sweeper := _sweeper(stores, clock, sink))
    sweeper.start()
    overdue, reminded, event = _submit(requests), _submit(requests, "prod"), _invoke(break_glass)
    sink.wait_for(lambda: len(sink.delivered) == 3)
    clock.advance(3 * HOUR)
    sink.wait_for(lambda: len(sink.delivered) == 6)
    assert [sink.seqs(each.chain) for each in (overdue, reminded, event)] == [[1, 2]] * 3
    assert trail(stores, reminded)[-1] == ("request_reminded", "clock")


@pytest.mark.usefixtures("_at_rest")
def test_nudge_delivers_at_once(
    stores: Stores, clock: FrozenClock, requests: RequestService, sweepers: list[Sweeper]
) -> None:
    sink = _attentive()
    sweepers.append(sweeper := _sweeper(stores, clock, sink))
    sweeper.start()
    for number in range(1, 4):
        _submit(requests)
        sweeper.nudge()
        sink.wait_for(lambda number=number: len(sink.delivered) == number)  # type: ignore[misc]  # bound at once


@pytest.mark.usefixtures("_at_rest")
def test_due_by_the_clock_is_delivered_at_once_too(
    stores: Stores, clock: FrozenClock, requests: RequestService, sweepers: list[Sweeper]
) -> None:
    request = _submit(requests)
    clock.advance(2 * HOUR)
    sink = _attentive()
    sweepers.append(sweeper := _sweeper(stores, clock, sink))
    sweeper.start()
    sink.wait_for(lambda: sink.seqs(request.chain) == [1, 2])


@pytest.mark.usefixtures("_quick")
def test_any_number_of_sweepers_do_nothing_twice(url: str, clock: FrozenClock, sweepers: list[Sweeper]) -> None:
    instances = [open_stores(url, clock=clock) for _ in range(3)]
    requests = RequestService(instances[0], _policy(), clock, directory=FixedDirectory())
    overdue = [_submit(requests) for _ in range(5)]
    reminded = [_submit(requests, "prod") for _ in range(5)]
    clock.advance(3 * HOUR)
    sink = _attentive()
    for stores in instances:
        sweepers.append(_sweeper(stores, clock, sink))
        sweepers[-1].start()
    sink.wait_for(lambda: len(sink.delivered) >= 20)
    for sweeper in sweepers:
        assert sweeper.stop()
    assert [sink.seqs(request.chain) for request in (*overdue, *reminded)] == [[1, 2]] * 10
    assert {trail(instances[0], request)[-1][0] for request in overdue} == {"request_expired"}
    assert {trail(instances[0], request)[-1][0] for request in reminded} == {"request_reminded"}
    for stores in instances:
        stores.close()


@pytest.mark.usefixtures("_quick")
def test_long_list_is_read_with_rests_only_in_the_background(
    stores: Stores, clock: FrozenClock, break_glass: BreakGlassService, sweepers: list[Sweeper],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("bot.background.sweeper.REST_SECONDS", 600)
    asked: queue.SimpleQueue[Rest] = queue.SimpleQueue()

    class _Asked(RequestService):
        def remind_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
            asked.put(rest)
            return super().remind_due(rest)

    sweeper = Sweeper(_Asked(stores, _policy(), clock), break_glass, stores, [], clock)
    sweepers.append(sweeper)
    sweeper.sweep()
    assert asked.get(timeout=PATIENCE_SECONDS) is no_rest
    sweeper.start()
    resting = threading.Thread(target=asked.get(timeout=PATIENCE_SECONDS))
    resting.start()
    # It rests for ten minutes, or until the sweeper is stopped: on no machine is this too short to be true.
    resting.join(0.1)
    assert resting.is_alive()
    sweeper.stop()
    resting.join(PATIENCE_SECONDS)
    assert not resting.is_alive()


@pytest.mark.usefixtures("_quick")
def test_loop_that_fails_again_and_again_stops_no_other_one(
    stores: Stores, clock: FrozenClock, break_glass: BreakGlassService, sweepers: list[Sweeper],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    class _Broken(RequestService):
        def expire_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
            raise ZeroDivisionError(rest)

    event = _invoke(break_glass)
    clock.advance(2 * HOUR)
    sink = _attentive()
    policy = ChangingPolicy()
    sweeper = Sweeper(_Broken(stores, policy, clock), break_glass, stores, [sink], clock)
    sweepers.append(sweeper)
    sweeper.start()
    sink.wait_for(lambda: sink.seqs(event.chain) == [1, 2])
    assert sweeper.stop()
    assert "could not end overdue requests" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.usefixtures("_quick")
def test_store_that_was_away_is_used_again_once_it_is_back(
    stores: Stores, clock: FrozenClock, requests: RequestService, sweepers: list[Sweeper],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    was_asked, is_back, went_away, was_seen, was_missed = (threading.Event() for _ in range(5))

    def answer(_name: str, answer: Any) -> Any:  # noqa: ANN401  Whatever the store has.
        was_asked.set()
        is_measure = isinstance(answer, Backlog)
        if not is_back.is_set() or went_away.is_set():
            if is_measure and went_away.is_set():
                was_missed.set()
            raise StoreUnavailable("nobody answers")
        if is_measure:
            was_seen.set()
        return answer

    away = _Watched(stores, answer)
    request, sink = _submit(requests), _attentive()
    sweepers.append(sweeper := _sweeper(away, clock, sink))
    sweeper.start()
    assert was_asked.wait(PATIENCE_SECONDS)
    is_back.set()
    sink.wait_for(lambda: sink.seqs(request.chain) == [1])
    assert was_seen.wait(PATIENCE_SECONDS)
    went_away.set()
    assert was_missed.wait(PATIENCE_SECONDS)
    assert sweeper.stop()
    assert sweeper.outbox_state() is None
    assert "nobody answers" in caplog.text
    assert "Traceback" not in caplog.text


# Stopping


@pytest.mark.usefixtures("_quick")
def test_stop_finishes_running_deliveries(stores: Stores, clock: FrozenClock, requests: RequestService) -> None:
    request, sink = _submit(requests), StalledSink("slack")
    sweeper = _sweeper(stores, clock, sink)
    sweeper.start()
    sink.wait_for(lambda: sink.waiting == 1)
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(sweeper.stop()))
    stopper.start()
    sink.release()
    stopper.join()
    assert stopped == [True]
    assert sink.seqs(request.chain) == [1]
    assert list(stores.outbox.iterate_due(clock.now() + HOUR)) == []
    _submit(requests)
    sweeper.nudge()
    assert sweeper.stop()
    assert len(sink.delivered) == 1


@pytest.mark.usefixtures("_quick")
def test_stop_does_not_wait_for_ever(
    stores: Stores, clock: FrozenClock, requests: RequestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.background.sweeper.FINISH_TIMEOUT_SECONDS", 0.01)
    _submit(requests)
    sink = StalledSink("slack")
    sweeper = _sweeper(stores, clock, sink)
    sweeper.start()
    sink.wait_for(lambda: sink.waiting == 1)
    assert not sweeper.stop()
    sink.release()
    monkeypatch.setattr("bot.background.sweeper.FINISH_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    assert sweeper.stop()


def test_sweeper_that_was_never_started_can_be_stopped(stores: Stores, clock: FrozenClock) -> None:
    assert _sweeper(stores, clock).stop()


# What waits


@pytest.mark.usefixtures("_quick")
def test_outbox_state_is_available(
    stores: Stores, clock: FrozenClock, requests: RequestService, sweepers: list[Sweeper]
) -> None:
    gone = _submit(requests, "prod")
    clock.advance(timedelta(seconds=5))
    _submit(requests)
    sink = PickySink("slack", lambda entry: a_final_failure() if entry.chain == gone.chain else a_failure())
    seen = threading.Event()

    def look(_name: str, answer: Any) -> Any:  # noqa: ANN401  Whatever the store has.
        if isinstance(answer, Backlog) and answer.parked and answer.waiting == 1:
            seen.set()
        return answer

    sweepers.append(sweeper := _sweeper(_Watched(stores, look), clock, sink))
    assert sweeper.outbox_state() is None
    sweeper.start()
    assert seen.wait(PATIENCE_SECONDS)
    assert sweeper.stop()
    clock.advance(timedelta(seconds=7))
    assert sweeper.outbox_state() == OutboxState(depth=1, oldest_age_seconds=7.0, parked=1)


# Checkpoints


def test_sweep_seals_checkpoints_and_learns_of_retired_keys(tmp_path: Path, clock: FrozenClock) -> None:
    old = AuditKeyring.from_text(OLDER_AUDIT_KEY)
    ring = AuditKeyring.from_text(f"{AUDIT_KEY},{OLDER_AUDIT_KEY}")
    with closing(open_stores(f"sqlite:///{tmp_path}/sealed.db", keyring=ring, clock=clock)) as stores:
        policy, sink = ChangingPolicy(), RecordingSink("webhook")
        requests = RequestService(stores, policy, clock, directory=FixedDirectory())
        sweeper = build_sweeper(build_services(Ports(stores, policy, clock, WebClient())), [sink])
        _submit(requests)
        sweeper.sweep()
        clock.advance(timedelta(minutes=11))
        retire_key(stores, clock, old.key_id)
        clock.advance(timedelta(minutes=11))
        ring = stores.audit.keyring
        sweeper.sweep()
        assert ring.retired == {old.key_id}
        first, second = stores.audit.get_chain(CHECKPOINTS)
        assert (first.seq, second.details["policy"]) == (1, policy.current().digest)
        assert {(CHECKPOINTS, first.seq), (CHECKPOINTS, second.seq)} <= set(sink.delivered)

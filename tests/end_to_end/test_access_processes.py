"""Reconciling processes on one store and one target: killed at random moments, or two at a time."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from core.access.grant import GrantStatus
from core.access.right import Right
from core.actor import Actor, UserId
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.stores import open_stores
from tests.core.access.harness import MINUTE
from tests.core.access.office import AccessOffice
from tests.core.reconciling import FileClock, reconcile_on_demand
from tests.harness.clock import A_MOMENT
from tests.harness.target_receiver import WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from core.access.grant import Grant

KILLS = 20
PEOPLE = [Actor(id=UserId(f"U0PERSON{number}")) for number in range(8)]


class Worker:
    """One process."""

    def __init__(self, office: Office, holder: str) -> None:
        # The server is forked before any thread starts, and forks quickly.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.core.reconciling"])
        self._pipe, theirs = context.Pipe()
        given = (str(office.path), str(office.clock_path), office.receiver.url, holder, theirs)
        self.process: ForkServerProcess = context.Process(target=reconcile_on_demand, args=given, daemon=True)
        self.process.start()
        theirs.close()

    def begin(self) -> None:
        """Let it visit what is due."""
        self._pipe.send("visit")

    def finish(self) -> int | None:
        """How many rights it left for later; None if it was killed."""
        with suppress(EOFError, ConnectionResetError):
            return int(self._pipe.recv())
        return None

    def stop(self) -> None:
        """End it, if it lives."""
        self.process.kill()
        self.process.join()
        self._pipe.close()
        self.process.close()


class Office(AccessOffice):
    """An office whose reconciling is done elsewhere."""

    path: Path
    clock_path: Path
    receiver: WebhookReceiver

    def ask_for_access(self) -> list[Grant]:
        """Some requests, and an emergency, all of them decided now."""
        lengths = [(10 + 5 * (number % 3)) * MINUTE for number in range(len(PEOPLE))]
        decided = [self.approve(person, length) for person, length in zip(PEOPLE, lengths, strict=True)]
        return [*map(self.grant_of, decided), self.grant_of(self.declare())]

    def move_on(self, *, was_left: bool) -> bool:
        """Let time pass to what is due next. False: nothing ever is."""
        due = self.find_next_due()
        if due is not None:
            self.clock.set(max(due, self.clock.now() + timedelta(seconds=10 if was_left else 1)))
        return due is not None

    def check_all_is_over(self, grants: list[Grant]) -> None:
        """Every grant ended, nothing is left in the target, and the trail says the same."""
        now = [self.stores.access.get(grant.id) for grant in grants]  # type: ignore[arg-type]
        assert [grant.status for grant in now] == [GrantStatus.ENDED] * len(grants)
        assert [right for right, state in self.receiver.system.state.items() if state["held"]] == []
        assert len(self.receiver.system.state) == len(grants)
        assert list(verify_trail(self.stores, AuditKeyring(), self.clock.now())) == []


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    clock = FileClock(tmp_path / "clock")
    clock.set(A_MOMENT)
    path = tmp_path / "countersign.db"
    with closing(open_stores(f"sqlite:///{path}", clock=clock)) as stores, WebhookReceiver() as receiver:
        office = Office(stores, clock)
        office.path, office.clock_path, office.receiver = path, tmp_path / "clock", receiver
        yield office


def right_in(order: dict[str, Any]) -> Right:
    """What the order is about."""
    return Right(**order["right"])


class Recorder:
    """What arrived at the target and when, and which rights two orders were about at once."""

    def __init__(self, office: Office) -> None:
        self._clock = office.clock
        self._lock = threading.Lock()
        self._busy: Counter[Right] = Counter()
        self.orders: list[tuple[dict[str, Any], datetime]] = []
        self.at_once: list[Right] = []
        office.receiver.before = self.begin
        office.receiver.after = self.finish

    def begin(self, order: dict[str, Any]) -> None:
        """An order arrived."""
        with self._lock:
            self.orders.append((order, self._clock.now()))
            self._busy[right_in(order)] += 1
            if self._busy[right_in(order)] > 1:
                self.at_once.append(right_in(order))

    def finish(self, order: dict[str, Any]) -> None:
        """An order is about to be answered."""
        with self._lock:
            self._busy[right_in(order)] -= 1

    def taken_early(self, office: Office) -> list[Right]:
        """What was taken from somebody who should have had it still."""
        ends = {grant.right: grant.ended_at for grant in office.stores.access.iterate()}
        takes = ((right_in(order), at) for order, at in self.orders if order["op"] == "take")
        return [right for right, at in takes if at < ends[right]]


class Killer:
    """Kills the process that is working, at random moments around its orders."""

    def __init__(self, office: Office, recorder: Recorder) -> None:
        self._recorder = recorder
        self._moments = Random(7)  # noqa: S311 - so that each run is as lucky as the last
        self._left = self._moments.randint(1, 4)
        self.kills = 0
        self.worker: Worker | None = None
        office.receiver.before = self._before
        office.receiver.after = lambda _: self._come_by("after")

    def _before(self, order: dict[str, Any]) -> None:
        self._recorder.begin(order)
        self._come_by("before")

    def _come_by(self, place: str) -> None:
        self._left -= 1
        if self._left > 0 or self.kills == KILLS or self.worker is None:
            return
        self._left = self._moments.randint(1, 6)
        self.kills += 1
        kill = self.worker.process.kill
        if place == "after" and self._moments.random() < 0.5:
            # While it writes down what it was answered.
            threading.Timer(self._moments.random() * 0.01, kill_if_alive, [kill]).start()
        else:
            kill()


def kill_if_alive(kill: Any) -> None:  # noqa: ANN401 - a bound method of a process
    """It may have been ended since."""
    with suppress(ValueError):
        kill()


def test_kill_9_leaves_nothing_behind(office: Office) -> None:
    grants = office.ask_for_access()
    recorder = Recorder(office)
    killer, number = Killer(office, recorder), 0
    worker = killer.worker = Worker(office, "worker-0")
    try:
        while True:
            with suppress(BrokenPipeError):
                worker.begin()
            left = worker.finish()
            if left is None:
                worker.stop()
                number += 1
                worker = killer.worker = Worker(office, f"worker-{number}")
            elif not office.move_on(was_left=left > 0):
                break
    finally:
        worker.stop()
    assert killer.kills == KILLS
    office.check_all_is_over(grants)
    assert recorder.taken_early(office) == []


def test_two_processes_never_work_on_one_right_at_once(office: Office) -> None:
    grants = office.ask_for_access()
    recorder = Recorder(office)
    with started(office, "first") as first, started(office, "second") as second:
        is_over = False
        while not is_over:
            for worker in (first, second):
                worker.begin()
            left = [worker.finish() or 0 for worker in (first, second)]
            is_over = not office.move_on(was_left=any(left))
    assert recorder.at_once == []
    gives = Counter(right_in(order) for order, _ in recorder.orders if order["op"] == "give")
    assert gives == Counter(grant.right for grant in grants)
    assert recorder.taken_early(office) == []
    taken = {right_in(order): at for order, at in recorder.orders if order["op"] == "take"}
    assert [grant.right for grant in grants if taken[grant.right] > grant.ends_at + MINUTE] == []
    office.check_all_is_over(grants)


@contextmanager
def started(office: Office, holder: str) -> Iterator[Worker]:
    """A process, for as long as it is needed."""
    worker = Worker(office, holder)
    try:
        yield worker
    finally:
        worker.stop()

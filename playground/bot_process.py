"""The bot of the playground as if it were a process of its own: it can be killed, and started again.

Invariant: once `kill` has begun, nothing of that bot reaches the store, Slack or a person: its calls of the store end
its threads, its calls of Slack and Slack's of it are cut off. What it had committed stays; nothing is finished for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from bot.wiring.services import build_sweeper
from core.errors import StoreUnavailable
from core.policy import PolicyFile
from core.schedules.roster import ScheduleRoster
from core.stores.base import Stores
from localslack.faults import HangUp
from localslack.server import LocalSlack
from playground.bots_clock import SkewedClock
from playground.gated_stores import StoreGate, StoreTrouble, gate_stores
from playground.real_bot import PretendServices, start_bot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.wiring.instance import Instance
    from bot.wiring.ports import Background, Ports
    from bot.wiring.services import Services
    from core.outbox.outbox import Sink

_ROOT: Final = logging.getLogger()
_MAX_PARTS: Final = 100
"""Of a bot that is torn down: more than it has."""
_LOOK_SECONDS: Final = 2.0
"""How long the schedules may take to answer after the clock was moved."""


class BotProcess:
    """One bot after another, on the same stores. Safe for threads."""

    def __init__(
        self,
        slack: LocalSlack,
        pretended: PretendServices,
        stores: Stores,
        open_policy: Callable[[], PolicyFile],
        clock: SkewedClock,
        api_port: int,
    ) -> None:
        self._slack = slack
        self._pretended = pretended
        self._stores = stores
        self._open_policy = open_policy
        self._clock = clock
        self._api_port = api_port
        self._lock = threading.RLock()
        self._gate = StoreGate()
        self._cut = HangUp()
        self._instance: Instance | None = None
        self._was_killed = False
        self.policy = open_policy()
        """The policy file as this bot reads it. The next one opens it anew."""

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed."""
        return self._instance is not None

    @property
    def store_trouble(self) -> StoreTrouble:
        """How the store behaves for it."""
        return self._gate.trouble

    def set_store_trouble(self, trouble: StoreTrouble) -> None:
        """Let the store behave like this, for this bot and the next ones."""
        with self._lock:
            self._gate.set_trouble(trouble)

    def start(self, prepare: Callable[[Ports], None] | None = None) -> None:
        """Start it, unless it runs. Raises InvalidPolicy, InvalidInput: then it doesn't run."""
        with self._lock:
            if self.is_running:
                return
            if self._was_killed:
                # As any bot that starts, it refuses a file with a mistake.
                self.policy = self._open_policy()
            trouble, self._gate = self._gate.trouble, StoreGate()
            self._gate.set_trouble(trouble)
            self._slack.faults.withdraw(self._cut)
            stores = gate_stores(self._stores, self._gate)
            self._instance = start_bot(
                self._slack, self._pretended, stores, self.policy, self._clock,
                api_port=self._api_port, prepare=prepare, build_background=partial(_build_killable, self._gate),
            )  # fmt: skip

    def kill(self) -> None:
        """End it as `kill -9` would, as nearly as a part of a process can be ended. Idempotent."""
        with self._lock:
            instance, self._instance = self._instance, None
            if instance is None:
                return
            self._was_killed = True
            self._gate.kill()
            self._slack.faults.next(self._cut, times=None, is_first=True)
            self._slack.cut_app()
            with _muted():
                _tear_down(instance)

    @property
    def is_armed(self) -> bool:
        """Whether its next decision kills it."""
        return self.is_running and self._gate.is_armed

    def arm(self, on_killed: Callable[[], None] | None) -> None:
        """Kill it as soon as its next decision is stored, before anybody is answered; None takes that back.

        `on_killed` is called once it's dead.
        """

        def finish() -> None:
            self.kill()
            if on_killed is not None:
                on_killed()

        def on_stored() -> None:
            self._slack.cut_app()
            threading.Thread(target=finish, name="killed-bot", daemon=True).start()

        self._gate.arm(on_stored if on_killed is not None else None)

    def stop(self) -> None:
        """Stop it as `serve` stops, with all that was acknowledged. Idempotent."""
        with self._lock:
            self._gate.set_trouble(StoreTrouble.NONE)
            instance, self._instance = self._instance, None
            if instance is not None:
                instance.lifecycle.stop()

    def read_acknowledgements(self) -> None:
        """Ask the pager now who acknowledged a page; without this, it is asked every few seconds."""
        self._do(lambda instance: instance.page_watch.poll())

    def sweep(self) -> None:
        """Do what is due, if it runs. Raises the errors of the store, unless that is switched off."""

        def sweep(instance: Instance) -> None:
            roster = instance.services.roster
            if isinstance(roster, ScheduleRoster):
                # A clock that jumps makes every answer old at once; one that passes has them asked anew in time.
                roster.look(_LOOK_SECONDS)
            instance.background.sweep()

        self._do(sweep)

    def _do(self, work: Callable[[Instance], object]) -> None:
        instance = self._instance
        if instance is None:
            return
        try:
            work(instance)
        except SystemExit:
            # Killed meanwhile: this thread isn't one of its own.
            return
        except StoreUnavailable:
            if self.store_trouble is StoreTrouble.NONE:
                raise


class KillableBackground:
    """The background work, which isn't waited for once it's dead."""

    def __init__(self, background: Background, gate: StoreGate) -> None:
        self._background = background
        self._gate = gate
        self.nudge = background.nudge
        self.outbox_state = background.outbox_state
        self.sweep = background.sweep
        self.start = background.start

    def stop(self) -> None:
        """Stop it. The dead end on a thread of their own: what they had in hand is never finished."""
        if self._gate.is_dead:
            threading.Thread(target=self._background.stop, name="killed-bot", daemon=True).start()
        else:
            self._background.stop()


def _build_killable(gate: StoreGate, services: Services, sinks: Sequence[Sink]) -> Background:
    return KillableBackground(build_sweeper(services, sinks), gate)


def _tear_down(instance: Instance) -> None:
    """Free its threads and its ports. A part that calls the store while it stops dies of it, as all others do."""
    for _ in range(_MAX_PARTS):
        try:
            instance.lifecycle.stop()
        except SystemExit:
            continue
        return


@contextmanager
def _muted() -> Iterator[None]:
    """Without log lines: the dead say nothing, though their threads still end."""
    before = _ROOT.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)

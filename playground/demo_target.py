"""The playground's pretend AWS as a target: people can watch it, and switch on an outage.

Invariant: what it answers was in its file before, so a kill loses nothing. The file has one writer, and is always
complete. Like Identity Center, it takes a moment for each change, works on one change of a right at a time, and leaves
open sessions alone. In an outage, it changes nothing that Countersign asks for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from core.access.holding import OperationKind
from core.access.right import Right
from core.clock import Clock, new_id
from core.errors import InvalidInput
from core.policy import PolicySource
from core.policy.target_config import DEMO, AnyTargetConfig, DemoConfig
from core.targets.base import (
    Absent,
    Given,
    Held,
    InProgress,
    Later,
    OperationKey,
    Polled,
    Seen,
    Taken,
    Target,
    TargetRefused,
    Unknown,
)
from core.targets.opening import PolicyTargets
from playground.demo_state import DemoOperation, DemoState
from playground.folder import write_privately

DELAY: Final = timedelta(seconds=1.5)
"""How long a change takes: long enough to be seen, and no longer."""
_ASK_AGAIN_AFTER: Final = timedelta(seconds=5)
_TOKEN = re.compile(r"change-[0-9a-f]{16}")
_OUTAGE: Final = "AWS (pretend) doesn't answer: its outage is switched on."


class DemoTarget:
    """The pretend AWS of one folder. Safe for threads.

    `on_change` gets each new state, in order, and must not call back. Raises InvalidInput for a broken file.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        on_change: Callable[[DemoState], None] = lambda _: None,
        *,
        delay: timedelta = DELAY,
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_change = on_change
        self._delay = delay
        self._lock = threading.Lock()
        self._state = _read(path)
        self._config = DemoConfig(type="demo")

    def follow(self, config: DemoConfig) -> DemoTarget:
        """Itself, as the policy describes it."""
        self._config = config
        return self

    @property
    def ends_sessions(self) -> bool:
        """Whether taking a right ends its sessions, as the policy says."""
        return self._config.ends_sessions

    @property
    def state(self) -> DemoState:
        """The state now. Waits for nothing."""
        return self._state

    def residual(self, right: Right) -> timedelta:
        """How long a session that is open lives on, as the policy says."""
        del right
        return self._config.residual or timedelta()

    def inspect(self, right: Right) -> Seen:
        """Whether the right is held."""
        with self._lock:
            state = self._catch_up()
        if state.is_out:
            return _later()
        return Held() if state.find(right) is not None else Absent()

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Begin to give the right."""
        del until, key
        with self._lock:
            state = self._catch_up()
            if state.find(right) is not None and not state.is_out and state.find_under_way(right) is None:
                return Held(stood_before=True)
            return self._begin(OperationKind.GIVE, right)

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Begin to take the right."""
        del key
        with self._lock:
            state = self._catch_up()
            if state.find(right) is None and not state.is_out and state.find_under_way(right) is None:
                return Absent()
            return self._begin(OperationKind.TAKE, right)

    def poll(self, token: str) -> Polled:
        """Whether the change is done."""
        if not _TOKEN.fullmatch(token):
            return TargetRefused("AWS (pretend) has never given this token.")
        with self._lock:
            state = self._catch_up()
        if state.is_out:
            return _later()
        if any(each.token == token for each in state.under_way):
            return InProgress(token)
        done = next((each for each in state.done if each.token == token), None)
        if done is None:
            return Unknown("AWS (pretend) knows no such change.", is_forgotten=True)
        return Held() if done.kind is OperationKind.GIVE else Absent()

    def add_by_hand(self, right: Right) -> None:
        """Somebody else gives the right."""
        with self._lock:
            self._write(self._catch_up().add(right, self._clock.now(), is_by_hand=True))

    def remove_by_hand(self, right: Right) -> None:
        """Somebody else takes the right."""
        with self._lock:
            self._write(self._catch_up().remove(right, self._clock.now(), is_by_hand=True))

    def switch_outage(self, *, is_out: bool) -> None:
        """Begin or end the outage."""
        with self._lock:
            self._write(self._catch_up().switch_outage(self._clock.now(), is_out=is_out))

    def _begin(self, kind: OperationKind, right: Right) -> InProgress | Later | Unknown:
        state, now = self._state, self._clock.now()
        if state.is_out:
            # A real outage may cut a call after it took effect, so nobody can say.
            return Unknown(_OUTAGE)
        other = state.find_under_way(right)
        if other is not None:
            return (
                InProgress(other.token)
                if other.kind is kind
                else Later(self._delay, problem="Another change is under way.")
            )
        operation = DemoOperation(token=f"change-{new_id()}", kind=kind, right=right, ready_at=now + self._delay)
        self._write(state.begin(operation))
        return InProgress(operation.token)

    def _catch_up(self) -> DemoState:
        """The state with all that is ready by now. Hold the lock."""
        self._write(self._state.finish_ready(self._clock.now()))
        return self._state

    def _write(self, state: DemoState) -> None:
        if state is self._state:
            return
        write_privately(self._path, state.model_dump_json(indent=1))
        self._state = state
        self._on_change(state)


def open_demo_targets(aws: DemoTarget, policy: PolicySource, clock: Clock) -> PolicyTargets:
    """The targets of a policy whose `demo` is this one."""

    def open_demo(config: AnyTargetConfig) -> Target:
        if not isinstance(config, DemoConfig):
            raise TypeError(f"{type(config).__name__} is not the demo's")
        return aws.follow(config)

    return PolicyTargets(policy, clock, {DEMO: open_demo})


def _later() -> Later:
    return Later(_ASK_AGAIN_AFTER, is_for_all=True, problem=_OUTAGE)


def _read(path: Path) -> DemoState:
    if not path.exists():
        return DemoState()
    try:
        return DemoState.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, InvalidInput, OSError) as error:
        raise InvalidInput("folder", f"{path} can't be read", "Start fresh with --reset.") from error

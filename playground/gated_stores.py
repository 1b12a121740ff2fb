"""The stores as the bot reaches them: a gate stands before every call, which can be slow, shut, or gone for good.

Invariant: what passes the gate is the real store's own call. A call that the gate refuses never reached the store, so
nothing has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, Final, cast

from core.errors import StoreUnavailable
from core.stores.base import Stores

SLOW_SECONDS: Final = 1.5
"""For each call. A decision takes one that reads and one that writes."""
_DECIDING: Final = frozenset({"create", "update"})
"""The calls that store a request, an event, or a decision on it."""
_STORES: Final = tuple(name for name, member in vars(Stores).items() if isinstance(member, property))
"""All that a deployment has, so that a new one is behind the gate as well."""
_AWAY: Final = "the playground's store is switched off"


class StoreTrouble(StrEnum):
    """How the store behaves."""

    NONE = "none"
    SLOW = "slow"
    AWAY = "away"


class StoreGate:
    """What each call of the store passes. Safe for threads."""

    def __init__(self) -> None:
        self._trouble = StoreTrouble.NONE
        self._changed = threading.Condition()
        self._is_dead = False
        self._on_killed: Callable[[], None] | None = None

    @property
    def trouble(self) -> StoreTrouble:
        """How the store behaves now."""
        return self._trouble

    @property
    def is_armed(self) -> bool:
        """Whether the next decision kills the bot."""
        return self._on_killed is not None and not self._is_dead

    def arm(self, on_killed: Callable[[], None] | None) -> None:
        """Kill the bot as soon as its next decision is stored, before it learns of that; None takes it back.

        `on_killed` is then called on the dying thread, and mustn't wait.
        """
        with self._changed:
            self._on_killed = on_killed

    def note_return(self, name: str) -> None:
        """The store answered this call. Raises SystemExit when that kills the bot."""
        with self._changed:
            on_killed = self._on_killed
            if name not in _DECIDING or on_killed is None or self._is_dead:
                return
        self.kill()
        on_killed()
        raise SystemExit

    @property
    def is_dead(self) -> bool:
        """Whether the bot behind it was killed."""
        return self._is_dead

    def set_trouble(self, trouble: StoreTrouble) -> None:
        """Behave like this from now on; what waits goes on at once."""
        with self._changed:
            self._trouble = trouble
            self._changed.notify_all()

    def kill(self) -> None:
        """Every call through this gate fails from now on, also one that waits at it: its process is dead."""
        with self._changed:
            self._is_dead = True
            self._changed.notify_all()

    def pass_through(self) -> None:
        """Return once the call may go to the store. Raises StoreUnavailable; SystemExit ends a thread of the dead."""
        with self._changed:
            self._check()
            if self._trouble is StoreTrouble.SLOW:
                self._changed.wait_for(lambda: self._is_dead or self._trouble is not StoreTrouble.SLOW, SLOW_SECONDS)
                self._check()

    def _check(self) -> None:
        if self._is_dead:
            # No handler of the bot catches it, and no thread reports it: the dead neither clean up nor answer.
            raise SystemExit
        if self._trouble is StoreTrouble.AWAY:
            raise StoreUnavailable(_AWAY)


class _Gated:
    """One store behind the gate."""

    def __init__(self, store: object, gate: StoreGate) -> None:
        self._store = store
        self._gate = gate

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any of the stores
        return gated(name, getattr(self._store, name), self._gate)


def gated(name: str, call: Any, gate: StoreGate) -> Any:  # noqa: ANN401 - any method of a store
    """The same call, behind the gate. What isn't a method stays as it is."""
    if not callable(call):
        return call

    @wraps(call)
    def pass_and_call(*positional: object, **named: object) -> object:
        gate.pass_through()
        answer = call(*positional, **named)
        gate.note_return(name)
        return answer

    return pass_and_call


class GatedStores:
    """All stores of a deployment behind one gate. Refused attempts are noted past it: they wait for nobody."""

    def __init__(self, stores: Stores, gate: StoreGate) -> None:
        for name in _STORES:
            setattr(self, name, _Gated(getattr(stores, name), gate))
        self.refusals = stores.refusals
        self.reseal = gated("reseal", stores.reseal, gate)
        if (purge := getattr(stores, "purge", None)) is not None:
            self.purge = gated("purge", purge, gate)

    def close(self) -> None:
        """Nothing: who opened the stores closes them."""


def gate_stores(stores: Stores, gate: StoreGate) -> Stores:
    """The same stores, each behind the gate."""
    return cast("Stores", GatedStores(stores, gate))

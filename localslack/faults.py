"""Faults that a test injects into the next calls of a method.

Invariant: calls meet the scripted faults in order, each as often as it was scripted. Without one left, a call is
served as usual.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from localslack.records import Json


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answers `{"ok": false, "error": …}` without carrying out the call: `internal_error`, `account_inactive`, …."""

    error: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Answers 429 with this Retry-After, in seconds, without carrying out the call."""

    retry_after: int = 1


@dataclass(frozen=True, slots=True)
class ServerError:
    """Answers with this status and a body that isn't JSON. With `after_effect`, the call is carried out first."""

    status: int = 503
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """Drops the connection without an answer. With `after_effect`, the call is carried out first."""

    after_effect: bool = False


@dataclass(slots=True, eq=False)
class Stall:
    """Holds a call until it's released, then serves it. With `after_effect`, only the answer is held.

    `reached` is set once a call is held. One Stall may hold many calls; `LocalSlack.stop` releases them all.
    """

    after_effect: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wakers: list[Callable[[], None]] = field(default_factory=list)
    _is_released: bool = False

    @property
    def held(self) -> int:
        """How many calls it holds now."""
        with self._lock:
            return len(self._wakers)

    def release(self) -> None:
        """Release all calls, and let those to come pass."""
        with self._lock:
            self._is_released = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    async def wait(self) -> None:
        """Wait for the release without blocking a thread: hundreds of calls may be stalled at once."""
        loop, released = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(released.set)

        with self._lock:
            if self._is_released:
                released.set()
            else:
                self._wakers.append(wake)
        self.reached.set()
        await released.wait()


@dataclass(slots=True, eq=False)
class Delay:
    """Holds each call for this long, then serves it; if `is_lost`, it drops the connection without carrying it out.

    `end` lets those that are held go on at once.
    """

    seconds: float
    is_lost: bool = False
    _stall: Stall = field(default_factory=Stall)

    @property
    def reached(self) -> threading.Event:
        """Set once a call is held."""
        return self._stall.reached

    def end(self) -> None:
        """Hold nothing any more."""
        self._stall.release()

    async def wait(self) -> None:
        """Wait for as long as it takes, without blocking a thread."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stall.wait(), self.seconds)


Fault: TypeAlias = Refuse | RateLimited | ServerError | HangUp | Stall | Delay


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    method: str | None
    where: Callable[[Json], bool] | None
    times: int | None


class Faults:
    """The scripted faults. A call of a response_url counts as the method `response_url`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[_Scripted] = []
        self._stalls: list[Stall | Delay] = []

    def next(
        self,
        fault: Fault,
        method: str | None = None,
        *,
        times: int | None = 1,
        where: Callable[[Json], bool] | None = None,
        is_first: bool = False,
    ) -> None:
        """Make the next call meet `fault`, or the next `times` calls; None means all calls until `clear`.

        `is_first` puts it before those that are there.
        `method`, for example "chat.postMessage", and `where`, a check of the arguments, limit it to matching calls.
        """
        with self._lock:
            self._script.insert(0 if is_first else len(self._script), _Scripted(fault, method, where, times))
            if isinstance(fault, Stall | Delay):
                self._stalls.append(fault)

    def withdraw(self, fault: Fault) -> None:
        """Remove this fault wherever it was scripted, and let the calls that it holds go on."""
        with self._lock:
            self._script = [each for each in self._script if each.fault is not fault]
            self._stalls = [each for each in self._stalls if each is not fault]
        _let_go(fault)

    def clear(self) -> None:
        """Remove all scripted faults. Stalled calls stay stalled."""
        with self._lock:
            self._script.clear()

    def take(self, method: str, arguments: Json) -> Fault | None:
        """The fault for this call, or None. Counts the use."""
        with self._lock:
            for scripted in self._script:
                if scripted.method not in {None, method} or not (scripted.where is None or scripted.where(arguments)):
                    continue
                if scripted.times is not None:
                    scripted.times -= 1
                    if scripted.times == 0:
                        self._script.remove(scripted)
                return scripted.fault
            return None

    def release_all(self) -> None:
        """Release every stalled call."""
        with self._lock:
            stalls = list(self._stalls)
        for stall in stalls:
            _let_go(stall)


def _let_go(fault: Fault) -> None:
    if isinstance(fault, Stall):
        fault.release()
    elif isinstance(fault, Delay):
        fault.end()

"""Faults that a test lets the next calls of a method meet.

Invariant: a call meets the faults scripted for it in the order in which they were scripted, each as often as it was
scripted, and without a fault left it is served as always.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answers `{"ok": false, "error": …}` and does nothing, say for `internal_error` or `account_inactive`."""

    error: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Answers 429 with this Retry-After and does nothing."""

    retry_after: int = 1


@dataclass(frozen=True, slots=True)
class ServerError:
    """Answers with this status and a body that is not JSON. `after_effect`: the call is carried out all the same."""

    status: int = 503
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """Drops the connection without an answer, before the call is carried out or after."""

    after_effect: bool = False


@dataclass(slots=True, eq=False)
class Stall:
    """Keeps a call waiting until it is released, then serves it. `after_effect`: only the answer waits.

    `reached` is set once a call waits. One Stall may hold many calls; LocalSlack.stop() releases them all.
    """

    after_effect: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wakers: list[Callable[[], None]] = field(default_factory=list)
    _is_released: bool = False

    def release(self) -> None:
        """Let all calls go on, those to come too."""
        with self._lock:
            self._is_released = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    async def wait(self) -> None:
        """Wait for the release, without holding a thread: hundreds of calls may be stalled at once."""
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


Fault: TypeAlias = Refuse | RateLimited | ServerError | HangUp | Stall


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    method: str | None
    where: Callable[[Json], bool] | None
    times: int | None


class Faults:
    """The script of faults. A response_url counts as the method `response_url`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[_Scripted] = []
        self._stalls: list[Stall] = []

    def next(
        self,
        fault: Fault,
        method: str | None = None,
        *,
        times: int | None = 1,
        where: Callable[[Json], bool] | None = None,
    ) -> None:
        """Let the next call meet `fault`, or the next `times` of them; None is all, until `clear`.

        With `method`, say "chat.postMessage", and with `where`, asked with the arguments, other calls pass.
        """
        with self._lock:
            self._script.append(_Scripted(fault, method, where, times))
            if isinstance(fault, Stall):
                self._stalls.append(fault)

    def clear(self) -> None:
        """Forget all that is scripted. What is stalled stays stalled."""
        with self._lock:
            self._script.clear()

    def take(self, method: str, arguments: Json) -> Fault | None:
        """The fault that this call meets, or None."""
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
        """Let go of everything that was ever stalled."""
        with self._lock:
            stalls = list(self._stalls)
        for stall in stalls:
            stall.release()

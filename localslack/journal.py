"""The log of API calls, the listeners for changes, and the lock of the workspace.

Invariant: one lock guards the whole workspace. A listener gets every change once, in the order of the changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar

from localslack.clock import Clock, format_time
from localslack.records import Json

Listener: TypeAlias = Callable[[Json], None]
_Seen = TypeVar("_Seen")

_POLL_SECONDS = 0.02
"""How often `wait_until` checks without a change in Slack: its condition may be about the app."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of the Web API: what the app sent, without its token, and the answer.

    `status` and `answer` are None if the connection was dropped instead.
    """

    at: datetime
    method: str
    arguments: Json
    status: int | None
    answer: Json | None

    @property
    def error(self) -> str | None:
        """The error code, or None."""
        error = (self.answer or {}).get("error")
        return None if error is None else str(error)


@dataclass(slots=True)
class Journal:
    """The lock, the log of API calls, and the listeners."""

    clock: Clock
    lock: threading.RLock = field(default_factory=threading.RLock)
    _changed: threading.Condition = field(init=False)
    _listeners: list[Listener] = field(init=False, default_factory=list)
    _calls: list[ApiCall] = field(init=False, default_factory=list)
    _number: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._changed = threading.Condition(self.lock)

    @property
    def calls(self) -> list[ApiCall]:
        """All calls so far, oldest first."""
        with self.lock:
            return list(self._calls)

    def record_call(self, call: ApiCall) -> None:
        """Log a call, and notify the listeners."""
        with self.lock:
            self._calls.append(call)
            self.publish(
                "api_call",
                {"method": call.method, "arguments": call.arguments, "status": call.status, "answer": call.answer},
            )

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change from now on. Returns a function that ends this.

        It's called under the lock, on the thread that made the change: it may read the state, and must not wait.
        """
        with self.lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self.lock:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, kind: str, details: Json) -> None:
        """Notify the listeners of a change. Hold the lock if they must see the change together with the event."""
        with self._changed:
            self._number += 1
            event = {"number": self._number, "at": format_time(self.clock.now()), "type": kind, **details}
            for listener in list(self._listeners):
                listener(event)
            self._changed.notify_all()

    def wait_until(self, check: Callable[[], _Seen], seconds: float = 10.0) -> _Seen:
        """What `check` returns as soon as that is truthy. Raises TimeoutError after `seconds` of the machine's time."""
        end = time.monotonic() + seconds
        # The check runs without the lock: it may call the app, which may call Slack.
        while not (seen := check()):
            if time.monotonic() > end:
                raise TimeoutError(f"the condition wasn't met within {seconds:g} s")
            with self._changed:
                self._changed.wait(_POLL_SECONDS)
        return seen

"""What happened in the local Slack, in order, for whoever listens.

Invariant: one lock guards the whole workspace. A listener hears every change once, in the order in which the changes
were made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from core.clock import Clock, format_time

Json: TypeAlias = dict[str, Any]
Listener: TypeAlias = Callable[[Json], None]
_Seen = TypeVar("_Seen")

_LOOK_AGAIN_SECONDS = 0.02
"""How soon `wait_until` looks again although nothing happened in Slack: its condition may be about the app."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of the Web API: what the app sent, less its token, and what it was answered.

    `status` and `answer` are None when the connection was dropped instead.
    """

    at: datetime
    method: str
    arguments: Json
    status: int | None
    answer: Json | None

    @property
    def error(self) -> str | None:
        """Slack's word for what was wrong, or None."""
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
        """Note a call, and tell the listeners."""
        with self.lock:
            self._calls.append(call)
            self.publish(
                "api_call",
                {"method": call.method, "arguments": call.arguments, "status": call.status, "answer": call.answer},
            )

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every change from now on. Returns what ends it.

        It is called under the lock, on the thread that made the change: it may read, and must not wait.
        """
        with self.lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self.lock:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, kind: str, what: Json) -> None:
        """Tell everybody. The caller holds the lock if the change has to be seen with it."""
        with self._changed:
            self._number += 1
            event = {"number": self._number, "at": format_time(self.clock.now()), "type": kind, **what}
            for listener in list(self._listeners):
                listener(event)
            self._changed.notify_all()

    def wait_until(self, check: Callable[[], _Seen], seconds: float = 10.0) -> _Seen:
        """What `check` gives as soon as that is truthy. Raises TimeoutError after `seconds` of the machine's time."""
        end = time.monotonic() + seconds
        # The check runs without the lock, since it may ask the app, which may ask Slack.
        while not (seen := check()):
            if time.monotonic() > end:
                raise TimeoutError(f"nothing to see within {seconds:g} s")
            with self._changed:
                self._changed.wait(_LOOK_AGAIN_SECONDS)
        return seen

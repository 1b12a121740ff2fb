"""The threads on which schedules are looked up, as an executor.

Invariant: none of them keeps the process from ending: a source that hangs, or a calendar that takes its minute, is left
behind. At most so many look-ups are under way at once; the others wait for their turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class LookupThreads(Executor):
    """Starts a thread for each look-up. Safe for threads."""

    def __init__(self, at_once: int) -> None:
        self._room = threading.BoundedSemaphore(at_once)
        self._is_closed = False

    def submit(self, work: Callable[..., T], /, *args: Any, **named: Any) -> Future[T]:  # noqa: ANN401 - as Executor
        """What `work` will return. Raises RuntimeError after the end, and when there can't be another thread."""
        if self._is_closed:
            raise RuntimeError("nothing is looked up any more")
        found: Future[T] = Future()
        call = partial(work, *args, **named)
        threading.Thread(target=self._run, args=(found, call), name="on-call", daemon=True).start()
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor
        """Begin nothing more. It never waits."""
        del wait, cancel_futures
        self._is_closed = True

    def _run(self, found: Future[T], call: Callable[[], T]) -> None:
        with self._room:
            if self._is_closed:
                found.cancel()
            if not found.set_running_or_notify_cancel():
                return
            try:
                answer = call()
            except BaseException as error:  # noqa: BLE001 - it is who waits for it that gets it
                found.set_exception(error)
            else:
                found.set_result(answer)

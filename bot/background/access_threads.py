"""Threads that visit what is due: started when there is something to visit, ended when there is nothing more.

Invariant: what hangs holds up no other target, and no other emergency. A store that is unavailable is the loop's to
hear of: nothing more is visited until it has read again. After `stopping` is set, no further right is visited; a visit
in progress ends with its call, or leaves its lease to the next worker.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from bot.background.loops import Nudge
from core.access.due_rights import DueRights
from core.access.pauses import Visit

MAX_BRISK: Final = 2_000
"""A pass that read more than this is not repeated within the second, unless somebody nudges."""


class AccessThreads:
    """One loop's threads. The loop calls `work`, which doesn't wait for them."""

    def __init__(self, due: DueRights, nudge: Nudge, stopping: threading.Event) -> None:
        self._due = due
        self._nudge = nudge
        self._stopping = stopping
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._was_visited = False
        self._failure: Exception | None = None

    def work(self) -> None:
        """Read what is due, and have it visited. Raises StoreUnavailable, also of a visit since the last call."""
        with self._lock:
            failure, self._failure = self._failure, None
            was_visited, self._was_visited = self._was_visited, False
        number = self._due.read_due()
        while (visit := self._due.take()) is not None:
            self._start(visit)
        if failure is not None:
            raise failure
        with self._lock:
            is_busy = was_visited or self._was_visited or bool(self._threads)
        if is_busy and number <= MAX_BRISK:
            # What a target works on, or is to be looked at, is due again within seconds.
            self._nudge.rest_briefly()

    def join(self, deadline: float) -> bool:
        """Wait until they have ended, but not after the deadline, by `time.monotonic`. True if they have.

        To be called when the loop has ended, or can wait no longer.
        """
        with self._lock:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _start(self, visit: Visit) -> None:
        thread = threading.Thread(
            target=self._run, args=(visit,), name=f"access: {visit.urgency} of {visit.right.target}", daemon=True
        )
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            # There is no room for one more thread: what was taken stays due.
            self._due.put_down(visit)
            self._end(thread)
            raise

    def _run(self, visit: Visit) -> None:
        following: Visit | None = visit
        try:
            while following is not None and not self._stopping.is_set():
                visit, following = following, None
                self._due.visit(visit)
                with self._lock:
                    self._was_visited = True
                following = self._due.take()
            if self._due.wants_more(visit):
                self._nudge.give()
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop raises it, rests, and reads anew
            self._due.forget_waiting()
            with self._lock:
                self._failure = error
        finally:
            self._end(threading.current_thread())

    def _end(self, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.discard(thread)

"""How a process of ours runs until it is asked to stop: `serve` and `broker`.

Invariant: on SIGTERM or SIGINT, what was acknowledged is finished, within a bound. A second signal ends the process at
once, and so does the bound.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final

from bot.lifecycle import Lifecycle

STOP_TIMEOUT_SECONDS: Final = 28.0
"""Less than the 30 s that Kubernetes and ECS wait before they kill a process."""
_WAKE_SECONDS: Final = 1.0
"""Nothing interrupts a wait when another thread gets the signal, or when it comes just before the wait begins."""
_NOT_FINISHED: Final = 3
_SIGNALLED: Final = 128
_log = logging.getLogger("countersign.serve")


class StopSignal:
    """The first SIGTERM or SIGINT, once it came. For the main thread."""

    def __init__(self) -> None:
        # Not an Event: its lock isn't reentrant, and a signal that comes while this thread begins to wait for it would
        # wait for that lock for ever.
        self._requested = SimpleQueue[int]()

    def put(self, number: int) -> None:
        """Note that it came."""
        self._requested.put(number)

    def wait(self) -> None:
        """Wait until it comes."""
        while True:
            with suppress(Empty):
                self._requested.get(timeout=_WAKE_SECONDS)
                return


def listen_for_signals() -> StopSignal:
    """What gets the first SIGTERM or SIGINT from now on. A second signal ends the process."""
    requested, received = StopSignal(), list[int]()

    def request_stop(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(_SIGNALLED + number)
        received.append(number)
        requested.put(number)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, request_stop)
    return requested


def stop(lifecycle: Lifecycle) -> None:
    """Stop everything. Ends the process with 3 if that takes too long."""
    # On a separate thread: even if something hangs, the process ends, and says that it did not finish.
    stopping = threading.Thread(target=lifecycle.stop, name="stopping", daemon=True)
    stopping.start()
    stopping.join(STOP_TIMEOUT_SECONDS)
    if stopping.is_alive():
        _log.error(
            "some work was not finished within %d s; committed changes are delivered after the restart",
            STOP_TIMEOUT_SECONDS,
        )
        logging.shutdown()
        os._exit(_NOT_FINISHED)

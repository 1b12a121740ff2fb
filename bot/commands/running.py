"""How a process of ours runs until it is asked to stop: `serve` and `broker`.

Invariant: on SIGTERM or SIGINT, what was acknowledged is finished, within a bound. A second signal ends the process at
once, and so does the bound.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from queue import SimpleQueue
from types import FrameType
from typing import Final

from bot.lifecycle import Lifecycle

STOP_TIMEOUT_SECONDS: Final = 28.0
"""Less than the 30 s that Kubernetes and ECS wait before they kill a process."""
_NOT_FINISHED: Final = 3
_SIGNALLED: Final = 128
_log = logging.getLogger("countersign.serve")


def listen_for_signals() -> SimpleQueue[int]:
    """A queue that gets the first SIGTERM or SIGINT. A second signal ends the process."""
    # Not an Event: its lock isn't reentrant, and a signal that comes while this thread begins to wait for it would
    # wait for that lock for ever.
    requested, received = SimpleQueue[int](), list[int]()

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

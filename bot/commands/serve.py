"""`countersign serve`: run the bot until it is asked to stop.

Invariant: a bad setting, token or policy ends it with one line before anything is started. On SIGTERM or SIGINT it
takes nothing new, finishes what was acknowledged, and exits with 0, within a bound. A second signal ends the process
at once.

Exit codes: 0 stopped as asked, 1 Slack did not answer at the start, 2 the input can't be used, 3 the store failed, or
something acknowledged could not be finished in time.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from importlib.metadata import version
from queue import SimpleQueue
from types import FrameType
from typing import Final

import click

from bot.lifecycle import Lifecycle
from bot.observability.logs import configure_logging
from bot.settings import read_api_settings, read_settings, read_slack_settings, secrets_of, unknown_variables
from core.policy.file_access import find_writers

STOP_TIMEOUT_SECONDS: Final = 28.0
"""Less than the 30 s that Kubernetes and ECS wait before they kill a process."""
_NOT_FINISHED: Final = 3
_SIGNALLED: Final = 128
_log = logging.getLogger("countersign.serve")


@click.command()
def serve() -> None:
    """Run the bot, over Socket Mode or HTTP.

    It uses HTTP if COUNTERSIGN_LISTEN is set, and Socket Mode otherwise.
    """
    # Bolt and the web server take as long to load as everything else, and the other commands don't need them.
    from bot.wiring.instance import open_instance  # noqa: PLC0415 - see above

    settings, api = read_settings(), read_api_settings()
    slack = read_slack_settings().require_transport(settings.listen)
    # Without a key, the trail would be sealed with a public constant.
    settings.require_audit_key()
    configure_logging(settings.log, sys.stderr, secrets=secrets_of(settings, slack))
    stop_requested = _listen_for_signals()
    for sentence in (*unknown_variables(), *find_writers(settings.policy)):
        _log.warning("%s", sentence)
    instance = open_instance(settings, slack, api)
    instance.lifecycle.start()
    _log.info(
        "countersign %s is up, over %s, on policy %.12s",
        version("countersign"),
        instance.transport_name,
        instance.policy_digest,
    )
    stop_requested.get()
    _log.info("stopping: finishing what was acknowledged")
    _stop(instance.lifecycle)
    _log.info("stopped")


def _listen_for_signals() -> SimpleQueue[int]:
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


def _stop(lifecycle: Lifecycle) -> None:
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

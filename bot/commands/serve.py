"""`countersign serve`: run the bot until it is told to stop.

Invariant: a bad setting, token or policy ends it before anything is started, with one line. SIGTERM or SIGINT stops
taking in, finishes what was acknowledged, and ends with 0, within a bound; a second one ends the process at once.

Exit codes: 0 stopped as told, 1 Slack did not answer at the start, 2 what was given cannot be used, 3 the store, or
something acknowledged could not be finished in time.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from importlib.metadata import version
from types import FrameType
from typing import Final

import click

from bot.lifecycle import Lifecycle
from bot.observability.logs import configure_logging
from bot.settings import read_settings, read_slack_settings

STOP_TIMEOUT_SECONDS: Final = 28.0
"""Less than the 30 s that Kubernetes and ECS give before they kill."""
_NOT_FINISHED: Final = 3
_SIGNALLED: Final = 128
_log = logging.getLogger("countersign.serve")


@click.command()
def serve() -> None:
    """Run the bot: by Socket Mode, or over HTTP with COUNTERSIGN_LISTEN."""
    # The other commands need neither Bolt nor a web server, which take as long to load as everything else.
    from bot.serving import secrets_of, wire  # noqa: PLC0415 - see above

    settings = read_settings()
    slack = read_slack_settings().require_transport(settings.listen)
    # Who runs it without one would seal the trail with a constant that anybody can read.
    settings.require_audit_key()
    configure_logging(settings.log, sys.stderr, secrets=secrets_of(settings, slack))
    told_to_stop = _listen_for_signals()
    wired = wire(settings, slack)
    wired.instance.start()
    _log.info(
        "countersign %s is up, over %s, on policy %.12s", version("countersign"), wired.transport, wired.policy_digest
    )
    told_to_stop.wait()
    _log.info("stopping: what was acknowledged is finished first")
    _stop(wired.instance)
    _log.info("stopped")


def _listen_for_signals() -> threading.Event:
    """An event that the first SIGTERM or SIGINT sets. The second one ends the process."""
    told = threading.Event()

    def hear(number: int, _frame: FrameType | None) -> None:
        if told.is_set():
            os._exit(_SIGNALLED + number)
        told.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, hear)
    return told


def _stop(instance: Lifecycle) -> None:
    # On a thread of its own: whatever hangs, this process ends, and says that it did not finish.
    stopping = threading.Thread(target=instance.stop, name="stopping", daemon=True)
    stopping.start()
    stopping.join(STOP_TIMEOUT_SECONDS)
    if stopping.is_alive():
        _log.error(
            "not everything was finished within %d s; what was committed is told after the restart",
            STOP_TIMEOUT_SECONDS,
        )
        logging.shutdown()
        os._exit(_NOT_FINISHED)

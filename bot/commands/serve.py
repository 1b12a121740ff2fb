"""`countersign serve`: run the bot until it is asked to stop.

Invariant: bad settings, a bad token or a bad policy end it before anything is started, with a line for each problem. On
SIGTERM or SIGINT it takes nothing new, finishes what was acknowledged, and exits with 0, within a bound. A second
signal ends the process at once.

Exit codes: 0 stopped as asked, 1 Slack did not answer at the start, 2 the input can't be used, 3 the store failed, or
something acknowledged could not be finished in time.
"""

from __future__ import annotations

import logging
import sys

import click

from bot.commands.env_file import env_file_option
from bot.commands.running import listen_for_signals, stop
from bot.commands.service_notice import ServiceNotice
from bot.observability.build import find_build
from bot.observability.logs import configure_logging
from bot.settings import secrets_of, settings_to_serve, unknown_variables
from core.policy.file_access import find_writers

_log = logging.getLogger("countersign.serve")


@click.command()
@env_file_option
def serve() -> None:
    """Run the bot, over Socket Mode or HTTP.

    It uses HTTP if COUNTERSIGN_LISTEN is set, and Socket Mode otherwise.
    """
    # Bolt and the web server take as long to load as everything else, and the other commands don't need them.
    from bot.wiring.instance import open_instance  # noqa: PLC0415 - see above

    # Everything that is missing at once: a start that stops twice in a row costs twice the patience.
    settings, slack, api = settings_to_serve()
    configure_logging(settings.log, sys.stderr, secrets=secrets_of(settings, slack))
    stop_requested, notice = listen_for_signals(), ServiceNotice()
    for sentence in (*unknown_variables(), *find_writers(settings.policy)):
        _log.warning("%s", sentence)
    instance = open_instance(settings, slack, api)
    instance.lifecycle.start()
    _log.info(
        "countersign %s is up, over %s, on policy %.12s",
        find_build(),
        instance.transport_name,
        instance.policy_digest,
    )
    notice.ready(f"serving over {instance.transport_name}")
    stop_requested.wait()
    notice.stopping()
    _log.info("stopping: finishing what was acknowledged")
    stop(instance.lifecycle)
    _log.info("stopped")

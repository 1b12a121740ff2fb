"""`countersign broker`: give AWS credentials to paired terminals, until it is asked to stop.

Invariant: it reads grants and writes sessions, and does nothing else. Without somebody to say that a person is still a
member, it doesn't start, and gives no credentials.

Exit codes: as those of `serve`.
"""

from __future__ import annotations

import logging
import sys

import click

from bot.commands.running import listen_for_signals, stop
from bot.commands.service_notice import ServiceNotice
from bot.observability.build import find_build
from bot.observability.logs import configure_logging
from bot.settings import read_api_settings, read_settings, read_slack_settings, secrets_of, unknown_variables

_log = logging.getLogger("countersign.broker")


@click.command()
def broker() -> None:
    """Give AWS credentials to paired terminals, as a process with an AWS role of its own.

    It listens on COUNTERSIGN_BROKER_LISTEN, and needs the store, the policy, the audit key and a Slack bot token that
    may read who is a member.
    """
    # The web server takes as long to load as everything else, and the other commands don't need it.
    from bot.wiring.broker import open_broker  # noqa: PLC0415 - see above

    settings, api = read_settings(), read_api_settings().require_broker_listen()
    slack = read_slack_settings().require_bot_token()
    settings.require_audit_key()
    configure_logging(settings.log, sys.stderr, secrets=secrets_of(settings, slack))
    stop_requested, notice = listen_for_signals(), ServiceNotice()
    for sentence in unknown_variables():
        _log.warning("%s", sentence)
    running = open_broker(settings, slack, api)
    running.lifecycle.start()
    _log.info("countersign broker %s is up, on %s", find_build(), running.url)
    notice.ready(f"serving on {running.url}")
    stop_requested.wait()
    notice.stopping()
    stop(running.lifecycle)
    _log.info("stopped")

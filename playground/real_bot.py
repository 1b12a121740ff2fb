"""The real bot of the playground: the services, the sink, the sweeper and the HTTP door that `serve` runs too.

Invariant: nothing here knows that Slack is a local one, but for its address and its secrets.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from pydantic import SecretStr

from bot.background import Sweeper
from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from bot.observability.metrics import Metrics
from bot.settings import Address
from bot.slack.installation import find_installation
from bot.transport.dispatcher import Dispatcher
from bot.transport.http import HttpTransport
from bot.wiring import build_bot, build_services
from core.clock import Clock
from core.policy import PolicySource
from core.stores.base import Stores
from localslack.server import LocalSlack

_ANY_PORT: Final = Address("127.0.0.1", 0)


def start_bot(stack: ExitStack, slack: LocalSlack, stores: Stores, policy: PolicySource, clock: Clock) -> Sweeper:
    """Start the bot and let Slack know of it; `stack` stops it. Gives its sweeper, which is running."""
    services = build_services(stores, policy, clock)
    client = open_client(SecretStr(slack.bot_token), slack.api_url)
    sink = SlackSink(client, stores, policy, clock)
    sweeper = Sweeper(services.requests, services.break_glass, stores, [sink], clock)
    bot = build_bot(
        services,
        client,
        find_installation(client),
        signing_secret=slack.signing_secret,
        nudge=sweeper.nudge,
        refresh=lambda record, clicked: sink.refresh(record, clicked=clicked),
    )
    metrics = Metrics()
    dispatcher = Dispatcher(bot.app, metrics)
    door = HttpTransport(dispatcher, metrics, slack.signing_secret, _ANY_PORT)
    # What was acknowledged is finished, and what was committed is told, before the sweeper ends.
    stack.callback(sweeper.stop)
    stack.callback(bot.close)
    stack.callback(dispatcher.close)
    stack.callback(door.stop)
    door.start()
    slack.use_http(door.url)
    bot.warm()
    sweeper.start()
    return sweeper

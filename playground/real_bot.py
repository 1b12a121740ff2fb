"""The real bot of the playground: what `serve` runs, on the local Slack.

Invariant: nothing here knows that Slack is a local one, but for its address and its secrets, and that AWS is a
pretended one, but for the kind of its target.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Final

from pydantic import SecretStr

from bot.settings.addresses import Address
from bot.slack.client import open_client
from bot.transport.http import HttpTransport
from bot.wiring.instance import API_TIMEOUT_SECONDS, wire
from bot.wiring.ports import Background, OverHttp, Ports
from core.clock import Clock
from core.policy import PolicySource
from core.stores.base import Stores
from localslack.server import LocalSlack
from playground.demo_target import DemoTarget, open_demo_targets

_ANY_PORT: Final = Address("127.0.0.1", 0)


def start_bot(
    stack: ExitStack, slack: LocalSlack, aws: DemoTarget, stores: Stores, policy: PolicySource, clock: Clock
) -> Background:
    """Start the bot and let Slack know of it; `stack` stops it. Gives its background work, which is running."""
    client = open_client(SecretStr(slack.bot_token), slack.api_url, API_TIMEOUT_SECONDS)
    transport = OverHttp(SecretStr(slack.signing_secret), _ANY_PORT)
    instance = wire(Ports(stores, policy, clock, client, targets=partial(open_demo_targets, aws)), transport)
    stack.callback(instance.lifecycle.stop)
    instance.lifecycle.start()
    if isinstance(instance.transport, HttpTransport):
        slack.use_http(instance.transport.url)
    return instance.background

"""The real bot of the playground: what `serve` runs, on the local Slack.

Invariant: nothing here knows that Slack is a local one, but for its address and its secrets, and that AWS is a
pretended one, but for the kind of its target.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from bot.observability.clock_check import ComparedClock
from bot.settings.addresses import Address
from bot.settings.api import ApiSettings
from bot.slack.client import open_client
from bot.transport.http import HttpTransport
from bot.wiring.instance import API_TIMEOUT_SECONDS, BuildBackground, Instance, build_sweeper, wire
from bot.wiring.ports import OverHttp, Ports
from core.clock import Clock
from core.errors import InvalidInput
from core.policy import PolicySource
from core.stores.base import Stores
from localslack.server import LocalSlack
from playground.demo_target import DemoTarget, open_demo_targets
from playground.demo_tickets import DemoTickets
from playground.pretend_on_call import PretendOnCall

if TYPE_CHECKING:
    # It loads the SDK of AWS.
    from core.targets.aws_role.clients import AwsClients

_ANY_PORT: Final = Address("127.0.0.1", 0)


@dataclass(frozen=True, slots=True)
class PretendServices:
    """The pretend AWS: who holds which permission, and the role that people get credentials for. And who is on call."""

    demo: DemoTarget
    clients: AwsClients
    on_call: PretendOnCall


def start_bot(
    slack: LocalSlack,
    pretended: PretendServices | None,
    stores: Stores,
    policy: PolicySource,
    clock: Clock,
    *,
    api_port: int,
    prepare: Callable[[Ports], None] | None = None,
    build_background: BuildBackground = build_sweeper,
) -> Instance:
    """Start the bot and let Slack know of it. Stop its lifecycle when it's done.

    Without `pretended`, the policy must name no target, no schedule and no pager. `prepare` is called before anything
    is built between the ports.
    """
    compared = clock if isinstance(clock, ComparedClock) else None
    client = open_client(SecretStr(slack.bot_token), slack.api_url, API_TIMEOUT_SECONDS, compared_clock=compared)
    transport = OverHttp(SecretStr(slack.signing_secret), _ANY_PORT)
    ports = Ports(stores, policy, clock, client)
    if pretended is not None:
        ports = _pretend(ports, pretended)
    if prepare is not None:
        prepare(ports)
    instance = wire(ports, transport, build_background=build_background, api=_api_on(api_port))
    instance.lifecycle.start()
    if isinstance(instance.transport, HttpTransport):
        slack.use_http(instance.transport.url, options_url=instance.transport.url)
    return instance


def _pretend(ports: Ports, pretended: PretendServices) -> Ports:
    return replace(
        ports,
        targets=partial(open_demo_targets, pretended.demo),
        aws_clients=lambda: pretended.clients,
        pagers=pretended.on_call.pager_openers,
        schedule_sources=pretended.on_call.schedule_openers,
        tickets=lambda _: DemoTickets(),
    )


def find_port(wanted: int) -> int:
    """A free port: this one, if it is."""
    for port in (wanted, 0):
        with suppress(OSError), closing(socket.create_server((_ANY_PORT.host, port))) as free:
            return int(free.getsockname()[1])
    raise InvalidInput(
        "folder", "there is no free port for the HTTP API", "Stop something that listens, and try again."
    )


def api_url_of(port: int) -> str:
    """Where the terminals find the API."""
    return f"http://{_ANY_PORT.host}:{port}"


def _api_on(port: int) -> ApiSettings:
    """Every field is given, so that none comes from the environment."""
    return ApiSettings(
        plain_http_hosts=frozenset(),
        api_listen=Address(_ANY_PORT.host, port),
        api_url=api_url_of(port),
        api_proxies=(),
        broker_url=None,
        broker_listen=None,
    )

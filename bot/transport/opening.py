"""Opens the transport that the settings choose, with its readiness and its health pages.

Invariant: nothing listens or connects before it is started. Over HTTP, the pages for operators are not at the address
that Slack uses, unless both addresses are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from slack_sdk import WebClient
from starlette.routing import BaseRoute

from bot.observability.metrics import Metrics
from bot.settings.addresses import Address
from bot.slack.token_check import BotTokenCheck
from bot.transport.dispatcher import Dispatcher
from bot.transport.health_pages import HealthPages, public_pages
from bot.transport.http import HttpTransport
from bot.transport.readiness import Readiness, store_answers
from bot.transport.socket_mode import LINGER_SECONDS, SocketModeTransport
from core.stores.base import Stores


@dataclass(frozen=True, slots=True)
class OverHttp:
    """Slack sends requests to this address, signed with this secret."""

    signing_secret: SecretStr
    address: Address


@dataclass(frozen=True, slots=True)
class OverSocketMode:
    """The bot connects to Slack with this app-level token."""

    app_token: SecretStr
    linger_seconds: float = LINGER_SECONDS


def open_transport(
    transport: OverHttp | OverSocketMode,
    client: WebClient,
    stores: Stores,
    dispatcher: Dispatcher,
    metrics: Metrics,
    metrics_address: Address | None,
    token_check: BotTokenCheck,
    more_pages: Sequence[BaseRoute] = (),
) -> tuple[HttpTransport | SocketModeTransport, Readiness, HealthPages]:
    """The transport, ready to start. Over HTTP, it serves `more_pages` on the address that Slack uses."""
    checks: dict[str, Callable[[], bool]] = {"store": lambda: store_answers(stores)}
    if isinstance(transport, OverSocketMode):
        token, linger = transport.app_token.get_secret_value(), transport.linger_seconds
        socket = SocketModeTransport(dispatcher, metrics, client, token, linger_seconds=linger)
        # Not over HTTP: a load balancer would remove every instance at once, and people would see Slack's own error
        # instead of ours. In Socket Mode, no traffic is routed by this.
        readiness = Readiness({**checks, "slack token": token_check.is_accepted, "slack": socket.is_connected})
        return socket, readiness, HealthPages(metrics, readiness)
    readiness = Readiness(checks)
    pages = HealthPages(metrics, readiness)
    # The address that Slack uses is public. Where a platform gives one port only, both addresses are the same.
    routes = pages.pages() if is_shared(transport, metrics_address) else public_pages()
    secret = transport.signing_secret.get_secret_value()
    return HttpTransport(dispatcher, metrics, secret, transport.address, pages=[*routes, *more_pages]), readiness, pages


def is_shared(transport: OverHttp | OverSocketMode, metrics_address: Address | None) -> bool:
    """True when Slack and operators use the same address."""
    return isinstance(transport, OverHttp) and transport.address == metrics_address

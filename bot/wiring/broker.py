"""Builds the broker: the process that gives credentials and nothing else.

Invariant: its directory asks Slack and hears of changes from the store, and writes nothing there. It has no sink, no
background work and no target but roles in AWS, none of which it edits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.api.server import ApiOptions, ApiServer
from bot.lifecycle import Component, Lifecycle
from bot.observability.clock_check import ComparedClock
from bot.observability.metrics import Metrics
from bot.observability.traced_ports import trace_directory, trace_issuer, trace_stores
from bot.observability.watcher import Watcher
from bot.settings import ApiSettings, Settings, SlackSettings
from bot.settings.addresses import Address
from bot.settings.api import BROKER_LISTEN
from bot.slack import client as slack_client
from bot.slack.clock_watch import ClockWatch
from bot.slack.directory import SlackDirectory
from bot.slack.installation import find_installation
from bot.transport.health_pages import HealthPages, HealthServer
from bot.transport.readiness import Readiness
from bot.wiring.api import build_broker, open_api_metrics
from bot.wiring.tracing import open_tracer, tracing_components
from core.access.session import SessionId, SessionNotFound
from core.policy import PolicyFile
from core.services import DeviceService, SessionService
from core.stores.base import Stores
from core.stores.opening import open_stores
from core.targets.aws_role.roles import AwsRoles
from core.targets.opening import PolicyTargets

SLACK_TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """The broker, ready to start."""

    lifecycle: Lifecycle
    server: ApiServer

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return self.server.url


def open_broker(settings: Settings, slack: SlackSettings, api: ApiSettings) -> RunningBroker:
    """The broker as the settings say. Asks Slack whom the token belongs to.

    Raises InvalidInput, InvalidPolicy, SlackUnreachable or StoreError, and then leaves nothing open.
    """
    clock, policy, tracer = ComparedClock(), PolicyFile(settings.policy), open_tracer(settings)
    client = slack_client.open_client(
        slack.bot_token, slack.api_url, SLACK_TIMEOUT_SECONDS, compared_clock=clock, tracer=tracer
    )
    installation = find_installation(client)
    options = ApiOptions(api.own_broker_url, api.own_broker_url, api.api_proxies)
    address = api.require_broker_listen().broker_listen or Address("127.0.0.1", 0)
    stores = open_stores(settings.store, keyring=settings.keyring, retention=settings.retention, clock=clock)
    stores, metrics = trace_stores(stores, tracer), Metrics()
    watcher = Watcher(metrics)
    directory = SlackDirectory(
        client,
        installation.team_id,
        clock,
        lambda: policy.current().user_groups(),
        installation.enterprise_id,
    )
    targets = PolicyTargets(policy, clock)
    issuer = trace_issuer(AwsRoles(stores, clock, targets.config_of), tracer)
    known = trace_directory(directory, tracer)
    devices = DeviceService(stores, policy, clock, watcher, directory=known, notes_use=False)
    sessions = SessionService(stores, policy, clock, issuer, watcher, directory=known)
    served = build_broker(devices, sessions, clock, options, open_api_metrics(metrics), tracer)
    server = ApiServer(served, address, setting=BROKER_LISTEN, behind_proxy=bool(api.api_proxies))
    watch = ClockWatch(client, clock)
    components = [
        *tracing_components(tracer),
        Component("the stores", stop=stores.close),
        *_monitoring(settings, metrics, stores),
        Component("the clock watch", watch.start, watch.stop),
        Component("the targets", stop=targets.close),
        Component("the directory", directory.refresh_groups, directory.close),
        Component("the broker", server.start, server.stop),
    ]
    return RunningBroker(Lifecycle(components), server)


def _monitoring(settings: Settings, metrics: Metrics, stores: Stores) -> list[Component]:
    """Readiness and metrics, where COUNTERSIGN_METRICS says so."""
    if not isinstance(settings.metrics, Address):
        return []
    readiness = Readiness({"store": lambda: _store_answers(stores)})
    pages = HealthPages(metrics, readiness)
    server = HealthServer(pages, settings.metrics)
    return [
        Component("the health pages", stop=pages.close),
        Component("the health server", server.start, server.stop),
        Component("readiness", stop=readiness.stop),
    ]


def _store_answers(stores: Stores) -> bool:
    """Read one session that doesn't exist: the broker's role in AWS may read no requests. Raises StoreError."""
    try:
        stores.sessions.get(SessionId("0" * 16))
    except SessionNotFound:
        return True
    return True

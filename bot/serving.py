"""What `countersign serve` runs: the bot behind its door, with its pages for operators, wired together.

Invariant: nothing is started here. What is stopped first is what lets work in; the stores are closed last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from slack_sdk import WebClient

from bot.background import Sweeper
from bot.interactions.decision_queue import MAX_WAITING, DecisionQueue
from bot.lifecycle import Instance, Part
from bot.mfa.opening import open_secrets
from bot.mfa.totp import Totp
from bot.notifications.slack_sink import SlackSink
from bot.observability.metrics import Metrics
from bot.observability.watcher import Watcher
from bot.settings import Settings, SlackSettings
from bot.sinks import build_sinks
from bot.slack import client as slack_client
from bot.slack.installation import find_installation
from bot.transport.dispatcher import Dispatcher
from bot.transport.health_pages import HealthPages, HealthServer
from bot.transport.http import HttpTransport
from bot.transport.readiness import Readiness, store_answers
from bot.transport.socket_mode import SocketModeTransport
from bot.wiring import Bot, build_bot, build_services
from core.clock import SystemClock
from core.errors import InvalidInput
from core.outbox.outbox import Sink
from core.policy import PolicyFile
from core.stores.base import Stores
from core.stores.messages import MessageRef
from core.stores.opening import open_stores

API_TIMEOUT_SECONDS: Final = 10
"""How long a call of Slack's Web API may take."""


def secrets_of(settings: Settings, slack: SlackSettings) -> Iterable[str]:
    """All that may not appear in a log."""
    kept = (slack.bot_token, slack.app_token, slack.signing_secret, settings.audit_key, settings.webhook_secret)
    values = [secret.get_secret_value() for secret in kept if secret is not None]
    # The address of a webhook may carry its receiver's token; the audit key is a list of keys.
    values += [settings.webhook_url or ""]
    return [part.strip() for value in values for part in (value, *value.split(","))]


@dataclass(frozen=True, slots=True)
class Wired:
    """An instance, and what it says of itself when it is up."""

    instance: Instance
    bot: Bot
    metrics: Metrics
    policy_digest: str
    transport: str


def wire(settings: Settings, slack: SlackSettings, *, max_waiting: int = MAX_WAITING) -> Wired:
    """Put one instance together. Asks Slack once whom the token belongs to.

    `most_waiting` bounds the decisions that may wait for the store. Raises InvalidInput, InvalidPolicy, StoreError or
    SlackUnreachable: then nothing is left open.
    """
    clock, metrics = SystemClock(), Metrics()
    policy = PolicyFile(settings.policy)
    client = slack_client.open_client(slack.bot_token, slack.api_url, API_TIMEOUT_SECONDS)
    installation = find_installation(client)
    stores = open_stores(settings.store, keyring=settings.keyring, retention=settings.retention, clock=clock)
    mfa = Totp(open_secrets(settings.mfa_secrets))
    services = build_services(stores, policy, clock, Watcher(metrics), mfa)
    sinks = build_sinks(settings, slack, stores, policy, clock)
    sweeper = Sweeper(services.requests, services.break_glass, stores, sinks, clock)
    bot = build_bot(
        services,
        client,
        installation,
        signing_secret=slack.signing_secret.get_secret_value() if slack.signing_secret and settings.listen else None,
        nudge=sweeper.nudge,
        refresh=_refreshing(sinks),
        queue=DecisionQueue(max_waiting=max_waiting, on_answer=metrics.answered),
    )
    metrics.watch_outbox(sweeper.outbox_state)
    metrics.watch(
        "countersign_policy_refused",
        "1 while the policy file has a mistake, so that the version before it stays in force.",
        lambda: float(policy.problem is not None),
    )
    parts = _Parts(settings, slack, metrics, client, stores, bot, sweeper)
    transport = "http" if settings.listen is not None else "socket mode"
    return Wired(Instance(parts.build()), bot, metrics, policy.current().digest, transport)


def _refreshing(sinks: Sequence[Sink]) -> Callable[[str, MessageRef | None], None]:
    """Shows a record's card anew, where a sink has cards."""

    def refresh(record: str, clicked: MessageRef | None) -> None:
        for sink in sinks:
            if isinstance(sink, SlackSink):
                sink.refresh(record, clicked=clicked)

    return refresh


@dataclass(frozen=True, slots=True)
class _Parts:
    settings: Settings
    slack: SlackSettings
    metrics: Metrics
    client: WebClient
    stores: Stores
    bot: Bot
    sweeper: Sweeper

    def build(self) -> list[Part]:
        """The parts in the order of their start."""
        dispatcher = Dispatcher(self.bot.app, self.metrics)
        self.metrics.watch(
            "countersign_payloads_in_flight", "Payloads taken and not yet answered.", lambda: dispatcher.in_flight
        )
        checks = {"store": lambda: store_answers(self.stores)}
        socket_door = self._socket_door(dispatcher)
        if socket_door is not None:
            checks["slack"] = socket_door.is_connected
        readiness = Readiness(checks)
        monitoring = HealthPages(self.metrics, readiness)
        door = socket_door or self._http_door(dispatcher, monitoring)
        return [
            Part("the stores", stop=self.stores.close),
            *self._monitoring_parts(monitoring),
            Part("the sweeper", self.sweeper.start, self.sweeper.stop),
            Part("the bot", self.bot.warm, self.bot.close),
            Part("the dispatcher", stop=dispatcher.close),
            Part("the door", door.start, door.stop),
            Part("readiness", stop=readiness.stop),
        ]

    def _monitoring_parts(self, monitoring: HealthPages) -> list[Part]:
        pages = Part("monitoring", stop=monitoring.close)
        if self.settings.metrics is None:
            return [pages]
        door = HealthServer(monitoring, self.settings.metrics)
        return [pages, Part("the door for metrics", door.start, door.stop)]

    def _http_door(self, dispatcher: Dispatcher, monitoring: HealthPages) -> HttpTransport:
        if self.settings.listen is None or self.slack.signing_secret is None:
            raise InvalidInput(
                "SLACK_SIGNING_SECRET", "it is missing", "HTTP needs it, to know Slack by its signature."
            )
        return HttpTransport(
            dispatcher,
            self.metrics,
            self.slack.signing_secret.get_secret_value(),
            self.settings.listen,
            # Metrics with an address of their own are not shown on the one that Slack, and so the world, can reach.
            pages=monitoring.pages(metrics=self.settings.metrics is None),
        )

    def _socket_door(self, dispatcher: Dispatcher) -> SocketModeTransport | None:
        if self.settings.listen is not None or self.slack.app_token is None:
            return None
        return SocketModeTransport(dispatcher, self.metrics, self.client, self.slack.app_token.get_secret_value())

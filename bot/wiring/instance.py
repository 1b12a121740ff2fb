"""The composition root: `serve`, `sweep`, the playground, benchmarks and tests all build the bot here.

Invariant: building starts nothing, and makes one call to Slack: which installation the token belongs to. The ports can
be replaced; everything between them can't. Components stop in reverse order, so acknowledged work is finished while the
stores are still open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from pydantic import SecretStr
from slack_bolt import App

from bot.background.pages import PageWatch
from bot.interactions.after_interaction import AfterInteraction
from bot.interactions.bolt_app import Bot, answer_unknown, build_app
from bot.interactions.decision_queue import DecisionQueue
from bot.interactions.departures import Departures
from bot.interactions.directory_events import DirectoryEvents
from bot.interactions.lanes import MAX_WAITING, Lanes
from bot.interactions.reply_sender import ReplySender
from bot.interactions.responder import Responder
from bot.lifecycle import Component, Lifecycle
from bot.mfa.opening import open_secrets
from bot.mfa.totp import Totp
from bot.notifications.card_links import CardLinks
from bot.notifications.opening import open_more_sinks
from bot.notifications.permalinks import Permalinks
from bot.notifications.slack_sink import SlackSink
from bot.observability.clock_check import ComparedClock
from bot.observability.gauges import watch_instance
from bot.observability.metrics import AnswerKind, Metrics
from bot.observability.on_call_metrics import OnCallMetrics
from bot.observability.page_metrics import PageMetrics
from bot.observability.tracing import ANSWER, Tracer
from bot.observability.watcher import Watcher
from bot.settings import Settings, SlackSettings
from bot.settings.addresses import Address
from bot.settings.api import ApiSettings
from bot.slack import client as slack_client
from bot.slack.change_writer import ChangeWriter
from bot.slack.directory import SlackDirectory
from bot.slack.installation import Installation, find_installation
from bot.slack.opening import open_directory
from bot.slack.token_check import BotTokenCheck
from bot.transport.dispatcher import Dispatcher
from bot.transport.http import HttpTransport
from bot.transport.opening import is_shared, open_transport
from bot.transport.socket_mode import SocketModeTransport
from bot.wiring.api import ApiNeeds, InstanceApi, open_api_metrics, serve_api
from bot.wiring.components import check_components, clock_components, on_call_components, page_components
from bot.wiring.listeners import build_lists, register_listeners
from bot.wiring.on_call import open_roster
from bot.wiring.paging import build_paging
from bot.wiring.ports import Background, OverHttp, OverSocketMode, Ports
from bot.wiring.services import Services, build_services, build_sinks, build_sweeper
from bot.wiring.tracing import open_tracer, trace_ports, tracing_components
from core.outbox.outbox import Sink
from core.policy import PolicyFile
from core.schedules.roster import ScheduleRoster
from core.services.device_ending import DeviceEnding
from core.stores.base import Stores
from core.stores.messages import MessageRef
from core.stores.opening import open_stores

__all__ = [
    "API_TIMEOUT_SECONDS", "BuildBackground", "Instance", "Services", "build_services", "build_sinks", "build_sweeper",
    "open_instance", "open_ports", "open_sweep_ports", "transport_of", "wire",
]  # fmt: skip

API_TIMEOUT_SECONDS: Final = 10
"""How long a call to Slack's Web API may take."""


BuildBackground: TypeAlias = Callable[[Services, Sequence[Sink]], Background]


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance, ready to start."""

    lifecycle: Lifecycle
    services: Services
    bot: Bot
    sinks: Sequence[Sink]
    background: Background
    transport: HttpTransport | SocketModeTransport
    metrics: Metrics
    api: InstanceApi
    page_watch: PageWatch
    """Reads who acknowledged a page, in the background and when it is asked to."""

    @property
    def transport_name(self) -> str:
        """The transport's name, for people."""
        return "http" if isinstance(self.transport, HttpTransport) else "socket mode"

    @property
    def policy_digest(self) -> str:
        """The digest of the policy in force."""
        return self.services.policy.current().digest


def open_ports(settings: Settings, slack: SlackSettings) -> Ports:
    """The ports of `serve`, as the settings say. Asks Slack whom the token belongs to.

    Raises InvalidInput, InvalidPolicy, SlackUnreachable or StoreError. The stores are opened last, so an error leaves
    nothing open, and a wrong token no new file.
    """
    clock, policy, tracer = ComparedClock(), PolicyFile(settings.policy), open_tracer(settings)
    client = slack_client.open_client(
        slack.bot_token, slack.api_url, API_TIMEOUT_SECONDS, compared_clock=clock, tracer=tracer
    )
    mfa, sinks = Totp(open_secrets(settings.mfa_secrets)), tuple(open_more_sinks(settings, clock))
    installation = find_installation(client)
    stores = open_stores(settings.store, keyring=settings.keyring, retention=settings.retention, clock=clock)
    return Ports(stores, policy, clock, client, sinks, mfa, installation, tracer=tracer)


def open_sweep_ports(settings: Settings, slack: SlackSettings, stores: Stores) -> Ports:
    """The ports of `sweep` on open stores. It verifies no code and answers no click, so it needs neither.

    Raises InvalidInput or InvalidPolicy.
    """
    clock, policy, tracer = ComparedClock(), PolicyFile(settings.policy), open_tracer(settings)
    client = slack_client.open_client(
        slack.bot_token, slack.api_url, API_TIMEOUT_SECONDS, compared_clock=clock, tracer=tracer
    )
    return Ports(stores, policy, clock, client, tuple(open_more_sinks(settings, clock)), tracer=tracer)


def wire(
    ports: Ports,
    transport: OverHttp | OverSocketMode,
    *,
    metrics_address: Address | None = None,
    build_background: BuildBackground = build_sweeper,
    max_waiting: int = MAX_WAITING,
    closes_stores: bool = False,
    api: ApiSettings | None = None,
) -> Instance:
    """Build one instance. With `closes_stores` it closes the stores when it stops; otherwise the caller does.

    `api` says where the HTTP API is served, `metrics_address` where metrics and readiness are, apart from Slack's
    requests unless it is the transport's own address. `max_waiting` limits the decisions that may wait for the store.
    Raises InvalidInput for a token that Slack refuses, and SlackUnreachable.
    """
    ports, metrics, installation = trace_ports(ports), Metrics(), ports.installation or find_installation(ports.client)
    watcher, (opened, roster) = Watcher(metrics), _open_people(ports, installation, metrics)
    paging = build_paging(ports, installation.url, opened[0].name_of, PageMetrics(metrics.registry))
    services, sinks = build_services(ports, watcher, opened[0], roster), build_sinks(ports, paging, roster)
    background = build_background(services, sinks)
    page_watch, lanes = paging.build_watch(background.nudge), _open_lanes(max_waiting, metrics, ports.tracer)
    bot = _build_bot(ports, transport, installation, services, opened, lanes, metrics, background, sinks)
    dispatcher, token_check = Dispatcher(bot.app, metrics, tracer=ports.tracer), BotTokenCheck(ports.client)
    served = _serve_api(ports, services, opened[0], background, transport, api, (metrics, watcher))
    receiver, readiness, pages = open_transport(
        transport, ports.client, ports.stores, dispatcher, metrics, metrics_address, token_check, served.routes()
    )
    watch_instance(metrics, background, dispatcher, lanes, ports.policy, ports.clock)
    components = [
        *_below(ports, services, closes_stores=closes_stores),
        *page_components(pages, None if is_shared(transport, metrics_address) else metrics_address),
        *on_call_components(paging, page_watch, roster),
        Component("the background work", background.start, background.stop),
        Component("the bot", bot.warm, bot.close),
        Component("the dispatcher", stop=dispatcher.close),
        *served.around(Component("the transport", receiver.start, receiver.stop)),
        *check_components(token_check, readiness),
    ]
    return Instance(Lifecycle(components), services, bot, sinks, background, receiver, metrics, served, page_watch)


def open_instance(
    settings: Settings, slack: SlackSettings, api: ApiSettings | None = None, *, max_waiting: int = MAX_WAITING
) -> Instance:
    """The instance that `serve` runs. Raises the errors of `open_ports` and `wire`, and then leaves nothing open."""
    transport, ports = transport_of(settings, slack), open_ports(settings, slack)
    try:
        metrics = settings.metrics_address
        return wire(ports, transport, metrics_address=metrics, max_waiting=max_waiting, closes_stores=True, api=api)
    except BaseException:
        ports.stores.close()
        raise


def transport_of(settings: Settings, slack: SlackSettings) -> OverHttp | OverSocketMode:
    """The transport that the settings choose. Raises InvalidInput when a secret for it is missing."""
    slack.require_transport(settings.listen)
    if settings.listen is not None and slack.signing_secret is not None:
        return OverHttp(slack.signing_secret, settings.listen)
    return OverSocketMode(slack.app_token or SecretStr(""))


def _build_app(ports: Ports, transport: OverHttp | OverSocketMode, installation: Installation) -> App:
    signing_secret = transport.signing_secret.get_secret_value() if isinstance(transport, OverHttp) else None
    return build_app(ports.client, installation, signing_secret)


def _open_lanes(max_waiting: int, metrics: Metrics, tracer: Tracer) -> Lanes:
    return Lanes(max_decisions=max_waiting, on_refused=metrics.lane_refused, tracer=tracer)


def _open_people(
    ports: Ports, installation: Installation, metrics: Metrics
) -> tuple[tuple[SlackDirectory, ChangeWriter], ScheduleRoster]:
    roster = open_roster(ports, OnCallMetrics(metrics.registry))
    opened = open_directory(ports.client, installation, ports.stores, ports.policy, ports.clock, roster=roster)
    # Each knows something that the other asks: who is on call, and who was deactivated.
    roster.check_people(opened[0].is_active)
    return opened, roster


def _build_bot(
    ports: Ports,
    transport: OverHttp | OverSocketMode,
    installation: Installation,
    services: Services,
    opened: tuple[SlackDirectory, ChangeWriter],
    lanes: Lanes,
    metrics: Metrics,
    background: Background,
    sinks: Sequence[Sink],
) -> Bot:
    stores, clock = ports.stores, ports.clock
    app, (directory, changes) = _build_app(ports, transport, installation), opened
    replies = ReplySender(ports.client, lanes, lambda: ports.policy.current().notifications.link_hosts)
    lists = build_lists(services, directory, replies)

    def refresh(record: str, clicked: MessageRef | None) -> None:
        for sink in sinks:
            if isinstance(sink, SlackSink):
                sink.refresh(record, clicked=clicked)

    queue = DecisionQueue(lanes, on_answer=partial(_note_answer, metrics, ports.tracer))
    links = CardLinks(stores.messages, installation.url, _permalinks_of(sinks))
    after = AfterInteraction(background.nudge, refresh, lists.home.show_outcome, lanes)
    responder = Responder(
        queue, replies, after, clock, link_to_card=links.find, draw_list=lists.open_lists.draw, tracer=ports.tracer
    )  # fmt: skip
    register_listeners(app, services, lists, directory, responder, links.find)
    departures = Departures(
        stores,
        services.grants,
        services.devices,
        directory,
        clock,
        flush_notes=changes.flush,
        on_ended=background.nudge,
    )
    DirectoryEvents(directory, changes, ports.policy, clock, on_departed=departures.hear).register(app)
    answer_unknown(app, replies)
    return Bot(app, directory, changes, lanes, departures, lambda: ports.policy.current().named_to_act())


def _note_answer(metrics: Metrics, tracer: Tracer, kind: AnswerKind) -> None:
    metrics.answered(kind)
    tracer.note({ANSWER: kind.value})


def _permalinks_of(sinks: Sequence[Sink]) -> Permalinks | None:
    """The addresses that Slack gave to the sink that posts the cards."""
    return next((sink.permalinks for sink in sinks if isinstance(sink, SlackSink)), None)


def _serve_api(
    ports: Ports,
    services: Services,
    directory: SlackDirectory,
    background: Background,
    transport: OverHttp | OverSocketMode,
    settings: ApiSettings | None,
    observed: tuple[Metrics, Watcher],
) -> InstanceApi:
    metrics, watcher = observed

    ending = DeviceEnding(ports.stores, services.devices, services.sessions, services.requests)
    needs = ApiNeeds(
        ports.stores, ports.policy, ports.clock, directory, services.requests, services.grants, services.devices,
        services.pairing, services.sessions, ending, directory.name_of, background.nudge, ports.tracer,
    )  # fmt: skip
    slack_address = transport.address if isinstance(transport, OverHttp) else None
    return serve_api(needs, settings, slack_address, open_api_metrics(metrics), watcher)


def _below(ports: Ports, services: Services, *, closes_stores: bool) -> list[Component]:
    """What everything else needs: stopped last."""
    stores = [Component("the stores", stop=ports.stores.close)] if closes_stores else []
    return [
        *tracing_components(ports.tracer),
        *stores,
        *clock_components(ports),
        Component("the targets", stop=services.targets.close),
    ]

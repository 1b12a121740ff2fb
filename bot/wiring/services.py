"""The use cases, and the work in the background, as every entry point builds them between the ports.

Invariant: building starts nothing and calls nothing. Every entry point has the same services, on the same ports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bot.background import AccessWork, Sweeper, TerminalWork
from bot.background.urgent_pages import UrgentPages
from bot.background.waiting_cards import WaitingCards
from bot.notifications import slack_calls
from bot.notifications.slack_sink import SlackSink
from bot.observability.traced_ports import trace_deliveries, trace_directory, trace_issuer, trace_sinks
from bot.observability.tracing import NO_TRACER, Tracer
from bot.observability.watcher import Watcher
from bot.slack import client as slack_client
from bot.wiring.paging import Paging, build_paging
from bot.wiring.ports import Ports
from core.audit.checkpoint import Checkpointer
from core.clock import Clock
from core.directory import Directory, UnknownDirectory
from core.on_call import NoRoster, Roster
from core.outbox.outbox import Sink
from core.policy import PolicyFile, PolicySource
from core.policy.target_config import AWS_ROLE
from core.report.monthly import MonthlySummary
from core.services import BreakGlassService, GrantService, RequestService, SessionService
from core.services.devices import DeviceService
from core.services.pairing import PairingService
from core.services.policy_trail import PolicyTrail, find_earlier
from core.services.previews import Previews
from core.services.ticket_check import TicketChecks
from core.stores.base import Stores
from core.targets.aws_role.roles import AwsRoles
from core.targets.opening import PolicyTargets
from core.tickets.opening import open_checker


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases, and what their decisions are based on."""

    stores: Stores
    policy: PolicySource
    clock: Clock
    requests: RequestService
    break_glass: BreakGlassService
    grants: GrantService
    targets: PolicyTargets
    access: AccessWork
    pairing: PairingService
    devices: DeviceService
    sessions: SessionService
    previews: Previews
    roster: Roster
    tracer: Tracer = NO_TRACER


def build_services(
    ports: Ports, watcher: Watcher | None = None, directory: Directory | None = None, roster: Roster | None = None
) -> Services:
    """The use cases. `watcher` is notified of their outcomes. Without a directory, they only do what is due.

    `roster` says who is on call to those who notify them; who may decide, they learn from the directory.
    """
    stores, policy, clock, mfa, tracer = ports.stores, ports.policy, ports.clock, ports.mfa, ports.tracer
    directory = trace_directory(directory, tracer) if directory is not None else None
    targets = (ports.targets or PolicyTargets)(policy, clock)
    targets.use_earlier(partial(find_earlier, stores.audit))
    roles = AwsRoles(stores, clock, targets.config_of, ports.aws_clients)
    targets.open_with(AWS_ROLE, roles.open)
    open_ticket = ports.tickets or partial(open_checker, clock=clock, seconds=ports.ticket_seconds)
    on_checked = watcher.tickets.checked if watcher is not None else None
    tickets = TicketChecks(open_ticket, ports.ticket_seconds, on_checked)
    requests = RequestService(
        stores, policy, clock, watcher, directory=directory, mfa=mfa, principals=targets, tickets=tickets
    )
    break_glass = BreakGlassService(stores, policy, clock, watcher, mfa=mfa, directory=directory, principals=targets)
    grants = GrantService(stores, policy, clock, watcher, directory=directory)
    access = AccessWork(stores.access, targets, clock, watcher, tracer)
    if watcher is not None:
        watcher.access.watch(access.reading, clock)
    pairing = PairingService(stores, policy, clock, watcher, directory=directory)
    devices = DeviceService(stores, policy, clock, watcher, directory=directory)
    sessions = SessionService(
        stores, policy, clock, trace_issuer(roles, tracer), watcher, directory=directory, editor=roles
    )  # fmt: skip
    previews = Previews(stores, policy, clock, directory or UnknownDirectory(), watcher)
    return Services(
        stores, policy, clock, requests, break_glass, grants, targets, access, pairing, devices, sessions, previews,
        roster or NoRoster(), tracer,
    )  # fmt: skip


def build_sinks(ports: Ports, paging: Paging | None = None, roster: Roster | None = None) -> tuple[Sink, ...]:
    """Slack, the pager, and every other sink that changes are delivered to.

    A new sink gets what is not delivered yet, and nothing older. Every instance and every `countersign sweep` must have
    the same sinks: an entry is done when the sinks of the instance that delivers it have it.
    """
    client = slack_client.like(ports.client, slack_calls.CALL_TIMEOUT_SECONDS)
    pager = (paging or build_paging(ports)).sink
    slack = SlackSink(client, ports.stores, ports.policy, ports.clock, roster=roster)
    return (slack, pager, *ports.more_sinks)


def build_sweeper(services: Services, sinks: Sequence[Sink]) -> Sweeper:
    """The work that `serve` does in the background, and `sweep` once."""
    policy = services.policy
    trail = PolicyTrail(policy, services.stores.audit) if isinstance(policy, PolicyFile) else None
    checkpointer = Checkpointer(services.stores.audit, services.clock, lambda: policy.current().digest)
    traced = trace_sinks(sinks, services.tracer)
    sweeper = Sweeper(
        services.requests, services.break_glass, services.stores, traced, services.clock, trail, checkpointer,
        access=services.access, grants=services.grants, terminals=TerminalWork(services.sessions, services.devices),
    )  # fmt: skip
    sweeper.summary = MonthlySummary(services.stores, policy, services.clock)
    sweeper.run_delivery = trace_deliveries(services.tracer)
    pages = UrgentPages(services.stores, policy, services.clock)
    sweeper.more = {"page for access that starts soon": pages.page_due}
    if slack := next((sink for sink in sinks if isinstance(sink, SlackSink)), None):
        cards = WaitingCards(services.stores, policy, services.clock, services.roster, slack.refresh)
        sweeper.more |= {"draw cards when others can decide": cards.redraw_due}
    return sweeper

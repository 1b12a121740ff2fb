"""The ports: what the bot depends on, and what an entry point, a demo or a test may replace.

Invariant: nothing here opens, calls or starts anything; instance.py builds the rest between the ports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from slack_sdk import WebClient

from bot.background import OutboxState
from bot.observability.tracing import NO_TRACER, Tracer
from bot.slack.installation import Installation
from bot.transport.opening import OverHttp, OverSocketMode
from core.clock import Clock
from core.mfa import MfaVerifier
from core.outbox.outbox import Sink
from core.pagers.base import PagerOpener
from core.policy import PolicySource
from core.schedules.opening import ScheduleOpener
from core.stores.base import Stores
from core.targets.aws_role.roles import ClientsOpener
from core.targets.opening import PolicyTargets
from core.tickets.base import CHECK_SECONDS
from core.tickets.opening import TicketOpener

__all__ = ["Background", "OverHttp", "OverSocketMode", "Ports", "TargetsOpener"]

TargetsOpener: TypeAlias = Callable[[PolicySource, Clock], PolicyTargets]
"""Makes the targets that the policy in force names, by their names. Nothing is opened before it is used."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the bot depends on. `open_ports` opens the ports that the settings name.

    Every change is delivered to Slack and to `more_sinks`. The outbox stores the sinks' names, so names must never
    change, and every instance must have the same sinks. Without an `installation`, Slack is asked for it. Without
    `aws_clients`, boto3 makes the clients of aws-role targets; without `tickets`, tickets are checked where the policy
    says, for at most `ticket_seconds`. `pagers` and `schedule_sources` open kinds that Countersign doesn't have itself,
    such as `demo`. `tracer` hears of what is done at the stores, Slack, the directory, the targets and the sinks.
    """

    stores: Stores
    policy: PolicySource
    clock: Clock
    client: WebClient
    more_sinks: Sequence[Sink] = ()
    mfa: MfaVerifier | None = None
    installation: Installation | None = None
    targets: TargetsOpener | None = None
    aws_clients: ClientsOpener | None = None
    pagers: Mapping[str, PagerOpener] = field(default_factory=dict)
    schedule_sources: Mapping[str, ScheduleOpener] = field(default_factory=dict)
    tickets: TicketOpener | None = None
    ticket_seconds: float = CHECK_SECONDS
    tracer: Tracer = NO_TRACER


class Background(Protocol):
    """The work in the background, such as Sweeper."""

    def nudge(self) -> None:
        """Something was committed: deliver it and let it take effect soon. Never waits."""
        ...

    def outbox_state(self) -> OutboxState | None:
        """How much is pending in the outbox; None if unknown."""
        ...

    def sweep(self) -> object:
        """Do everything that is due, once, and wait for it."""
        ...

    def start(self) -> None:
        """Start working in the background."""
        ...

    def stop(self) -> object:
        """Stop, and finish the work in progress."""
        ...

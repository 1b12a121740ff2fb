"""The ports: what the bot stands on, and what an entry point, a demo or a test may bring of its own.

Invariant: nothing here opens, asks or starts anything; bot/wiring.py builds the rest between these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr
from slack_sdk import WebClient

from bot.background import OutboxState
from bot.settings import Address
from bot.transport.socket_mode import LINGER_SECONDS
from core.clock import Clock
from core.mfa import MfaVerifier
from core.outbox.outbox import Sink
from core.policy import PolicySource
from core.stores.base import Stores


@dataclass(frozen=True, slots=True)
class Ports:
    """What the bot stands on. `open_ports` opens them as the settings say.

    `more_sinks` are told of every change, beside Slack. They have names that the outbox remembers, so these never
    change, and every instance has to have the same ones.
    """

    stores: Stores
    policy: PolicySource
    clock: Clock
    client: WebClient
    more_sinks: Sequence[Sink] = ()
    mfa: MfaVerifier | None = None


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


class Background(Protocol):
    """What happens without anybody pressing a button."""

    def nudge(self) -> None:
        """Something was committed: deliver it soon. Never waits."""
        ...

    def outbox_state(self) -> OutboxState | None:
        """What waits in the outbox; None when that is not known."""
        ...

    def sweep(self) -> object:
        """Do once all that is due, and wait for it."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> object:
        """Finish what was begun."""
        ...

"""What a kind of record has to tell: its card, and what each event adds to it.

Invariant: pure. A teller says what there is to tell; only the sink talks to Slack. An event without a telling is told
to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from bot.views.block_kit import Message
from core.actor import UserId
from core.audit.trail import AuditAction, AuditEntry
from core.policy.evaluator import Policy
from core.record import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class DirectMessage:
    """A direct message to one person. Of one name, a person is told once for each record."""

    name: str
    user: UserId
    message: Message


@dataclass(frozen=True, slots=True)
class Post:
    """A message of its own in a channel. Of one name, a channel is told once for each record."""

    name: str
    channel: str
    message: Message


@dataclass(frozen=True, slots=True)
class NotificationPlan:
    """What one event adds to the card: a reply in its thread, direct messages, and posts elsewhere.

    `ahead` is owed by an entry behind this one. It is told already now when this one cannot be told, as then the
    entries behind it have to wait.
    """

    reply: Message | None = None
    directs: tuple[DirectMessage, ...] = ()
    posts: tuple[Post, ...] = ()
    ahead: tuple[DirectMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Notifier(Generic[R]):
    """How a kind of record is told.

    `load` reads a record by its id; it raises NotFound and StoreError. `draw` makes its card as it stands at a moment.
    `tellings` says for each event what it adds: a function of the entry, and of the record and the policy as they are
    now, which may be later than the entry. `copies_in` names channels in which the card stands too.
    """

    load: Callable[[str], R]
    draw: Callable[[R, Policy, datetime], Message]
    plans: Mapping[AuditAction, Callable[[AuditEntry, R, Policy], NotificationPlan]]
    copies_in: Callable[[R], tuple[str, ...]] = lambda _: ()

"""The notifications of a kind of record: its card, and what each event adds to it.

A card shows a record and the grants that it made, so both are read, and compared, together.

Invariant: pure. A notifier plans; only the sink talks to Slack. An event without a plan notifies nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from bot.views.block_kit import Message
from core.access.grant import Grant
from core.access.summary import AccessSummary, summarize
from core.actor import UserId
from core.audit.trail import AuditAction, AuditEntry
from core.pagers.page_ledger import PageLedger
from core.policy.evaluator import Policy
from core.preferences import DmKind
from core.record import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class ShownRecord(Generic[R]):
    """A record with the grants that it made, read at one moment: what a card shows.

    `url` is the address of its card, once that is posted; `page` is the acknowledged page about it.
    """

    record: R
    read_at: datetime
    grants: tuple[Grant, ...] = ()
    url: str | None = None
    page: PageLedger | None = None

    @property
    def access(self) -> AccessSummary | None:
        """What people are told of its access; None for a record without."""
        return summarize(self.grants, self.read_at)

    @property
    def version(self) -> tuple[object, ...]:
        """The same as long as nothing of what is shown has changed."""
        grants = sorted((grant.id, grant.updated_at) for grant in self.grants)
        return (self.record.updated_at, self.page and self.page.acknowledgement, *grants)


@dataclass(frozen=True, slots=True)
class DirectMessage:
    """A direct message to one person, sent once per record and name.

    A person can mute a `kind`. What needs their answer, what went wrong for them and what concerns their security has
    none, so it is always sent.
    """

    name: str
    user: UserId
    message: Message
    kind: DmKind | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A separate message in a channel, posted once per record and name."""

    name: str
    channel: str
    message: Message


@dataclass(frozen=True, slots=True)
class NotificationPlan:
    """What one event adds to the card: a reply in its thread, direct messages, and posts elsewhere.

    `ahead` belongs to a later entry. It is sent now when this entry can't be delivered, because the later entries then
    have to wait.
    """

    reply: Message | None = None
    directs: tuple[DirectMessage, ...] = ()
    posts: tuple[Post, ...] = ()
    ahead: tuple[DirectMessage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when it adds nothing."""
        return self == NotificationPlan()


@dataclass(frozen=True, slots=True)
class Notifier(Generic[R]):
    """How a kind of record is shown and announced.

    `load` reads a record by its id; it raises NotFound and StoreError. `draw` renders its card for a moment in time.
    `plans` has a function for each event that adds something. It gets the entry, and the current record and policy,
    which may be newer than the entry. `copies_in` names the other channels that get a copy of the card.
    """

    load: Callable[[str], ShownRecord[R]]
    draw: Callable[[ShownRecord[R], Policy, datetime], Message]
    plans: Mapping[AuditAction, Callable[[AuditEntry, ShownRecord[R], Policy], NotificationPlan]]
    copies_in: Callable[[R], tuple[str, ...]] = lambda _: ()

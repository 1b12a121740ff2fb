"""What every store promises about the outbox: which committed entries still have to be delivered, and how far each is.

Invariant: an entry is waiting, parked or delivered. Only the holder of its lease records the result of a delivery, and
a sink that took an entry keeps counting as delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import UtcTime
from core.errors import MalformedRecord

ADOPT_AFTER: Final = timedelta(minutes=2)
"""How long an entry of an older version waits for that version: longer than any pause that a sink may ask for."""


class Earlier(BaseModel):
    """The entry before another one in its chain, while it still has to be delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    due_at: UtcTime
    delivered_to: tuple[str, ...] = ()


class Delivery(BaseModel):
    """A committed entry that still has to be delivered, and its progress.

    `due_at` is when to try (again); `attempts` counts the failed attempts; `delivered_to` names the sinks that took it
    already; `problem` describes the last failure. `earlier` is known once the delivery is leased, and None when the
    entry before was delivered, or there is none, or it is parked. `traceparent` is the trace in which it was committed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: AuditEntry
    due_at: UtcTime
    attempts: int = 0
    delivered_to: tuple[str, ...] = ()
    problem: str | None = None
    lease: str | None = None
    leased_until: UtcTime | None = None
    earlier: Earlier | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many deliveries wait, when the oldest was committed, and how many are parked."""

    waiting: int = 0
    oldest_at: datetime | None = None
    parked: int = 0


def check_copy(entry: AuditEntry, chain: str, seq: int, keyring: AuditKeyring) -> None:
    """Raises MalformedRecord unless this is the entry of its place, as it was sealed: nothing else is delivered."""
    name = f"audit entry {chain}/{seq}"
    if (entry.chain, entry.seq) != (chain, seq):
        raise MalformedRecord(name, f"the outbox has {entry.chain}/{entry.seq} in its place")
    if not keyring.knows(entry.key_id):
        raise MalformedRecord(name, f"its key, {entry.key_id}, is not in COUNTERSIGN_AUDIT_KEY")
    if entry.key_id in keyring.retired:
        # Everything was delivered before the key was retired, so somebody else sealed this with it.
        raise MalformedRecord(name, f"its key, {entry.key_id}, is retired")
    if not keyring.is_genuine(entry):
        raise MalformedRecord(name, "it doesn't say what was sealed, so somebody changed or forged it")


class DeliveryStore(Protocol):
    """Which entries of the audit trail still have to be delivered.

    Only an entry that is still sealed is ever returned; for the others, an error is logged.
    """

    def adopt(self, now: datetime) -> int:
        """Take over what an older version left undelivered where it kept its outbox; return how many there were.

        An entry is taken over once, with its progress, and after ADOPT_AFTER. Raises StoreUnavailable.
        """
        ...

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """The deliveries that are due now and not leased, oldest first."""
        ...

    def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
        """Lease a delivery, so that no other instance delivers it too.

        The result has the current `earlier`. None when another instance has it, has delivered or tried it since it was
        read, or is delivering the entry before it. A sink that is not among `earlier.delivered_to` must not get it yet:
        a chain's entries come in their order.
        """
        ...

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery: every sink has the entry."""
        ...

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        ...

    def park(self, delivery: Delivery) -> None:
        """Stop trying, keep the delivery and its problem for `iterate_parked`, and let later entries continue."""
        ...

    def unpark(self, delivery: Delivery, now: datetime) -> bool:
        """Make a parked delivery due now, with all its attempts available again; False when it is no longer parked.

        A sink that took it already does not get it again.
        """
        ...

    def iterate_parked(self) -> Iterator[Delivery]:
        """The parked deliveries, oldest first."""
        ...

    def measure_backlog(self, most: int) -> Backlog:
        """The number of waiting and of parked deliveries, each counted up to `most` so that the query stays cheap.

        Beyond `most`, `oldest_at` is that of the deliveries which are due first. Not read consistently.
        """
        ...

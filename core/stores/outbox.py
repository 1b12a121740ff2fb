"""The outbox as a store promises it: which committed entries still have to be delivered, and how far that is.

Invariant: an entry is waiting, parked or delivered. Only the holder of its lease says how the delivery went, and what a
sink took stays taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from core.audit.trail import AuditEntry
from core.clock import UtcTime


class Earlier(BaseModel):
    """The entry before another one in its chain, while it still has to be delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    due_at: UtcTime
    delivered_to: tuple[str, ...] = ()


class Delivery(BaseModel):
    """A committed entry that still has to be delivered, and how far that is.

    `due_at` is when to try (again); `attempts` counts the tries that failed; `delivered_to` names the sinks that
    took it already; `problem` is the last failure in words. `earlier` is known once the delivery is leased, and None
    when the entry before was delivered, or there is none, or it is parked.
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


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits to be delivered, when the oldest of it was committed, and how much is parked."""

    waiting: int = 0
    oldest_at: datetime | None = None
    parked: int = 0


class DeliveryStore(Protocol):
    """Which entries of the audit trail still have to be delivered."""

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """What is due to be delivered now and not leased, oldest first."""
        ...

    def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
        """Take a delivery for a while, so that no other instance delivers it too; with its `earlier`, as it is now.

        None when somebody else has it, delivered it or tried to since it was read, or is delivering the entry before
        it. A sink that is not among `earlier.delivered_to` must not get it yet: a chain's entries come in their order.
        """
        ...

    def finish(self, delivery: Delivery) -> None:
        """Every sink has it."""
        ...

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        ...

    def park(self, delivery: Delivery) -> None:
        """Stop trying, keep it with its problem where `iterate_parked` shows it, and let the later entries go on."""
        ...

    def unpark(self, delivery: Delivery, now: datetime) -> bool:
        """Make a parked delivery due now, with all its attempts before it; False when it is not parked any more.

        A sink that took it already does not get it again.
        """
        ...

    def iterate_parked(self) -> Iterator[Delivery]:
        """What could not be delivered, oldest first."""
        ...

    def measure_backlog(self, most: int) -> Backlog:
        """How much waits and how much is parked, each counted up to `most`, so that the asking stays cheap.

        Beyond `most`, `oldest_at` is that of the ones which are due first. Not read consistently.
        """
        ...

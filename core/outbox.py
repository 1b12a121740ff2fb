"""The outbox: tell the world what was committed, at least once, in order, and never twice at the same time.

Invariant: what is told comes from committed audit entries only. An entry is told after the entries before it in its
chain; it is leased while it is told, so that two live instances do not tell it both; and it leaves the outbox only
when every sink took it, or is parked where an operator sees it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from core.audit import AuditEntry
from core.clock import Clock, new_id
from core.errors import DeliveryFailed
from core.stores.base import AuditStore, Delivery

LEASE: Final = timedelta(seconds=60)
"""Longer than a sink may take; when a process dies with a lease, its delivery is late by this much."""
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=10)
MOST_ATTEMPTS: Final = 100
"""With the pauses above, about 15 hours: longer than most outages, short enough that somebody looks."""

_log = logging.getLogger("countersign.outbox")


class Sink(Protocol):
    """Somebody who wants to be told."""

    @property
    def name(self) -> str:
        """The sink's name, the same in every instance and for as long as it exists."""
        ...

    def deliver(self, entry: AuditEntry) -> None:
        """Tell of one entry; `entry.id` is the idempotency key. Raises DeliveryFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did: how many entries were told, put off, and parked."""

    told: int = 0
    postponed: int = 0
    parked: int = 0


def deliver_due(audit: AuditStore, sinks: Sequence[Sink], clock: Clock) -> Delivered:
    """Tell every sink what is due now. Any number of instances may do this at once.

    Raises StoreError when the store fails; what was told until then stays told.
    """
    told = postponed = parked = 0
    for due in audit.iterate_due(clock.now()):
        now = clock.now()
        leased = audit.lease(due, new_id(), now, now + LEASE)
        if leased is None:
            continue
        delivery = _tell(leased, sinks, clock)
        if delivery.problem is None:
            audit.finish(delivery)
            told += 1
        elif delivery.attempts > MOST_ATTEMPTS:
            audit.park(delivery)
            parked += 1
        else:
            audit.postpone(delivery)
            postponed += 1
    return Delivered(told, postponed, parked)


def _tell(delivery: Delivery, sinks: Sequence[Sink], clock: Clock) -> Delivery:
    delivered, problems, finals = list(delivery.delivered_to), list[str](), list[bool]()
    pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts, 20), LONGEST_PAUSE)
    for sink in sinks:
        if sink.name in delivered:
            continue
        try:
            sink.deliver(delivery.entry)
        except DeliveryFailed as failure:
            problems.append(f"{sink.name}: {failure.problem}")
            finals.append(failure.is_final)
            pause = max(pause, failure.retry_after or pause)
        except Exception as error:  # noqa: BLE001 - a sink's bug must not stop what others are told
            _log.exception("the sink %s failed", sink.name)
            problems.append(f"{sink.name}: {type(error).__name__}")
            finals.append(False)
        else:
            delivered.append(sink.name)
    attempts = delivery.attempts + 1 if problems else delivery.attempts
    # While one sink may still take it, the others are asked again too: they know the entry by its id.
    is_final = bool(finals) and all(finals)
    return delivery.model_copy(
        update={
            "attempts": MOST_ATTEMPTS + 1 if is_final else attempts,
            "delivered_to": tuple(delivered),
            "due_at": clock.now() + pause if problems else delivery.due_at,
            "problem": "; ".join(problems) or None,
        }
    )

"""Deliver one entry to every sink that does not have it yet, and say what comes next.

Invariant: each sink gets the entries of a chain in their order, and none of them waits for another sink. A sink that
took an entry does not get it again, except when the lease or the process was lost before that was written down.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Protocol, TypeAlias

from core.audit.trail import AuditEntry
from core.clock import Clock
from core.errors import DeliveryFailed
from core.stores.outbox import Delivery, DeliveryStore

LEASE: Final = timedelta(seconds=60)
"""More than twice as long as a sink may take. If a process dies with a lease, its delivery is late by this much."""
FIRST_PAUSE: Final = timedelta(seconds=1)
MAX_PAUSE: Final = timedelta(minutes=10)
MAX_ATTEMPTS: Final = 100
"""With the pauses above, about 15 hours: longer than most outages, short enough that somebody notices."""
MAX_RATE_LIMIT_PAUSE: Final = timedelta(minutes=1)
"""Slack asks for this much at most. A sink that names a longer pause means one entry, such as for a missing channel."""
_MAX_DOUBLINGS: Final = 20

_log = logging.getLogger("countersign.outbox")


class Sink(Protocol):
    """A receiver of entries. It is called by several threads at once."""

    @property
    def name(self) -> str:
        """The sink's name, the same in every instance and for as long as it exists."""
        ...

    def deliver(self, entry: AuditEntry) -> None:
        """Deliver one entry, in less than half of LEASE; `entry.id` is the idempotency key. Raises DeliveryFailed."""
        ...


class DeliveryOutcome(Enum):
    """The outcome for one entry."""

    DELIVERED = "every sink has it"
    PARKED = "trying again cannot help, or did not help often enough"
    POSTPONED = "a sink could not take it, and is tried again later"
    WAITING = "a sink was not tried yet: it needs an earlier entry first, or asked for a pause"


RunDelivery: TypeAlias = Callable[[Delivery, Callable[[], DeliveryOutcome | None]], DeliveryOutcome | None]
"""Runs the attempt to deliver what was leased, such as inside a trace, and returns its outcome."""


def run_delivery(_leased: Delivery, deliver: Callable[[], DeliveryOutcome | None]) -> DeliveryOutcome | None:
    """Nothing around it."""
    return deliver()


class RateLimitPauses:
    """Which sinks asked for a pause, and for which profile: a busy channel is one profile's. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str | None], datetime] = {}

    def begin(self, sink: Sink, entry: AuditEntry, pause: timedelta) -> None:
        """Don't call this sink for the entry's profile until the pause is over."""
        self._until[sink.name, entry.profile] = self._clock.now() + pause

    def until(self, sink: Sink, entry: AuditEntry) -> datetime | None:
        """When the sink may be called; None for now. A clock that was set back causes no long delay."""
        until, now = self._until.get((sink.name, entry.profile)), self._clock.now()
        return until if until is not None and now < until <= now + MAX_RATE_LIMIT_PAUSE else None


@dataclass(slots=True)
class _Try:
    """The progress of one attempt: which sinks have the entry, which failed and how, and until when others wait."""

    delivered: list[str]
    problems: list[str] = field(default_factory=list)
    failures: list[DeliveryFailed] = field(default_factory=list)
    waits: list[datetime] = field(default_factory=list)

    def fail(self, sink: Sink, failure: DeliveryFailed) -> None:
        self.problems.append(f"{sink.name}: {failure.problem}")
        self.failures.append(failure)


def find_missing(delivery: Delivery, sinks: Sequence[Sink]) -> tuple[Sink, ...]:
    """The sinks that do not have it yet."""
    return tuple(sink for sink in sinks if sink.name not in delivery.delivered_to)


def deliver_entry(
    store: DeliveryStore, leased: Delivery, sinks: Sequence[Sink], clock: Clock, pauses: RateLimitPauses
) -> tuple[Delivery, DeliveryOutcome] | None:
    """Deliver a leased entry.

    Returns its progress, for the store, and its outcome; None when another instance took the lease in the meantime, and
    so reports instead. Raises StoreError.
    """
    attempt = _Try(list(leased.delivered_to))
    for sink in find_missing(leased, sinks):
        until = _find_wait(sink, leased, pauses)
        if until is not None:
            attempt.waits.append(until)
            continue
        renewed = _renew(store, leased, clock)
        if renewed is None:
            return None
        leased = renewed
        failure = _deliver(sink, leased.entry)
        if failure is None:
            attempt.delivered.append(sink.name)
            continue
        attempt.fail(sink, failure)
        if failure.retry_after is not None and failure.retry_after <= MAX_RATE_LIMIT_PAUSE:
            pauses.begin(sink, leased.entry, failure.retry_after)
    return _conclude(leased, attempt, clock.now())


def _find_wait(sink: Sink, delivery: Delivery, pauses: RateLimitPauses) -> datetime | None:
    """Until when the sink must not be called; None if it may be called now."""
    earlier = delivery.earlier
    if earlier is not None and sink.name not in earlier.delivered_to:
        return earlier.due_at
    return pauses.until(sink, delivery.entry)


def _renew(store: DeliveryStore, leased: Delivery, clock: Clock) -> Delivery | None:
    """The lease, renewed if less than half of its time is left, so that no sink outlasts it."""
    now = clock.now()
    if leased.leased_until is None or leased.lease is None or leased.leased_until - now >= LEASE / 2:
        return leased
    return store.lease(leased, leased.lease, now, now + LEASE)


def _deliver(sink: Sink, entry: AuditEntry) -> DeliveryFailed | None:
    try:
        sink.deliver(entry)
    except DeliveryFailed as failure:
        return failure
    except Exception as error:  # noqa: BLE001 - a sink's bug must not stop the others
        _log.exception("the sink %s failed", sink.name)
        return DeliveryFailed(type(error).__name__)
    return None


def _conclude(leased: Delivery, attempt: _Try, now: datetime) -> tuple[Delivery, DeliveryOutcome]:
    attempts = leased.attempts + bool(attempt.failures)
    # While one sink may still take it, the others are tried again too: they recognise the entry by its id.
    is_hopeless = all(failure.is_final for failure in attempt.failures) or attempts > MAX_ATTEMPTS
    if not attempt.failures and not attempt.waits:
        outcome, due_at = DeliveryOutcome.DELIVERED, leased.due_at
    elif not attempt.failures:
        outcome, due_at = DeliveryOutcome.WAITING, max(min(attempt.waits), now + FIRST_PAUSE)
    elif is_hopeless and not attempt.waits:
        outcome, due_at = DeliveryOutcome.PARKED, leased.due_at
    else:
        named = (failure.retry_after or FIRST_PAUSE for failure in attempt.failures)
        growing = min(FIRST_PAUSE * 2 ** min(leased.attempts, _MAX_DOUBLINGS), MAX_PAUSE)
        outcome, due_at = DeliveryOutcome.POSTPONED, now + max(growing, *named)
    progress = {
        "attempts": attempts,
        "delivered_to": tuple(attempt.delivered),
        "due_at": due_at,
        "problem": "; ".join(attempt.problems) or (None if outcome is DeliveryOutcome.DELIVERED else leased.problem),
    }
    return leased.model_copy(update=progress), outcome

"""The outbox: deliver what was committed to every sink, at least once, in order, and never twice at the same time.

Invariant: what is delivered comes from committed audit entries only. An entry is delivered after those before it in
its chain; it is leased meanwhile, so that two live instances do not both deliver it; and it leaves the outbox only
when every sink took it, or is parked where an operator sees it.

Records are delivered side by side, by a few threads. Those of one profile, which share a channel, get at most half of
the threads, and a single one while that channel asks for pauses: so a slow channel delays no other.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from core.clock import Clock, new_id
from core.outbox.delivery import (
    FIRST_PAUSE,
    LEASE,
    MAX_ATTEMPTS,
    MAX_PAUSE,
    MAX_RATE_LIMIT_PAUSE,
    DeliveryOutcome,
    RateLimitPauses,
    RunDelivery,
    Sink,
    deliver_entry,
    find_missing,
    run_delivery,
)
from core.stores.outbox import Delivery, DeliveryStore
from core.text import quoted

__all__ = [
    "FIRST_PAUSE", "LEASE", "MAX_ATTEMPTS", "MAX_PAUSE", "MAX_RATE_LIMIT_PAUSE", "THREADS",
    "DeliveryCounts", "Outbox", "RunDelivery", "Sink", "deliver_due", "run_delivery",
]  # fmt: skip

THREADS: Final = 8
"""Each thread mostly waits for a sink; Slack takes only about one message per second and channel anyway."""
MAX_IN_HAND: Final = 512
MAX_IN_HAND_PER_PROFILE: Final = 64
"""How many deliveries are taken from the list before they are delivered; the others stay on it."""
MAX_PASSED_OVER: Final = 500
_REST_SECONDS: Final = 1.0
"""After this many skipped deliveries, the walk along the list pauses, so that a long list costs no more than a short
one.
"""

_log = logging.getLogger("countersign.outbox")


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """The result: how many entries were delivered, postponed and parked."""

    delivered: int = 0
    postponed: int = 0
    parked: int = 0

    def plus(self, outcome: DeliveryOutcome) -> DeliveryCounts:
        """One more."""
        return replace(
            self,
            delivered=self.delivered + (outcome is DeliveryOutcome.DELIVERED),
            postponed=self.postponed + (outcome is DeliveryOutcome.POSTPONED),
            parked=self.parked + (outcome is DeliveryOutcome.PARKED),
        )


@dataclass(slots=True)
class _Lane:
    """One profile's records: which wait for a thread, how many have one, and how many may have one."""

    limit: int
    ready: deque[_Chain] = field(default_factory=deque)
    busy: int = 0
    in_hand: int = 0


@dataclass(slots=True)
class _Chain:
    """One record's entries in progress, oldest first. An entry stays at the front while it is delivered."""

    name: str
    lane: _Lane
    queue: list[Delivery] = field(default_factory=list)

    def has(self, delivery: Delivery) -> bool:
        return any(each.entry.seq == delivery.entry.seq for each in self.queue)


class Outbox:
    """Delivers every due entry to every sink, on its own threads. Any number of instances may do so at once."""

    def __init__(
        self,
        store: DeliveryStore,
        sinks: Sequence[Sink],
        clock: Clock,
        *,
        threads: int = THREADS,
        run: RunDelivery = run_delivery,
    ) -> None:
        self._store = store
        self._run = run
        self._sinks = tuple(sinks)
        self._clock = clock
        self._pauses = RateLimitPauses(clock)
        self._most_of_one_profile = max(1, threads // 2)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="outbox")
        # Everything below is read and changed under this.
        self._changed = threading.Condition()
        self._lanes: dict[str | None, _Lane] = {}
        self._chains: dict[str, _Chain] = {}
        self._in_hand = 0
        self._delivering = 0
        self._done = DeliveryCounts()
        self._failure: Exception | None = None
        self._is_closing = False

    def deliver_due(self) -> DeliveryCounts:
        """Deliver every entry that is due now, and wait until each was tried once. For one caller at a time.

        Raises StoreError when the store fails; what was delivered until then stays delivered.
        """
        now, is_more = self._clock.now(), True
        with self._changed:
            self._done = DeliveryCounts()
        while is_more:
            is_more = self._walk(now)
            with self._changed:
                self._changed.wait_for(lambda: self._in_hand == 0 or self._is_closing)
            self._raise_failure()
        return self._done

    def hand_out(self) -> None:
        """Hand every entry that is due now to the threads.

        Returns when the whole list was read, without waiting for the threads.

        Raises StoreError when the store fails, here or in a thread since the last time.
        """
        self._raise_failure()
        self._walk(self._clock.now())

    def finish(self, patience_seconds: float) -> bool:
        """Start nothing new, and wait for the deliveries in progress; False if they take longer. The rest stays due."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            return self._changed.wait_for(lambda: self._delivering == 0, patience_seconds)

    def _walk(self, now: datetime) -> bool:
        """Walk once along the due entries; True if some were skipped because their profile has enough in progress."""
        passed_over = 0
        for delivery in self._store.iterate_due(now):
            with self._changed:
                self._changed.wait_for(lambda: self._in_hand < MAX_IN_HAND or self._is_closing)
                if self._is_closing or self._failure is not None:
                    return False
                if self._is_paused(delivery) or self._take(delivery):
                    continue
                passed_over += 1
                if passed_over % MAX_PASSED_OVER == 0:
                    self._changed.wait_for(lambda: self._is_closing, _REST_SECONDS)
        return passed_over > 0

    def _is_paused(self, delivery: Delivery) -> bool:
        missing = find_missing(delivery, self._sinks)
        return bool(missing) and all(self._pauses.until(sink, delivery.entry) is not None for sink in missing)

    def _take(self, delivery: Delivery) -> bool:
        """Take on a delivery, unless its profile has enough in progress. One that is already in progress stays."""
        entry = delivery.entry
        chain = self._chains.get(entry.chain)
        if chain is not None and chain.has(delivery):
            return True
        lane = chain.lane if chain is not None else self._lanes.setdefault(entry.profile, self._new_lane())
        if lane.in_hand >= MAX_IN_HAND_PER_PROFILE:
            return False
        if chain is None:
            chain = self._chains[entry.chain] = _Chain(entry.chain, lane)
            lane.ready.append(chain)
        chain.queue.append(delivery)
        self._count(lane, 1)
        self._start(lane)
        return True

    def _new_lane(self) -> _Lane:
        return _Lane(self._most_of_one_profile)

    def _start(self, lane: _Lane) -> None:
        while lane.ready and lane.busy < lane.limit and not self._is_closing:
            lane.busy += 1
            self._threads.submit(self._work, lane.ready.popleft())

    def _work(self, chain: _Chain) -> None:
        """Deliver a record's entries, one after the other."""
        while (delivery := self._next(chain)) is not None:
            outcome: DeliveryOutcome | None = None
            try:
                outcome = self._deliver(delivery)
            except Exception as error:  # noqa: BLE001 - the next caller that hands out work raises it
                with self._changed:
                    self._failure = self._failure or error
            self._settle(chain, delivery, outcome)
        with self._changed:
            chain.lane.busy -= 1
            self._start(chain.lane)

    def _next(self, chain: _Chain) -> Delivery | None:
        with self._changed:
            if chain.queue and not self._is_closing and self._failure is None:
                self._delivering += 1
                # An entry that was postponed with the one before it is due at the same moment, and an index may return
                # it first.
                chain.queue.sort(key=lambda each: each.entry.seq)
                return chain.queue[0]
            # Under the same lock as the check of its queue, so nothing is added to a chain that no thread works on.
            del self._chains[chain.name]
            self._count(chain.lane, -len(chain.queue))
            return None

    def _deliver(self, delivery: Delivery) -> DeliveryOutcome | None:
        """Lease, deliver, and record the progress; None when another instance has it, or it isn't due yet."""
        if self._is_paused(delivery):
            # The pause began after it was taken on.
            return None
        now = self._clock.now()
        leased = self._store.lease(delivery, new_id(), now, now + LEASE)
        return self._run(leased, lambda: self._try(leased)) if leased is not None else None

    def _try(self, leased: Delivery) -> DeliveryOutcome | None:
        tried = deliver_entry(self._store, leased, self._sinks, self._clock, self._pauses)
        if tried is None:
            return None
        progress, outcome = tried
        match outcome:
            case DeliveryOutcome.DELIVERED:
                self._store.finish(progress)
            case DeliveryOutcome.PARKED:
                self._store.park(progress)
                name, problem = f"{progress.entry.chain}/{progress.entry.seq}", quoted(progress.problem or "")
                _log.error("%s is parked after %d attempts: %s", name, progress.attempts, problem)
            case _:
                self._store.postpone(progress)
        return outcome

    def _settle(self, chain: _Chain, delivery: Delivery, outcome: DeliveryOutcome | None) -> None:
        with self._changed:
            chain.queue.pop(0)
            self._delivering -= 1
            self._count(chain.lane, -1)
            if outcome is None:
                # The instance that has this one goes on to the next.
                self._count(chain.lane, -len(chain.queue))
                chain.queue.clear()
            else:
                self._done = self._done.plus(outcome)
            if any(self._pauses.until(sink, delivery.entry) is not None for sink in self._sinks):
                # After the pause, one thread finds out whether it was long enough.
                chain.lane.limit = 1
            elif outcome is DeliveryOutcome.DELIVERED:
                chain.lane.limit = min(chain.lane.limit + 1, self._most_of_one_profile)

    def _count(self, lane: _Lane, number: int) -> None:
        lane.in_hand += number
        self._in_hand += number
        self._changed.notify_all()

    def _raise_failure(self) -> None:
        with self._changed:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


def deliver_due(
    store: DeliveryStore, sinks: Sequence[Sink], clock: Clock, *,
    threads: int = THREADS, run: RunDelivery = run_delivery,
) -> DeliveryCounts:  # fmt: skip
    """Deliver every entry that is due now to every sink, once, and wait for the end.

    Any number of instances may do this at once. Raises StoreError when the store fails; what was delivered until then
    stays delivered.
    """
    outbox = Outbox(store, sinks, clock, threads=threads, run=run)
    try:
        return outbox.deliver_due()
    finally:
        outbox.finish(0)

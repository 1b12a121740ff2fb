"""No entry is delivered by two instances at once, and nothing is lost with a process or a store."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import StoreUnavailable
from core.outbox.outbox import LEASE, THREADS, DeliveryCounts, Outbox, deliver_due
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.core.outbox.records import submit, submit_with_votes
from tests.core.sinks import PATIENCE_SECONDS, RecordingSink, StalledSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from core.audit.trail import AuditEntry
    from core.stores.base import Stores
    from core.stores.outbox import Delivery
    from tests.core.outbox.conftest import OpenOutbox
    from tests.harness.clock import FrozenClock

SECOND = timedelta(seconds=1)


def test_lease_is_renewed_before_a_sink_could_outlast_it(stores: Stores, clock: FrozenClock) -> None:
    submit(stores, clock)
    other = RecordingSink("second")

    class _Slow(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            clock.advance(LEASE - 2 * SECOND)
            assert deliver_due(stores.outbox, [other], clock) == DeliveryCounts()

    sinks = [_Slow("first"), _Slow("second")]
    assert deliver_due(stores.outbox, sinks, clock) == DeliveryCounts(delivered=1)
    assert [len(sink.delivered) for sink in sinks] == [1, 1]
    assert other.asked == []


def test_holder_that_lost_the_lease_begins_with_no_other_sink(stores: Stores, clock: FrozenClock) -> None:
    submit(stores, clock)
    theirs = [RecordingSink("first"), RecordingSink("second")]

    class _TooSlow(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            clock.advance(LEASE)
            assert deliver_due(stores.outbox, theirs, clock) == DeliveryCounts(delivered=1)

    ours = [_TooSlow("first"), RecordingSink("second")]
    assert deliver_due(stores.outbox, ours, clock) == DeliveryCounts()
    assert ours[1].asked == []


def test_unrecorded_delivery_is_repeated_with_the_same_id(tmp_path: Path, stores: Stores, clock: FrozenClock) -> None:
    submit(stores, clock)
    dying = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))

    class _Last(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            dying.close()

    last, next_one = _Last("slack"), RecordingSink("slack")
    with pytest.raises(StoreUnavailable):
        deliver_due(dying.outbox, [last], clock)
    assert deliver_due(stores.outbox, [next_one], clock) == DeliveryCounts()
    clock.advance(LEASE)
    assert deliver_due(stores.outbox, [next_one], clock) == DeliveryCounts(delivered=1)
    assert next_one.asked == last.asked


def test_store_failure_in_a_thread_is_logged_once_and_passes(
    tmp_path: Path, stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    for _ in range(20):
        submit(stores, clock)
    closed = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))

    class _HalfOpen:
        """Reads from stores that are open, and leases from stores that are closed, until it is mended."""

        def __init__(self) -> None:
            self.is_mended = False
            self.leases = list[str]()
            self._is_read = threading.Event()
            # A thread that comes after the first failure does not ask at all, so none fails before all have come.
            self._all_ask = threading.Barrier(THREADS // 2, timeout=PATIENCE_SECONDS)

        def iterate_due(self, now: datetime) -> Iterator[Delivery]:
            yield from stores.outbox.iterate_due(now)
            self._is_read.set()

        def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
            if self.is_mended:
                return stores.outbox.lease(delivery, holder, now, until)
            self.leases.append(holder)
            assert self._is_read.wait(PATIENCE_SECONDS)
            self._all_ask.wait()
            return closed.outbox.lease(delivery, holder, now, until)

        def __getattr__(self, name: str) -> object:
            return getattr(stores.outbox, name)

    closed.close()
    store, sink = _HalfOpen(), RecordingSink("slack")
    outbox = open_outbox(sink, store=store)
    with pytest.raises(StoreUnavailable):
        outbox.deliver_due()
    # Nobody else asks a store that is away.
    assert len(store.leases) == THREADS // 2
    store.is_mended = True
    assert outbox.deliver_due() == DeliveryCounts(delivered=20)


def test_finishing_waits_for_running_deliveries_only(stores: Stores, clock: FrozenClock) -> None:
    for _ in range(2 * THREADS):
        submit(stores, clock)
    sink = StalledSink("slack")
    outbox = Outbox(stores.outbox, [sink], clock)
    outbox.hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS // 2)
    assert not outbox.finish(0)
    finished: list[bool] = []
    finisher = threading.Thread(target=lambda: finished.append(outbox.finish(PATIENCE_SECONDS)))
    finisher.start()
    sink.release()
    finisher.join()
    assert finished == [True]
    assert len(sink.delivered) == THREADS // 2
    # They were not even leased: another instance tells them at once.
    assert deliver_due(stores.outbox, [sink], clock).delivered == 2 * THREADS - THREADS // 2
    outbox.hand_out()
    assert len(sink.delivered) == 2 * THREADS


def test_finishing_does_not_begin_with_a_records_next_entry(stores: Stores, clock: FrozenClock) -> None:
    request = submit_with_votes(stores, clock)
    sink = StalledSink("slack")
    outbox = Outbox(stores.outbox, [sink], clock)
    outbox.hand_out()
    sink.wait_for(lambda: sink.waiting == 1)
    assert not outbox.finish(0)
    sink.release()
    assert outbox.finish(PATIENCE_SECONDS)
    assert sink.seqs(request.chain) == [1]

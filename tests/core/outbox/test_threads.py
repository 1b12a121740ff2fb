"""Records are delivered in parallel: none waits for a slow channel."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.outbox.outbox import THREADS, DeliveryCounts, deliver_due
from tests.builders import PROD, STAGING
from tests.core.outbox.records import submit, submit_with_votes
from tests.core.sinks import RecordingSink, StalledSink

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.core.outbox.conftest import OpenOutbox
    from tests.harness.clock import FrozenClock

SECOND = timedelta(seconds=1)


def test_channel_that_does_not_answer_delays_no_other_profile(
    stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    for _ in range(2 * THREADS):
        submit(stores, clock, PROD)
    others = {submit(stores, clock, STAGING).chain for _ in range(3)}
    sink = StalledSink("slack", profile=PROD)
    open_outbox(sink).hand_out()
    sink.wait_for(lambda: {chain for chain, _ in sink.delivered} == others and sink.waiting == THREADS // 2)
    assert sink.max_waiting == THREADS // 2
    sink.release()
    sink.wait_for(lambda: len(sink.delivered) == 2 * THREADS + 3)


def test_deliveries_at_once_are_no_more_than_the_threads(
    stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    for number in range(3 * THREADS):
        submit(stores, clock, (PROD, STAGING)[number % 2])
    sink = StalledSink("slack")
    open_outbox(sink).hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS)
    sink.release()
    sink.wait_for(lambda: len(sink.delivered) == 3 * THREADS)
    assert sink.max_waiting == THREADS


def test_each_record_is_delivered_in_order_however_many(stores: Stores, clock: FrozenClock) -> None:
    requests = [submit_with_votes(stores, clock) for _ in range(20)]
    sinks = [RecordingSink("slack"), RecordingSink("webhook")]
    assert deliver_due(stores.outbox, sinks, clock) == DeliveryCounts(delivered=60)
    for sink in sinks:
        assert [sink.seqs(request.chain) for request in requests] == [[1, 2, 3]] * 20


def test_entry_in_hand_is_not_taken_again(stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox) -> None:
    requests = [submit_with_votes(stores, clock) for _ in range(THREADS)]
    sink = StalledSink("slack")
    outbox = open_outbox(sink)
    for _ in range(3):
        outbox.hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS // 2)
    sink.release()
    sink.wait_for(lambda: len(sink.delivered) == 3 * THREADS)
    assert [sink.seqs(request.chain) for request in requests] == [[1, 2, 3]] * THREADS


def test_list_longer_than_the_queue_is_delivered_whole(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.outbox.outbox.MAX_IN_HAND_PER_PROFILE", 2)
    monkeypatch.setattr("core.outbox.outbox.MAX_IN_HAND", 3)
    for _ in range(8):
        submit(stores, clock, PROD)
        submit(stores, clock, STAGING)
    sink = RecordingSink("slack")
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(delivered=16)
    assert len(set(sink.delivered)) == 16

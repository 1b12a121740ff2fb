"""A channel that asks for a pause gets it, and delays no other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.outbox.outbox import MAX_RATE_LIMIT_PAUSE, THREADS, DeliveryCounts, deliver_due
from tests.builders import HOUR, PROD, STAGING
from tests.core.outbox.records import submit
from tests.core.sinks import PickySink, RecordingSink, StalledSink, a_failure

if TYPE_CHECKING:
    from core.audit.trail import AuditEntry
    from core.stores.base import Stores
    from tests.core.outbox.conftest import OpenOutbox
    from tests.harness.clock import FrozenClock

SECOND = timedelta(seconds=1)


def test_channel_that_asks_for_a_pause_gets_it_and_others_go_on(
    stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    for _ in range(20):
        submit(stores, clock, PROD)
    submit(stores, clock, STAGING)
    pause = 30 * SECOND
    sink = PickySink("slack", lambda entry: a_failure(retry_after=pause) if entry.profile == PROD else None)
    outbox = open_outbox(sink)
    first = outbox.deliver_due()
    # Those that were asked at the same time learned of it together; nobody asked after them.
    assert (first.delivered, first.postponed <= THREADS // 2) == (1, True)
    clock.advance(pause - SECOND)
    assert outbox.deliver_due() == DeliveryCounts()
    clock.advance(SECOND)
    # One finds out whether the pause was long enough.
    assert outbox.deliver_due() == DeliveryCounts(postponed=1)
    clock.advance(pause)
    sink.find_trouble = lambda _: None
    assert outbox.deliver_due().delivered == 20


def test_list_longer_than_the_queue_ends_in_a_channels_pause(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.outbox.outbox.MAX_IN_HAND_PER_PROFILE", 2)
    for _ in range(20):
        submit(stores, clock)
    sink = PickySink("slack", lambda _: a_failure(retry_after=SECOND))
    delivered = deliver_due(stores.outbox, [sink], clock)
    assert (delivered.delivered, 1 <= delivered.postponed <= THREADS // 2) == (0, True)


def test_pause_costs_the_store_nothing_for_entries_not_tried(
    stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    class _Busy(StalledSink):
        """Asks for a pause, once it is released."""

        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            raise a_failure(retry_after=30 * SECOND)

    for _ in range(20):
        submit(stores, clock)
    sink = _Busy("slack")
    outbox = open_outbox(sink)
    outbox.hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS // 2)
    sink.release()
    assert outbox.deliver_due().delivered == 0
    untouched = [each for each in stores.outbox.iterate_due(clock.now() + HOUR) if each.due_at == each.entry.at]
    assert len(untouched) == 20 - THREADS // 2


def test_pause_that_ended_is_probed_by_one_thread(stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox) -> None:
    class _Paused(StalledSink):
        """Asks for a pause once, and then answers nobody."""

        def deliver(self, entry: AuditEntry) -> None:
            if not self.asked:
                self.asked.append(entry.id)
                raise a_failure(retry_after=SECOND)
            super().deliver(entry)

    submit(stores, clock)
    sink = _Paused("slack")
    outbox = open_outbox(sink)
    assert outbox.deliver_due() == DeliveryCounts(postponed=1)
    clock.advance(SECOND)
    for _ in range(THREADS):
        submit(stores, clock)
    submit(stores, clock, STAGING)
    outbox.hand_out()
    # It was handed out last: were there more threads for the others, they would be here too.
    sink.wait_for(lambda: sorted(str(each) for each in sink.stalled) == [PROD, STAGING])
    sink.release()
    sink.wait_for(lambda: len(sink.delivered) == THREADS + 2)
    assert sink.max_waiting == 2


def test_pause_of_one_sink_is_none_of_the_others(stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox) -> None:
    requests = [submit(stores, clock) for _ in range(6)]
    slack = PickySink("slack", lambda _: a_failure(retry_after=30 * SECOND))
    webhook = RecordingSink("webhook")
    outbox = open_outbox(slack, webhook)
    outbox.deliver_due()
    assert {chain for chain, _ in webhook.delivered} == {request.chain for request in requests}
    assert len(slack.asked) <= THREADS // 2
    asked = len(slack.asked)
    waiting = list(stores.outbox.iterate_due(clock.now() + HOUR))
    # A sink that only waits for its pause did not fail.
    assert sum(each.attempts for each in waiting) == asked
    assert {each.delivered_to for each in waiting} == {("webhook",)}
    clock.advance(30 * SECOND)
    slack.find_trouble = lambda _: None
    assert outbox.deliver_due() == DeliveryCounts(delivered=6)
    assert len(webhook.asked) == 6


def test_long_pause_is_about_one_entry_and_delays_no_other(
    stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    stuck, other = submit(stores, clock), submit(stores, clock)
    refusal = a_failure(retry_after=MAX_RATE_LIMIT_PAUSE + SECOND)
    sink = PickySink("slack", lambda entry: refusal if entry.chain == stuck.chain else None)
    outbox = open_outbox(sink)
    assert outbox.deliver_due() == DeliveryCounts(delivered=1, postponed=1)
    clock.advance(2 * SECOND)
    later = submit(stores, clock)
    assert outbox.deliver_due() == DeliveryCounts(delivered=1)
    assert sink.delivered == [(other.chain, 1), (later.chain, 1)]


def test_clock_that_is_set_back_does_not_prolong_a_pause(
    stores: Stores, clock: FrozenClock, open_outbox: OpenOutbox
) -> None:
    submit(stores, clock)
    sink = PickySink("slack", lambda _: a_failure(retry_after=SECOND))
    outbox = open_outbox(sink)
    outbox.deliver_due()
    clock.advance(-2 * HOUR)
    later = submit(stores, clock)
    sink.find_trouble = lambda _: None
    assert outbox.deliver_due() == DeliveryCounts(delivered=1)
    assert sink.delivered == [(later.chain, 1)]

"""No sink waits for another, and each gets a record's entries in order."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.outbox.outbox import FIRST_PAUSE, DeliveryCounts, deliver_due
from tests.builders import HOUR
from tests.core.outbox.records import submit, submit_with_votes
from tests.core.sinks import PickySink, RecordingSink, a_failure, a_final_failure

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

SECOND = timedelta(seconds=1)


def test_sink_that_is_down_keeps_no_later_entry_from_others(stores: Stores, clock: FrozenClock) -> None:
    request = submit_with_votes(stores, clock)
    slack, webhook = RecordingSink("slack"), PickySink("webhook", lambda _: a_failure())
    for _ in range(3):
        deliver_due(stores.outbox, [slack, webhook], clock)
    assert slack.seqs(request.chain) == [1, 2, 3]
    assert len(set(webhook.asked)) == 1
    clock.advance(HOUR)
    webhook.find_trouble = lambda _: None
    for _ in range(3):
        deliver_due(stores.outbox, [slack, webhook], clock)
        clock.advance(FIRST_PAUSE)
    assert webhook.seqs(request.chain) == slack.seqs(request.chain) == [1, 2, 3]
    assert list(stores.outbox.iterate_due(clock.now() + HOUR)) == []


def test_waiting_for_the_entry_before_is_no_failed_attempt(stores: Stores, clock: FrozenClock) -> None:
    submit_with_votes(stores, clock)
    sinks = [RecordingSink("slack"), PickySink("webhook", lambda _: a_failure())]
    for _ in range(5):
        deliver_due(stores.outbox, sinks, clock)
        clock.advance(HOUR)
    waiting = sorted(stores.outbox.iterate_due(clock.now() + HOUR), key=lambda each: each.entry.seq)
    assert [each.attempts for each in waiting] == [5, 0, 0]


def test_nothing_is_parked_while_a_sink_waits_for_its_turn(stores: Stores, clock: FrozenClock) -> None:
    request = submit_with_votes(stores, clock)
    slack = RecordingSink("slack", a_failure())
    webhook = PickySink("webhook", lambda entry: a_final_failure() if entry.seq == 2 else None)
    assert deliver_due(stores.outbox, [slack, webhook], clock) == DeliveryCounts(postponed=2)
    clock.advance(FIRST_PAUSE)
    assert deliver_due(stores.outbox, [slack, webhook], clock) == DeliveryCounts(delivered=2, parked=1)
    assert slack.seqs(request.chain) == [1, 2, 3]


def test_sink_of_a_parked_entry_is_asked_about_the_next_one(stores: Stores, clock: FrozenClock) -> None:
    request = submit_with_votes(stores, clock)
    slack = RecordingSink("slack")
    webhook = PickySink("webhook", lambda entry: a_final_failure() if entry.seq == 1 else None)
    assert deliver_due(stores.outbox, [slack, webhook], clock) == DeliveryCounts(delivered=2, parked=1)
    assert (slack.seqs(request.chain), webhook.seqs(request.chain)) == ([1, 2, 3], [2, 3])


def test_sink_added_later_gets_what_is_undelivered_only(stores: Stores, clock: FrozenClock) -> None:
    told = submit(stores, clock)
    slack, added = RecordingSink("slack"), RecordingSink("webhook")
    deliver_due(stores.outbox, [slack], clock)
    waiting = submit_with_votes(stores, clock)
    slack.troubles = [a_failure()]
    deliver_due(stores.outbox, [slack], clock)
    clock.advance(FIRST_PAUSE)
    assert deliver_due(stores.outbox, [slack, added], clock) == DeliveryCounts(delivered=3)
    assert (added.seqs(told.chain), added.seqs(waiting.chain)) == ([], [1, 2, 3])


def test_removed_sink_is_not_waited_for(stores: Stores, clock: FrozenClock) -> None:
    submit(stores, clock)
    slack = RecordingSink("slack")
    deliver_due(stores.outbox, [slack, PickySink("webhook", lambda _: a_failure())], clock)
    clock.advance(FIRST_PAUSE)
    assert deliver_due(stores.outbox, [slack], clock) == DeliveryCounts(delivered=1)
    assert len(slack.asked) == 1


def test_retried_entry_goes_to_the_sinks_that_have_not_got_it(stores: Stores, clock: FrozenClock) -> None:
    request = submit(stores, clock)
    slack, webhook = RecordingSink("slack"), RecordingSink("webhook", a_final_failure())
    assert deliver_due(stores.outbox, [slack, webhook], clock) == DeliveryCounts(parked=1)
    (parked,) = stores.outbox.iterate_parked()
    stores.outbox.unpark(parked, clock.now())
    assert deliver_due(stores.outbox, [slack, webhook], clock) == DeliveryCounts(delivered=1)
    assert (slack.seqs(request.chain), webhook.seqs(request.chain)) == ([1], [1])

"""What is committed is delivered to every sink: at least once, in order, and with retries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.audit.trail import AuditAction
from core.outbox.outbox import FIRST_PAUSE, LEASE, MAX_ATTEMPTS, MAX_PAUSE, DeliveryCounts, deliver_due
from tests.builders import APPROVER, HOUR, REQUESTER, a_draft, a_request
from tests.core.sinks import RecordingSink, a_failure, a_final_failure

if TYPE_CHECKING:
    from core.audit.trail import AuditEntry
    from core.request import Request
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

SECOND = timedelta(seconds=1)


def _submit(stores: Stores, clock: FrozenClock) -> Request:
    return stores.requests.create(a_request(now=clock.now()), a_draft())


def _cancelled(stores: Stores, clock: FrozenClock) -> Request:
    """A request with two entries to tell."""
    request = _submit(stores, clock)
    cancelled = request.cancel(REQUESTER, clock.advance(SECOND))
    stored = stores.requests.update(cancelled, a_draft(AuditAction.REQUEST_CANCELLED))
    clock.advance(SECOND)
    return stored


def test_outbox_delivers_nothing_when_nothing_was_committed(stores: Stores, clock: FrozenClock) -> None:
    assert deliver_due(stores.outbox, [RecordingSink("slack")], clock) == DeliveryCounts()


def test_every_sink_gets_every_entry_once_in_the_records_order(stores: Stores, clock: FrozenClock) -> None:
    first, second = _cancelled(stores, clock), _cancelled(stores, clock)
    sinks = [RecordingSink("slack"), RecordingSink("sns")]
    assert deliver_due(stores.outbox, sinks, clock) == DeliveryCounts(delivered=4)
    assert deliver_due(stores.outbox, sinks, clock) == DeliveryCounts()
    for sink in sinks:
        for request in (first, second):
            assert [seq for chain, seq in sink.delivered if chain == request.chain] == [1, 2]


def test_entries_without_a_sink_count_as_delivered(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    assert deliver_due(stores.outbox, [], clock) == DeliveryCounts(delivered=1)


def test_failure_delays_its_own_record_only(stores: Stores, clock: FrozenClock) -> None:
    stuck, other = _cancelled(stores, clock), _cancelled(stores, clock)
    sink = RecordingSink("slack", a_failure())
    assert deliver_due(stores.outbox, [sink], clock, threads=1) == DeliveryCounts(delivered=2, postponed=1)
    assert sink.delivered == [(other.chain, 1), (other.chain, 2)]
    # Its next entry waits with it, and is not even looked at until then.
    assert list(stores.outbox.iterate_due(clock.now())) == []
    clock.advance(FIRST_PAUSE)
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(delivered=2)
    assert sink.delivered[2:] == [(stuck.chain, 1), (stuck.chain, 2)]


def test_each_failure_doubles_the_pause_up_to_the_longest(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    sink = RecordingSink("slack", *[a_failure() for _ in range(12)])
    pauses = []
    for _ in range(12):
        assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(postponed=1)
        before = clock.now()
        (waiting,) = stores.outbox.iterate_due(before + 2 * MAX_PAUSE)
        pauses.append(waiting.due_at - before)
        clock.set(waiting.due_at - timedelta(microseconds=1))
        assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts()
        clock.set(waiting.due_at)
    assert pauses == [min(2**number * FIRST_PAUSE, MAX_PAUSE) for number in range(12)]
    assert pauses[-1] == MAX_PAUSE
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(delivered=1)


def test_receiver_that_names_its_time_is_tried_no_earlier(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    sinks = [
        RecordingSink("slack", a_failure(retry_after=3 * HOUR)),
        RecordingSink("sns", a_failure(retry_after=timedelta(0))),
    ]
    deliver_due(stores.outbox, sinks, clock)
    (waiting,) = stores.outbox.iterate_due(clock.now() + 4 * HOUR)
    assert waiting.due_at == clock.now() + 3 * HOUR


def test_short_retry_after_does_not_shorten_the_pause(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    deliver_due(stores.outbox, [RecordingSink("slack", a_failure(retry_after=timedelta(milliseconds=1)))], clock)
    (waiting,) = stores.outbox.iterate_due(clock.now() + HOUR)
    assert waiting.due_at == clock.now() + FIRST_PAUSE


def test_sink_that_has_it_gets_it_once_while_another_fails(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    slack, sns, webhook = (
        RecordingSink("slack"),
        RecordingSink("sns", a_failure(), a_failure()),
        RecordingSink("webhook"),
    )
    for _ in range(3):
        deliver_due(stores.outbox, [slack, sns, webhook], clock)
        clock.advance(HOUR)
    assert [len(sink.asked) for sink in (slack, sns, webhook)] == [1, 3, 1]
    assert sns.asked == [slack.asked[0]] * 3
    assert deliver_due(stores.outbox, [slack, sns, webhook], clock) == DeliveryCounts()


def test_failure_says_who_and_why(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    sinks = [RecordingSink("slack", a_failure()), RecordingSink("sns"), RecordingSink("webhook", KeyError("secret"))]
    deliver_due(stores.outbox, sinks, clock)
    (waiting,) = stores.outbox.iterate_due(clock.now() + HOUR)
    assert waiting.problem == "slack: it answered 503; webhook: KeyError"
    assert (waiting.attempts, waiting.delivered_to) == (1, ("sns",))


def test_sinks_bug_stops_neither_the_others_nor_the_round(
    stores: Stores, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    _submit(stores, clock)
    other = _submit(stores, clock)
    buggy, sound = RecordingSink("buggy", ZeroDivisionError()), RecordingSink("sound")
    assert deliver_due(stores.outbox, [buggy, sound], clock) == DeliveryCounts(delivered=1, postponed=1)
    assert len(sound.delivered) == 2
    assert (other.chain, 1) in sound.delivered
    assert "the sink buggy failed" in caplog.text


def test_undeliverable_entry_is_parked_and_the_record_goes_on(stores: Stores, clock: FrozenClock) -> None:
    request = _cancelled(stores, clock)
    sink = RecordingSink("slack", a_final_failure())
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(delivered=1, parked=1)
    assert sink.delivered == [(request.chain, 2)]
    (parked,) = stores.outbox.iterate_parked()
    assert (parked.entry.seq, parked.problem) == (1, "slack: the channel is gone")
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts()


def test_entry_is_not_parked_while_one_sink_may_take_it(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    gone, slow = RecordingSink("gone", a_final_failure(), a_final_failure()), RecordingSink("slow", a_failure())
    assert deliver_due(stores.outbox, [gone, slow], clock) == DeliveryCounts(postponed=1)
    clock.advance(HOUR)
    assert deliver_due(stores.outbox, [gone, slow], clock) == DeliveryCounts(parked=1)
    assert len(slow.delivered) == 1
    (parked,) = stores.outbox.iterate_parked()
    assert parked.delivered_to == ("slow",)


def test_entry_that_failed_often_is_parked_for_an_operator(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    sink = RecordingSink("slack", *[a_failure() for _ in range(MAX_ATTEMPTS + 5)])
    rounds: list[DeliveryCounts] = []
    while not list(stores.outbox.iterate_parked()):
        rounds.append(deliver_due(stores.outbox, [sink], clock))
        clock.advance(MAX_PAUSE)
    assert [each.postponed for each in rounds] == [1] * MAX_ATTEMPTS + [0]
    assert rounds[-1] == DeliveryCounts(parked=1)
    assert len(sink.asked) == MAX_ATTEMPTS + 1


def test_process_that_died_while_delivering_loses_nothing(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    (due,) = stores.outbox.iterate_due(clock.now())
    assert stores.outbox.lease(due, "it died", clock.now(), clock.now() + LEASE) is not None
    sink = RecordingSink("slack")
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts()
    clock.advance(LEASE)
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(delivered=1)


def test_sink_that_outlasts_its_lease_undoes_nothing_of_the_next(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    quick = RecordingSink("slack")

    class _Slow(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            clock.advance(LEASE)
            assert deliver_due(stores.outbox, [quick], clock).delivered == 1
            super().deliver(entry)

    # The entry was delivered twice, with one id: at least once. It is gone from the outbox, and stays so.
    slow = _Slow("slack", a_failure())
    deliver_due(stores.outbox, [slow], clock)
    assert slow.asked == quick.asked
    assert list(stores.outbox.iterate_due(clock.now() + HOUR)) == []


def test_entry_committed_during_a_round_is_delivered_in_the_next(stores: Stores, clock: FrozenClock) -> None:
    request = _submit(stores, clock)

    class _Approving(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            if entry.seq == 1:
                approved = request.approve(APPROVER, clock.advance(SECOND))
                stores.requests.update(approved, a_draft(AuditAction.REQUEST_APPROVED, actor=APPROVER))

    sink = _Approving("slack")
    deliver_due(stores.outbox, [sink], clock)
    deliver_due(stores.outbox, [sink], clock)
    assert sink.delivered == [(request.chain, 1), (request.chain, 2)]

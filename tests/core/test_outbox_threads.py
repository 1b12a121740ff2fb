"""Records are told side by side: nobody waits for a slow channel, and no sink for another one."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.audit import AuditEvent
from core.errors import StoreUnavailable
from core.outbox import FIRST_PAUSE, LEASE, LONGEST_HOLD, THREADS, Delivered, Outbox, deliver_due
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.builders import APPROVER, HOUR, PROD, SECOND_APPROVER, STAGING, a_draft, a_request
from tests.core.sinks import PATIENCE_SECONDS, PickySink, RecordingSink, StalledSink, a_failure, a_final_failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.actor import ProfileName
    from core.audit import AuditEntry
    from core.request import Request
    from core.stores.base import Stores
    from core.telling import Sink
    from tests.engines.clock import FrozenClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    stores = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))
    yield stores
    stores.close()


def _submit(stores: Stores, clock: FrozenClock, profile: ProfileName = PROD) -> Request:
    return stores.requests.create(
        a_request(now=clock.now(), profile=profile, required_approvals=2), a_draft(profile=profile)
    )


def _with_three_entries(stores: Stores, clock: FrozenClock, profile: ProfileName = PROD) -> Request:
    request = _submit(stores, clock, profile)
    for approver in (APPROVER, SECOND_APPROVER):
        voted = request.approve(approver, clock.now())
        request = stores.requests.update(voted, a_draft(AuditEvent.APPROVAL_ADDED, actor=approver, profile=profile))
    clock.advance(SECOND)
    return request


def _in(profile: ProfileName, entry: AuditEntry) -> bool:
    return entry.profile == profile


@pytest.fixture
def outboxes() -> Iterator[list[Outbox]]:
    """Whatever a test puts in here is finished at its end."""
    outboxes: list[Outbox] = []
    yield outboxes
    for outbox in outboxes:
        assert outbox.finish(PATIENCE_SECONDS)


def _outbox(outboxes: list[Outbox], stores: Stores, clock: FrozenClock, *sinks: Sink) -> Outbox:
    outboxes.append(Outbox(stores.audit, sinks, clock))
    return outboxes[-1]


# Threads


def test_a_channel_that_does_not_answer_keeps_no_other_profile_waiting(
    stores: Stores, clock: FrozenClock, outboxes: list[Outbox]
) -> None:
    for _ in range(2 * THREADS):
        _submit(stores, clock, PROD)
    others = {_submit(stores, clock, STAGING).chain for _ in range(3)}
    sink = StalledSink("slack", profile=PROD)
    _outbox(outboxes, stores, clock, sink).hand_out()
    sink.wait_for(lambda: {chain for chain, _ in sink.told} == others and sink.waiting == THREADS // 2)
    assert sink.most_waiting == THREADS // 2
    sink.release()
    sink.wait_for(lambda: len(sink.told) == 2 * THREADS + 3)


def test_never_are_more_told_at_once_than_there_are_threads(
    stores: Stores, clock: FrozenClock, outboxes: list[Outbox]
) -> None:
    for number in range(3 * THREADS):
        _submit(stores, clock, (PROD, STAGING)[number % 2])
    sink = StalledSink("slack")
    _outbox(outboxes, stores, clock, sink).hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS)
    sink.release()
    sink.wait_for(lambda: len(sink.told) == 3 * THREADS)
    assert sink.most_waiting == THREADS


def test_each_record_is_told_in_its_order_however_many_there_are(stores: Stores, clock: FrozenClock) -> None:
    requests = [_with_three_entries(stores, clock) for _ in range(20)]
    sinks = [RecordingSink("slack"), RecordingSink("webhook")]
    assert deliver_due(stores.audit, sinks, clock) == Delivered(told=60)
    for sink in sinks:
        assert [sink.seqs(request.chain) for request in requests] == [[1, 2, 3]] * 20


def test_what_is_already_in_hand_is_not_taken_again(stores: Stores, clock: FrozenClock, outboxes: list[Outbox]) -> None:
    requests = [_with_three_entries(stores, clock) for _ in range(THREADS)]
    sink = StalledSink("slack")
    outbox = _outbox(outboxes, stores, clock, sink)
    for _ in range(3):
        outbox.hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS // 2)
    sink.release()
    sink.wait_for(lambda: len(sink.told) == 3 * THREADS)
    assert [sink.seqs(request.chain) for request in requests] == [[1, 2, 3]] * THREADS


def test_a_list_longer_than_what_fits_in_hand_is_told_whole(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.outbox.MOST_IN_HAND_OF_ONE_PROFILE", 2)
    monkeypatch.setattr("core.outbox.MOST_IN_HAND", 3)
    for _ in range(8):
        _submit(stores, clock, PROD)
        _submit(stores, clock, STAGING)
    sink = RecordingSink("slack")
    assert deliver_due(stores.audit, [sink], clock) == Delivered(told=16)
    assert len(set(sink.told)) == 16


# Pauses


def test_a_channel_that_asks_for_a_pause_is_left_alone_until_then_and_the_others_go_on(
    stores: Stores, clock: FrozenClock, outboxes: list[Outbox]
) -> None:
    for _ in range(20):
        _submit(stores, clock, PROD)
    _submit(stores, clock, STAGING)
    pause = 30 * SECOND
    sink = PickySink("slack", lambda entry: a_failure(retry_after=pause) if _in(PROD, entry) else None)
    outbox = _outbox(outboxes, stores, clock, sink)
    first = outbox.deliver_due()
    # Those that were asked at the same time learned of it together; nobody asked after them.
    assert (first.told, first.postponed <= THREADS // 2) == (1, True)
    clock.advance(pause - SECOND)
    assert outbox.deliver_due() == Delivered()
    clock.advance(SECOND)
    # One finds out whether the pause was long enough.
    assert outbox.deliver_due() == Delivered(postponed=1)
    clock.advance(pause)
    sink.find_trouble = lambda _: None
    assert outbox.deliver_due().told == 20


def test_a_pause_of_one_sink_is_none_of_the_others(stores: Stores, clock: FrozenClock, outboxes: list[Outbox]) -> None:
    requests = [_submit(stores, clock) for _ in range(6)]
    slack = PickySink("slack", lambda _: a_failure(retry_after=30 * SECOND))
    webhook = RecordingSink("webhook")
    outbox = _outbox(outboxes, stores, clock, slack, webhook)
    outbox.deliver_due()
    assert {chain for chain, _ in webhook.told} == {request.chain for request in requests}
    assert len(slack.asked) <= THREADS // 2
    asked = len(slack.asked)
    waiting = list(stores.audit.iterate_due(clock.now() + HOUR))
    # A sink that only waits for its pause did not fail.
    assert sum(each.attempts for each in waiting) == asked
    assert {each.delivered_to for each in waiting} == {("webhook",)}
    clock.advance(30 * SECOND)
    slack.find_trouble = lambda _: None
    assert outbox.deliver_due() == Delivered(told=6)
    assert len(webhook.asked) == 6


def test_a_long_pause_is_about_one_entry_and_holds_no_other_one_up(
    stores: Stores, clock: FrozenClock, outboxes: list[Outbox]
) -> None:
    stuck, other = _submit(stores, clock), _submit(stores, clock)
    sink = PickySink(
        "slack", lambda entry: a_failure(retry_after=LONGEST_HOLD + SECOND) if entry.chain == stuck.chain else None
    )
    assert _outbox(outboxes, stores, clock, sink).deliver_due() == Delivered(told=1, postponed=1)
    assert sink.told == [(other.chain, 1)]


def test_a_clock_that_is_set_back_does_not_prolong_a_pause(
    stores: Stores, clock: FrozenClock, outboxes: list[Outbox]
) -> None:
    _submit(stores, clock)
    sink = PickySink("slack", lambda _: a_failure(retry_after=SECOND))
    outbox = _outbox(outboxes, stores, clock, sink)
    outbox.deliver_due()
    clock.advance(-2 * HOUR)
    later = _submit(stores, clock)
    sink.find_trouble = lambda _: None
    assert outbox.deliver_due() == Delivered(told=1)
    assert sink.told == [(later.chain, 1)]


# Several sinks


def test_a_sink_that_is_down_does_not_keep_the_others_from_hearing_the_rest_of_the_story(
    stores: Stores, clock: FrozenClock
) -> None:
    request = _with_three_entries(stores, clock)
    slack, webhook = RecordingSink("slack"), PickySink("webhook", lambda _: a_failure())
    for _ in range(3):
        deliver_due(stores.audit, [slack, webhook], clock)
    assert slack.seqs(request.chain) == [1, 2, 3]
    assert len(set(webhook.asked)) == 1
    clock.advance(HOUR)
    webhook.find_trouble = lambda _: None
    for _ in range(3):
        deliver_due(stores.audit, [slack, webhook], clock)
        clock.advance(FIRST_PAUSE)
    assert webhook.seqs(request.chain) == slack.seqs(request.chain) == [1, 2, 3]
    assert list(stores.audit.iterate_due(clock.now() + HOUR)) == []


def test_waiting_for_the_entry_before_is_no_failed_attempt(stores: Stores, clock: FrozenClock) -> None:
    _with_three_entries(stores, clock)
    sinks = [RecordingSink("slack"), PickySink("webhook", lambda _: a_failure())]
    for _ in range(5):
        deliver_due(stores.audit, sinks, clock)
        clock.advance(HOUR)
    waiting = sorted(stores.audit.iterate_due(clock.now() + HOUR), key=lambda each: each.entry.seq)
    assert [each.attempts for each in waiting] == [5, 0, 0]


def test_once_an_entry_is_parked_its_sink_is_asked_about_the_next_one(stores: Stores, clock: FrozenClock) -> None:
    request = _with_three_entries(stores, clock)
    slack = RecordingSink("slack")
    webhook = PickySink("webhook", lambda entry: a_final_failure() if entry.seq == 1 else None)
    assert deliver_due(stores.audit, [slack, webhook], clock) == Delivered(told=2, parked=1)
    assert (slack.seqs(request.chain), webhook.seqs(request.chain)) == ([1, 2, 3], [2, 3])


def test_a_sink_that_is_added_later_is_told_of_what_is_not_told_yet_and_of_nothing_older(
    stores: Stores, clock: FrozenClock
) -> None:
    told = _submit(stores, clock)
    slack, added = RecordingSink("slack"), RecordingSink("webhook")
    deliver_due(stores.audit, [slack], clock)
    waiting = _with_three_entries(stores, clock)
    slack.troubles = [a_failure()]
    deliver_due(stores.audit, [slack], clock)
    clock.advance(FIRST_PAUSE)
    assert deliver_due(stores.audit, [slack, added], clock) == Delivered(told=3)
    assert (added.seqs(told.chain), added.seqs(waiting.chain)) == ([], [1, 2, 3])


def test_nobody_waits_for_a_sink_that_was_removed(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    slack = RecordingSink("slack")
    deliver_due(stores.audit, [slack, PickySink("webhook", lambda _: a_failure())], clock)
    clock.advance(FIRST_PAUSE)
    assert deliver_due(stores.audit, [slack], clock) == Delivered(told=1)
    assert len(slack.asked) == 1


def test_a_parked_entry_that_is_taken_up_again_is_told_to_whoever_has_not_got_it(
    stores: Stores, clock: FrozenClock
) -> None:
    request = _submit(stores, clock)
    slack, webhook = RecordingSink("slack"), RecordingSink("webhook", a_final_failure())
    assert deliver_due(stores.audit, [slack, webhook], clock) == Delivered(parked=1)
    (parked,) = stores.audit.iterate_parked()
    stores.audit.unpark(parked, clock.now())
    assert deliver_due(stores.audit, [slack, webhook], clock) == Delivered(told=1)
    assert (slack.seqs(request.chain), webhook.seqs(request.chain)) == ([1], [1])


# Leases and stores


def test_the_lease_is_renewed_before_a_sink_could_outlast_it(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    other = RecordingSink("second")

    class _Slow(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            clock.advance(LEASE - 2 * SECOND)
            assert deliver_due(stores.audit, [other], clock) == Delivered()

    sinks = [_Slow("first"), _Slow("second")]
    assert deliver_due(stores.audit, sinks, clock) == Delivered(told=1)
    assert [len(sink.told) for sink in sinks] == [1, 1]
    assert other.asked == []


def test_whoever_lost_the_lease_begins_with_no_other_sink(stores: Stores, clock: FrozenClock) -> None:
    _submit(stores, clock)
    theirs = [RecordingSink("first"), RecordingSink("second")]

    class _TooSlow(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            clock.advance(LEASE)
            assert deliver_due(stores.audit, theirs, clock) == Delivered(told=1)

    ours = [_TooSlow("first"), RecordingSink("second")]
    assert deliver_due(stores.audit, ours, clock) == Delivered()
    assert ours[1].asked == []


def test_what_was_told_but_not_written_down_is_told_again_with_the_same_id(
    tmp_path: Path, stores: Stores, clock: FrozenClock
) -> None:
    _submit(stores, clock)
    dying = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))

    class _Last(RecordingSink):
        def deliver(self, entry: AuditEntry) -> None:
            super().deliver(entry)
            dying.close()

    last, next_one = _Last("slack"), RecordingSink("slack")
    with pytest.raises(StoreUnavailable):
        deliver_due(dying.audit, [last], clock)
    assert deliver_due(stores.audit, [next_one], clock) == Delivered()
    clock.advance(LEASE)
    assert deliver_due(stores.audit, [next_one], clock) == Delivered(told=1)
    assert next_one.asked == last.asked


def test_a_store_that_fails_in_a_thread_is_told_of_once_and_the_outbox_works_on(
    tmp_path: Path, stores: Stores, clock: FrozenClock, outboxes: list[Outbox]
) -> None:
    for _ in range(5):
        _submit(stores, clock)
    closed = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))

    class _HalfOpen:
        """Reads from stores that are open, and leases from stores that are closed, until it is mended."""

        def __init__(self) -> None:
            self.is_mended = False

        def __getattr__(self, name: str) -> object:
            return getattr(stores.audit if self.is_mended or name == "iterate_due" else closed.audit, name)

    closed.close()
    store, sink = _HalfOpen(), RecordingSink("slack")
    outboxes.append(outbox := Outbox(store, [sink], clock))  # type: ignore[arg-type]  # It has whatever a store has.
    with pytest.raises(StoreUnavailable):
        outbox.deliver_due()
    store.is_mended = True
    assert outbox.deliver_due() == Delivered(told=5)


def test_finishing_waits_for_what_is_being_told_and_leaves_the_rest_due(stores: Stores, clock: FrozenClock) -> None:
    for _ in range(2 * THREADS):
        _submit(stores, clock)
    sink = StalledSink("slack")
    outbox = Outbox(stores.audit, [sink], clock)
    outbox.hand_out()
    sink.wait_for(lambda: sink.waiting == THREADS // 2)
    assert not outbox.finish(0)
    finished: list[bool] = []
    finisher = threading.Thread(target=lambda: finished.append(outbox.finish(PATIENCE_SECONDS)))
    finisher.start()
    sink.release()
    finisher.join()
    assert finished == [True]
    assert len(sink.told) == THREADS // 2
    # They were not even leased: another instance tells them at once.
    assert deliver_due(stores.audit, [sink], clock).told == 2 * THREADS - THREADS // 2
    outbox.hand_out()
    assert len(sink.told) == 2 * THREADS

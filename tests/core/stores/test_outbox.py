"""What still has to be delivered: in order, by one holder at a time, and remembering what each sink has."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSALS_KIND, AuditAction, AuditEntry, seal
from core.clock import TICK, new_id
from core.outbox.outbox import FIRST_PAUSE, LEASE, deliver_due
from core.stores.outbox import Backlog, Earlier
from core.trace import in_trace
from tests.builders import APPROVER, HOUR, INVOKER, REQUESTER, a_draft, a_refusal, a_request
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT
from tests.harness.keys import OLDER_AUDIT_KEY, OTHER_AUDIT_KEY

if TYPE_CHECKING:
    from core.request import Request
    from core.stores.base import Stores
    from core.stores.outbox import Delivery
    from tests.core.stores.harness import StoreHarness

SECOND = timedelta(seconds=1)
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
SOON = A_MOMENT + HOUR


def _submit(stores: Stores, number: int = 0) -> Request:
    return stores.requests.create(a_request(now=A_MOMENT + number * SECOND), a_draft())


def _due(stores: Stores) -> list[Delivery]:
    return list(stores.outbox.iterate_due(SOON))


def _lease(stores: Stores, delivery: Delivery, holder: str = "a") -> Delivery:
    leased = stores.outbox.lease(delivery, holder, SOON, SOON + LEASE)
    assert leased is not None
    assert (leased.lease, leased.leased_until) == (holder, SOON + LEASE)
    return leased


def test_every_change_is_due_at_once_oldest_first(stores: Stores) -> None:
    newer, older = _submit(stores, 2), _submit(stores, 1)
    stores.requests.update(older.cancel(REQUESTER, A_MOMENT + 3 * SECOND), a_draft(AuditAction.REQUEST_CANCELLED))
    due = _due(stores)
    assert [delivery.entry.chain for delivery in due] == [older.chain, older.chain, newer.chain]
    assert [delivery.due_at for delivery in due] == [delivery.entry.at for delivery in due]
    assert due[0].entry == stores.audit.get_chain(older.chain)[0]
    assert list(stores.outbox.iterate_due(A_MOMENT)) == []
    assert [each.entry.chain for each in stores.outbox.iterate_due(A_MOMENT + SECOND)] == [older.chain]


def test_delivery_knows_the_trace_of_its_commit(stores: Stores) -> None:
    with in_trace(TRACEPARENT):
        traced = _submit(stores, 1)
    untraced = _submit(stores, 2)
    first, second = _due(stores)
    assert [(each.entry.chain, each.traceparent) for each in (first, second)] == [
        (traced.chain, TRACEPARENT),
        (untraced.chain, None),
    ]
    leased = _lease(stores, first)
    assert leased.traceparent == TRACEPARENT
    stores.outbox.postpone(leased)
    first, second = sorted(_due(stores), key=lambda each: each.entry.at)
    assert first.traceparent == TRACEPARENT
    stores.outbox.finish(_lease(stores, first))
    assert [each.entry.chain for each in _due(stores)] == [untraced.chain]


def test_what_is_no_traceparent_holds_up_no_delivery(stores: Stores) -> None:
    with in_trace("; DROP TABLE outbox"):
        _submit(stores, 1)
    (due,) = _due(stores)
    assert due.traceparent is None


def test_refused_break_glass_is_due_and_other_refusals_are_not(stores: Stores) -> None:
    chain = f"{REFUSALS_KIND}#{new_id()}"
    first = seal(a_refusal(AuditAction.DENY_REFUSED), KEYRING, chain=chain, seq=1, previous="", at=A_MOMENT)
    second = seal(
        a_refusal(AuditAction.INVOKE_REFUSED, actor=INVOKER),
        KEYRING,
        chain=chain,
        seq=2,
        previous=first.digest,
        at=A_MOMENT,
    )
    stores.audit.append_refusals([first, second])
    (due,) = _due(stores)
    assert due.entry == second
    stores.outbox.finish(_lease(stores, due))
    assert _due(stores) == []


def test_leased_delivery_belongs_to_its_holder(harness: StoreHarness) -> None:
    stores, other = harness.stores, harness.open()
    _submit(stores)
    (due,) = _due(stores)
    _lease(stores, due)
    assert _due(other) == []
    assert other.outbox.lease(due, "b", SOON, SOON + LEASE) is None


def test_holder_may_lease_again(stores: Stores) -> None:
    _submit(stores)
    (due,) = _due(stores)
    _lease(stores, due)
    again = stores.outbox.lease(due, "a", SOON + SECOND, SOON + 2 * LEASE)
    assert again is not None
    assert again.leased_until == SOON + 2 * LEASE
    assert stores.outbox.lease(due, "b", SOON + LEASE, SOON + 2 * LEASE) is None


def test_lease_runs_out_to_the_microsecond(stores: Stores) -> None:
    _submit(stores)
    (due,) = _due(stores)
    _lease(stores, due)
    end = SOON + LEASE
    assert list(stores.outbox.iterate_due(end - TICK)) == []
    assert stores.outbox.lease(due, "b", end - TICK, end + LEASE) is None
    (again,) = stores.outbox.iterate_due(end)
    assert stores.outbox.lease(again, "b", end, end + LEASE) is not None


def test_next_entry_is_not_leased_while_one_is_in_delivery(stores: Stores) -> None:
    request = _submit(stores)
    stores.requests.update(request.cancel(REQUESTER, A_MOMENT + SECOND), a_draft(AuditAction.REQUEST_CANCELLED))
    other = _submit(stores, 5)
    first, second, third = _due(stores)
    assert third.entry.chain == other.chain
    leased = _lease(stores, first)
    assert stores.outbox.lease(second, "b", SOON, SOON + LEASE) is None
    assert _lease(stores, third).earlier is None
    stores.outbox.finish(leased)
    assert _lease(stores, second).earlier is None


@pytest.mark.parametrize("delivered_to", [(), ("slack",), ("slack", "sns")])
def test_postponed_earlier_entry_is_listed_with_its_sinks_done(stores: Stores, delivered_to: tuple[str, ...]) -> None:
    request = _submit(stores)
    stores.requests.update(request.cancel(REQUESTER, A_MOMENT + SECOND), a_draft(AuditAction.REQUEST_CANCELLED))
    first, second = _due(stores)
    progress = {"due_at": SOON + HOUR, "attempts": 1, "delivered_to": delivered_to, "problem": "webhook: 503"}
    stores.outbox.postpone(_lease(stores, first).model_copy(update=progress))
    assert [each.entry.seq for each in _due(stores)] == [2]
    leased = _lease(stores, second)
    assert leased.earlier == Earlier(due_at=SOON + HOUR, delivered_to=delivered_to)
    # It is not part of what is kept.
    stores.outbox.postpone(leased.model_copy(update={"due_at": SOON + HOUR}))
    assert [each.earlier for each in stores.outbox.iterate_due(SOON + HOUR)] == [None, None]


def test_expired_lease_of_the_earlier_entry_delays_nobody(stores: Stores) -> None:
    request = _submit(stores)
    stores.requests.update(request.cancel(REQUESTER, A_MOMENT + SECOND), a_draft(AuditAction.REQUEST_CANCELLED))
    first, second = _due(stores)
    _lease(stores, first)
    end = SOON + LEASE
    assert stores.outbox.lease(second, "b", end - TICK, end + LEASE) is None
    leased = stores.outbox.lease(second, "b", end, end + LEASE)
    assert leased is not None
    assert leased.earlier == Earlier(due_at=first.due_at)


def test_parked_entry_delays_nobody_and_is_shown(stores: Stores) -> None:
    request = _submit(stores)
    stores.requests.update(request.cancel(REQUESTER, A_MOMENT + SECOND), a_draft(AuditAction.REQUEST_CANCELLED))
    first, second = _due(stores)
    given_up = {"attempts": 101, "delivered_to": ("slack",), "problem": "webhook: gone"}
    stores.outbox.park(_lease(stores, first).model_copy(update=given_up))
    assert stores.outbox.lease(first, "b", SOON, SOON + LEASE) is None
    (parked,) = stores.outbox.iterate_parked()
    assert (parked.attempts, parked.delivered_to, parked.problem) == (101, ("slack",), "webhook: gone")
    assert (parked.entry, parked.lease, parked.leased_until) == (first.entry, None, None)
    assert [each.entry for each in _due(stores)] == [second.entry]
    _lease(stores, second)


def test_retried_entry_is_due_at_once_for_the_missing_sinks(harness: StoreHarness) -> None:
    stores = harness.stores
    _submit(stores)
    (due,) = _due(stores)
    given_up = {"attempts": 101, "delivered_to": ("slack",), "problem": "webhook: gone"}
    stores.outbox.park(_lease(stores, due).model_copy(update=given_up))
    (parked,) = harness.open().outbox.iterate_parked()
    later = SOON + HOUR
    assert stores.outbox.unpark(parked, later)
    assert list(stores.outbox.iterate_parked()) == _due(stores) == []
    (again,) = stores.outbox.iterate_due(later)
    assert (again.due_at, again.attempts, again.delivered_to, again.problem) == (later, 0, ("slack",), "webhook: gone")
    assert stores.outbox.lease(again, "a", later, later + LEASE) is not None


def test_only_parked_entries_are_retried(stores: Stores) -> None:
    _submit(stores)
    (due,) = _due(stores)
    assert not stores.outbox.unpark(due, SOON)
    leased = _lease(stores, due)
    assert not stores.outbox.unpark(due, SOON)
    stores.outbox.park(leased)
    (parked,) = stores.outbox.iterate_parked()
    # Two operators at once: one of them did it.
    assert [stores.outbox.unpark(parked, SOON) for _ in range(2)] == [True, False]
    (again,) = _due(stores)
    stores.outbox.finish(_lease(stores, again))
    assert not stores.outbox.unpark(parked, SOON)
    assert _due(stores) == list(stores.outbox.iterate_parked()) == []


def test_backlog_is_counted_with_its_oldest_up_to_a_number(stores: Stores) -> None:
    assert stores.outbox.measure_backlog(10) == Backlog()
    chains = [_submit(stores, number).chain for number in range(5)]
    told, parked, put_off, leased, _ = _due(stores)
    stores.outbox.finish(_lease(stores, told))
    stores.outbox.park(_lease(stores, parked))
    # What was postponed, and what is being delivered, waits too.
    stores.outbox.postpone(_lease(stores, put_off).model_copy(update={"due_at": SOON + HOUR}))
    _lease(stores, leased)
    assert len(set(chains)) == 5
    assert stores.outbox.measure_backlog(10) == Backlog(waiting=3, oldest_at=A_MOMENT + 2 * SECOND, parked=1)
    assert stores.outbox.measure_backlog(2) == Backlog(waiting=2, oldest_at=A_MOMENT + 3 * SECOND, parked=1)


def test_parked_entries_are_shown_oldest_first(stores: Stores) -> None:
    chains = [_submit(stores, number).chain for number in (3, 1, 2)]
    for delivery in _due(stores):
        stores.outbox.park(_lease(stores, delivery).model_copy(update={"problem": "gone"}))
    assert [each.entry.chain for each in stores.outbox.iterate_parked()] == [chains[1], chains[2], chains[0]]
    assert _due(stores) == []


def test_finished_entry_is_gone_from_the_outbox_and_in_the_trail(stores: Stores) -> None:
    request = _submit(stores)
    before = stores.audit.get_chain(request.chain)
    (due,) = _due(stores)
    stores.outbox.finish(_lease(stores, due))
    assert _due(stores) == list(stores.outbox.iterate_parked()) == []
    assert stores.outbox.lease(due, "b", SOON, SOON + LEASE) is None
    assert stores.audit.get_chain(request.chain) == before
    assert [entry.chain for entry in stores.audit.export(until=SOON)] == [request.chain]


def test_progress_survives_a_postponement(harness: StoreHarness) -> None:
    stores = harness.stores
    _submit(stores)
    (due,) = _due(stores)
    assert (due.attempts, due.delivered_to, due.problem) == (0, (), None)
    progress = {"attempts": 3, "delivered_to": ("slack", "sns"), "problem": "webhook: 503", "due_at": SOON + SECOND}
    stores.outbox.postpone(_lease(stores, due).model_copy(update=progress))
    assert _due(stores) == []
    (again,) = harness.open().outbox.iterate_due(SOON + SECOND)
    assert (again.attempts, again.delivered_to, again.problem) == (3, ("slack", "sns"), "webhook: 503")
    assert (again.lease, again.leased_until, again.due_at) == (None, None, SOON + SECOND)
    leased = stores.outbox.lease(again, "b", SOON + SECOND, SOON + LEASE)
    assert leased is not None
    stores.outbox.finish(leased.model_copy(update={"problem": None}))
    assert _due(stores) == []


def test_outdated_reading_cannot_be_leased(stores: Stores) -> None:
    """Otherwise the backoff would be skipped, and a sink that has the entry would get it again."""
    _submit(stores)
    (read_before,) = _due(stores)
    (due,) = _due(stores)
    progress = {"attempts": 1, "delivered_to": ("slack",), "problem": "webhook: 503", "due_at": SOON + SECOND}
    stores.outbox.postpone(_lease(stores, due).model_copy(update=progress))
    assert stores.outbox.lease(read_before, "b", SOON, SOON + LEASE) is None
    (again,) = stores.outbox.iterate_due(SOON + SECOND)
    assert again.delivered_to == ("slack",)


@pytest.mark.parametrize("outcome", ["finish", "postpone", "park"])
def test_only_the_holder_records_the_outcome(stores: Stores, outcome: str) -> None:
    _submit(stores)
    (due,) = _due(stores)
    late = _lease(stores, due, "late")
    end = SOON + LEASE
    (again,) = stores.outbox.iterate_due(end)
    holding = stores.outbox.lease(again, "holding", end, end + LEASE)
    assert holding is not None
    say = getattr(stores.outbox, outcome)
    say(late.model_copy(update={"due_at": SOON + 9 * HOUR, "problem": "too late"}))
    say(due.model_copy(update={"due_at": SOON + 9 * HOUR, "problem": "never leased"}))
    (still,) = stores.outbox.iterate_due(end + LEASE)
    assert (still.lease, still.due_at, still.problem) == ("holding", due.due_at, None)
    assert list(stores.outbox.iterate_parked()) == []
    stores.outbox.finish(holding)
    assert list(stores.outbox.iterate_due(end + LEASE)) == []


def test_unreadable_entry_keeps_no_other_one_from_delivery(
    harness: StoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [_submit(harness.stores, number) for number in range(3)]
    harness.spoil_delivery(harness.stores.audit.get_chain(requests[1].chain)[0])
    assert [each.entry.chain for each in _due(harness.stores)] == [requests[0].chain, requests[2].chain]
    assert requests[1].chain in caplog.text


def _reseal(entry: AuditEntry, keyring: AuditKeyring, **changes: object) -> AuditEntry:
    changed = entry.model_copy(update={**changes, "key_id": keyring.key_id})
    return changed.model_copy(update={"digest": keyring.sign(changed)})


def test_forged_delivery_never_becomes_a_message(harness: StoreHarness, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody who may write into the outbox, and has no audit key, makes no card and no direct message."""
    stores = harness.stores
    (entry,), other = stores.audit.get_chain(_submit(stores).chain), _submit(stores, 1)
    forgeries = (
        entry.model_copy(update={"subject": INVOKER}),
        entry.model_copy(update={"event": AuditAction.REQUEST_APPROVED, "outcome": "approved"}),
        _reseal(entry, AuditKeyring(), outcome="approved"),
        _reseal(entry, AuditKeyring.from_text(OTHER_AUDIT_KEY), outcome="approved"),
        stores.audit.get_chain(other.chain)[0],
    )
    harness.clock.set(SOON)
    for forgery in forgeries:
        harness.queue(entry, forgery)
        sink = _SharedSink()
        deliver_due(harness.open().outbox, [sink], harness.clock)
        assert entry.chain not in [each.chain for each in sink.delivered]
        assert other.chain not in [each.chain for each in sink.delivered[1:]]
        assert f"audit entry {entry.chain}/1" in caplog.text
        caplog.clear()


def test_delivery_sealed_with_a_retired_key_is_refused(harness: StoreHarness, caplog: pytest.LogCaptureFixture) -> None:
    (entry,) = harness.stores.audit.get_chain(_submit(harness.stores).chain)
    harness.settings = replace(harness.settings, keyring=harness.settings.keyring.model_copy())
    stores = harness.open()
    stores.audit.keyring.retire([entry.key_id])
    assert _due(stores) == []
    assert f"its key, {entry.key_id}, is retired" in caplog.text


def test_unknown_key_keeps_a_delivery_waiting_and_is_named(
    harness: StoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    (entry,) = harness.stores.audit.get_chain(_submit(harness.stores).chain)
    older = _reseal(entry, AuditKeyring.from_text(OLDER_AUDIT_KEY))
    harness.queue(entry, older)
    assert _due(harness.stores) == []
    assert f"its key, {older.key_id}, is not in COUNTERSIGN_AUDIT_KEY" in caplog.text
    assert harness.stores.outbox.measure_backlog(10).waiting == 1


def test_deliveries_beyond_one_read_are_made_in_one_round(harness: StoreHarness) -> None:
    harness.exempt("moto", "it copies every table for each transaction, so that 500 of them take minutes")
    harness.exempt("dynamodb_local", "a page of DynamoDB is 1 MB; the suite of lists walks over its pages")
    chains = [_submit(harness.stores, number).chain for number in range(510)]
    seen = []
    for delivery in harness.stores.outbox.iterate_due(SOON):
        seen.append(delivery.entry.chain)
        leased = _lease(harness.stores, delivery)
        harness.stores.outbox.finish(leased)
    assert seen == chains


class _SharedSink:
    """A sink that two instances share, as they share one Slack channel."""

    name = "channel"

    def __init__(self) -> None:
        self.delivered: list[AuditEntry] = []
        self._lock = threading.Lock()

    def deliver(self, entry: AuditEntry) -> None:
        with self._lock:
            self.delivered.append(entry)


def test_two_instances_deliver_each_entry_once_and_in_order(harness: StoreHarness) -> None:
    instances = [harness.stores, harness.open()]
    requests = [_submit(harness.stores, number) for number in range(8)]
    for request in requests:
        voted = request.cancel(REQUESTER, A_MOMENT + SECOND)
        harness.stores.requests.update(voted, a_draft(AuditAction.REQUEST_CANCELLED, actor=APPROVER))
    harness.clock.set(SOON)
    sink, start = _SharedSink(), threading.Barrier(2)

    def run(stores: Stores) -> int:
        start.wait(timeout=120)
        return sum(deliver_due(stores.outbox, [sink], harness.clock).delivered for _ in range(3))

    with ThreadPoolExecutor(2) as pool:
        told = sum(pool.map(run, instances))
    # An entry whose turn came while the other instance held the one before it waits for the next round.
    harness.clock.advance(FIRST_PAUSE)
    told += deliver_due(harness.stores.outbox, [sink], harness.clock).delivered
    assert told == len(sink.delivered) == len({entry.id for entry in sink.delivered}) == 16
    for request in requests:
        assert [entry.seq for entry in sink.delivered if entry.chain == request.chain] == [1, 2]

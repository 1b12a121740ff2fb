"""What an older version left undelivered is taken over once, in order, and after that version had its chance."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.audit.trail import AuditAction, AuditEntry
from core.outbox.outbox import LEASE, deliver_due
from core.stores.outbox import ADOPT_AFTER, Earlier
from tests.builders import HOUR, REQUESTER, a_draft, a_request
from tests.core.stores.harness import DynamoHarness, SqliteHarness
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

SOON = A_MOMENT + HOUR
LATER = SOON + HOUR


class _Sink:
    name = "channel"

    def __init__(self) -> None:
        self.delivered: list[tuple[str, int]] = []

    def deliver(self, entry: AuditEntry) -> None:
        self.delivered.append((entry.chain, entry.seq))


def _leave(harness: StoreHarness, **progress: object) -> AuditEntry:
    """An entry that an older version wrote and did not deliver."""
    request = harness.stores.requests.create(a_request(), a_draft())
    (entry,) = harness.stores.audit.get_chain(request.chain)
    harness.leave_undelivered(entry, **progress)  # type: ignore[arg-type]
    return entry


def _due(stores: Stores) -> list[AuditEntry]:
    return [each.entry for each in stores.outbox.iterate_due(LATER)]


def test_entry_left_by_an_older_version_is_delivered(harness: StoreHarness) -> None:
    entry = _leave(harness)
    harness.clock.set(SOON)
    assert _due(harness.stores) == []
    assert harness.stores.outbox.adopt(SOON) == 1
    sink = _Sink()
    assert deliver_due(harness.stores.outbox, [sink], harness.clock).delivered == 1
    assert sink.delivered == [(entry.chain, 1)]


def test_older_version_has_its_time_to_deliver_first(harness: StoreHarness) -> None:
    entry = _leave(harness)
    assert harness.open().outbox.adopt(entry.at + ADOPT_AFTER - LEASE) == 0
    assert harness.open().outbox.adopt(entry.at + ADOPT_AFTER) == 1


def test_entry_that_an_older_version_delivers_is_left_to_it(harness: StoreHarness) -> None:
    _leave(harness, lease="older", leased_until="2026-01-15T05:00:00.000000Z")
    assert harness.stores.outbox.adopt(SOON) == 0
    assert harness.open().outbox.adopt(SOON.replace(hour=5, minute=10)) == 1


def test_progress_of_an_older_version_is_kept(harness: StoreHarness) -> None:
    entry = _leave(harness, attempts=3, delivered_to=("slack",), problem="webhook: 503")
    harness.stores.outbox.adopt(SOON)
    (due,) = harness.stores.outbox.iterate_due(SOON)
    assert (due.entry, due.due_at) == (entry, entry.at)
    assert (due.attempts, due.delivered_to, due.problem) == (3, ("slack",), "webhook: 503")


def test_entry_parked_by_an_older_version_can_be_retried(harness: StoreHarness) -> None:
    entry = _leave(harness, is_parked=True, attempts=101, problem="webhook: gone")
    assert harness.stores.outbox.adopt(SOON) == 1
    (parked,) = harness.stores.outbox.iterate_parked()
    assert (parked.entry, parked.attempts, parked.problem) == (entry, 101, "webhook: gone")
    assert harness.stores.outbox.unpark(parked, SOON)
    assert _due(harness.stores) == [entry]


def test_entry_is_adopted_once_by_any_number_of_instances(harness: StoreHarness) -> None:
    _leave(harness)
    adopted = [harness.open().outbox.adopt(SOON) for _ in range(3)]
    assert adopted == [1, 0, 0]
    harness.clock.set(LATER)
    sink = _Sink()
    assert deliver_due(harness.stores.outbox, [sink], harness.clock).delivered == 1
    # Also after it was delivered, though an older version's list on DynamoDB still has it.
    assert [harness.open().outbox.adopt(LATER + each * HOUR) for each in range(3)] == [0, 0, 0]
    assert deliver_due(harness.stores.outbox, [sink], harness.clock).delivered == 0


def test_entry_adopted_late_still_comes_before_the_next_one(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft())
    (first,) = stores.audit.get_chain(request.chain)
    harness.leave_undelivered(first)
    stores.requests.update(request.cancel(REQUESTER, A_MOMENT), a_draft(AuditAction.REQUEST_CANCELLED))
    (second,) = stores.outbox.iterate_due(SOON)
    leased = stores.outbox.lease(second, "a", SOON, SOON + LEASE)
    assert leased is not None
    assert isinstance(leased.earlier, Earlier)
    assert leased.earlier.delivered_to == ()
    assert leased.earlier.due_at > first.at + ADOPT_AFTER - LEASE
    stores.outbox.postpone(leased)
    stores.outbox.adopt(SOON)
    harness.clock.set(LATER)
    sink = _Sink()
    for _ in range(3):
        deliver_due(stores.outbox, [sink], harness.clock)
        harness.clock.advance(HOUR)
    assert sink.delivered == [(request.chain, 1), (request.chain, 2)]


def test_unreadable_leftover_keeps_no_other_from_delivery(
    harness: StoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = _leave(harness), _leave(harness)
    harness.spoil_entry(bad)
    harness.stores.outbox.adopt(SOON)
    assert _due(harness.stores) == [good]
    assert bad.chain in caplog.text


def test_adopting_changes_nothing_in_the_audit_table(dynamo: DynamoHarness) -> None:
    _leave(dynamo)
    _leave(dynamo, is_parked=True)
    table = f"{dynamo.prefix}-audit"
    before = dynamo.client.scan(TableName=table, ConsistentRead=True)["Items"]
    assert dynamo.stores.outbox.adopt(SOON) == 2
    assert dynamo.client.scan(TableName=table, ConsistentRead=True)["Items"] == before


def test_look_for_leftovers_costs_two_reads_in_two_minutes(dynamo: DynamoHarness) -> None:
    _leave(dynamo)
    with dynamo.calls() as calls:
        for _ in range(5):
            dynamo.stores.outbox.adopt(SOON)
        dynamo.stores.outbox.adopt(SOON + ADOPT_AFTER)
    assert [operation for operation, _ in calls] == ["Query", "Query", "PutItem", "Query", "Query"]


@pytest.mark.parametrize("harness", ["sqlite"], indirect=True)
def test_file_of_an_older_version_gains_the_outbox(harness: SqliteHarness) -> None:
    entry = _leave(harness)
    harness.close()
    with closing(sqlite3.connect(harness.path)) as older, older:
        older.execute("DROP TABLE outbox")
    stores = harness.open()
    assert harness.ask("SELECT name FROM sqlite_master WHERE name IN ('outbox', 'outbox_due') ORDER BY name") == [
        ("outbox",),
        ("outbox_due",),
    ]
    stores.outbox.adopt(SOON)
    assert _due(stores) == [entry]
    stores.requests.create(a_request(), a_draft())
    assert len(_due(stores)) == 2

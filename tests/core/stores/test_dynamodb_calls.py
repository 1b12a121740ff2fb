"""What is asked of DynamoDB: one round trip for a change, consistent reads for a decision, and nothing AWS refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.audit.trail import REFUSALS_KIND, AuditAction
from core.break_glass import EventId, EventStatus
from core.errors import ConcurrentModification, InvalidStateTransition, StoreUnavailable
from core.outbox.outbox import deliver_due
from core.request import RequestId, RequestStatus
from core.stores.dynamodb.connection import Connection
from tests.builders import (
    APPROVER,
    HOUR,
    INVOKER,
    PROD,
    REQUESTER,
    a_draft,
    a_request,
    a_reviewed_event,
    an_event,
)
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from tests.core.stores.harness import DynamoHarness


def _operations(calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [operation for operation, _ in calls]


def test_change_is_one_round_trip(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    with dynamo.calls() as calls:
        request = stores.requests.create(a_request(), a_draft())
        stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
        event = an_event()
        by_invoker, by_profile = (ledger.add(event) for ledger in stores.break_glass.get_ledgers(INVOKER, PROD))
        created = stores.break_glass.create(event, a_draft(), [by_invoker, by_profile])
        stores.break_glass.delete(created, a_draft(AuditAction.RECORD_DELETED))
    write = "TransactWriteItems"
    assert _operations(calls) == [write, write, "BatchGetItem", write, write]


def test_refusal_needs_no_further_round_trip_to_say_why(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    request = stores.requests.create(a_request(required_approvals=2), a_draft())
    voted = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    denied = stores.requests.update(voted.deny(INVOKER, A_MOMENT, "Not on a Friday"), a_draft())
    with dynamo.calls() as calls:
        with pytest.raises(InvalidStateTransition) as caught:
            stores.requests.update(request.cancel(REQUESTER, A_MOMENT), a_draft())
        assert caught.value.decided_by == denied.approver
        with pytest.raises(ConcurrentModification):
            stores.requests.delete(voted, a_draft(AuditAction.RECORD_DELETED))
    assert _operations(calls) == ["TransactWriteItems"] * 2


def test_reads_for_a_decision_are_consistent_and_never_a_scan(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    request = stores.requests.create(a_request(), a_draft())
    event = stores.break_glass.create(an_event(), a_draft())
    with dynamo.calls() as calls:
        stores.requests.get(RequestId(request.id))
        stores.break_glass.get(EventId(event.id))
        stores.break_glass.get_ledgers(INVOKER, PROD)
        stores.audit.get_chain(request.chain)
        stores.audit.get_refusals_head("REFUSALS#0123456789abcdef")
    assert _operations(calls) == ["GetItem", "GetItem", "BatchGetItem", "Query", "BatchGetItem"]
    batches = [calls[index][1].pop("RequestItems") for index in (2, 4)]
    assert [arguments.get("ConsistentRead") for _, arguments in calls] == [True, True, None, True, None]
    assert {table["ConsistentRead"] for batch in batches for table in batch.values()} == {True}


def test_lists_and_lookups_are_index_queries_without_a_filter(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    stores.requests.create(a_request(), a_draft())
    stores.break_glass.create(an_event(), a_draft())
    with dynamo.calls() as calls:
        stores.requests.list_by_requester(REQUESTER, since=A_MOMENT)
        stores.requests.list_by_status(RequestStatus.PENDING, since=A_MOMENT)
        stores.requests.list_by_profile(PROD, since=A_MOMENT)
        stores.requests.find_granting(REQUESTER, PROD, A_MOMENT)
        stores.break_glass.list_by_invoker(INVOKER, since=A_MOMENT)
        stores.break_glass.list_by_status(EventStatus.ACTIVE, since=A_MOMENT)
        stores.break_glass.list_by_profile(PROD, since=A_MOMENT)
        stores.break_glass.find_active_by_invoker_and_profile(INVOKER, PROD, A_MOMENT)
        stores.break_glass.count_by_invoker_since(INVOKER, A_MOMENT)
        stores.break_glass.count_by_profile_since(PROD, A_MOMENT)
    assert _operations(calls) == ["Query"] * 10
    for _, query in calls:
        assert query["IndexName"].startswith("gsi-")
        assert "created_at >= :since" in query["KeyConditionExpression"]
        assert "FilterExpression" not in query


class _Sink:
    name = "nobody"

    def deliver(self, entry: object) -> None:
        """Take it."""


def test_no_use_of_the_outbox_scans(dynamo: DynamoHarness) -> None:
    request = dynamo.stores.requests.create(a_request(), a_draft())
    dynamo.stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    dynamo.clock.set(A_MOMENT + HOUR)
    with dynamo.calls() as calls:
        assert deliver_due(dynamo.stores.outbox, [_Sink()], dynamo.clock).delivered == 2
    one = ["TransactWriteItems", "UpdateItem"]
    assert _operations(calls) == ["Query", *one, *one]


def test_whole_life_passes_the_judge_of_expressions(dynamo: DynamoHarness) -> None:
    """DynamoDB Local refuses reserved words, filters on keys and empty values as AWS does; moto does not."""
    stores = dynamo.stores
    event = stores.break_glass.create(an_event(mfa_method="totp"), a_draft(details={"duration": 1, "status": "x"}))
    closed = stores.break_glass.update(event.close(INVOKER, A_MOMENT, "All is well again"), a_draft())
    reviewed = stores.break_glass.update(a_reviewed_event(closed), a_draft(actor=APPROVER))
    stores.break_glass.delete(reviewed, a_draft(AuditAction.RECORD_DELETED))
    assert len(stores.audit.get_chain(event.chain)) == 4
    assert list(stores.break_glass.iterate()) == []


def test_forked_process_is_told_to_open_the_store_again(dynamo: DynamoHarness) -> None:
    forked = Connection(dynamo.client, owner=1)
    with pytest.raises(StoreUnavailable, match="forked"):
        forked.get("table", {"id": {"S": "x"}})


def test_two_pages_of_dynamodb_are_one_page_of_a_list(dynamo: DynamoHarness) -> None:
    """DynamoDB ends a page after 1 MB, however many rows were asked for."""
    stores = dynamo.stores
    requests = [stores.requests.create(a_request(), a_draft()) for _ in range(8)]
    for request in requests:
        dynamo.spoil(request, {"padding": "x" * 300_000})
    with dynamo.calls() as calls:
        page = stores.requests.list_by_requester(REQUESTER)
    assert len(calls) > 1
    assert (page.items, page.cursor) == ((), None)
    assert sorted(page.malformed) == sorted(request.id for request in requests)
    chains = [chain for chain, _ in stores.audit.iterate_chains()]
    assert sorted(chain for chain in chains if not chain.startswith(REFUSALS_KIND)) == sorted(
        request.chain for request in requests
    )
    assert list(stores.requests.iterate()) == []

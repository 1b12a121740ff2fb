"""The stored form: other tools read it, and DynamoDB's TTL acts on it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.audit.trail import AuditAction
from core.clock import format_time
from core.stores.base import DEFAULT_RETENTION
from core.usage import HORIZON
from tests.builders import (
    APPROVER,
    HOUR,
    INVOKER,
    a_closed_event,
    a_draft,
    a_request,
    a_reviewed_event,
    an_approved_request,
    an_event,
)
from tests.core.stores.access_bench import AccessBench, ended
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.record import Record
    from core.stores.base import Stores
    from tests.core.stores.harness import DynamoHarness, StoreHarness

FIXED_WIDTH = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
OPTIONAL = {
    "approver",
    "approver_comment",
    "escalated_steps",
    "approvals",
    "decided_at",
    "access_ends_at",
    "closed_by",
    "closed_reason",
    "closed_at",
    "mfa_method",
    "review",
}


def test_optional_attributes_that_are_empty_are_left_out(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    event = harness.stores.break_glass.create(an_event(), a_draft())
    for record in (request, event):
        stored = harness.stored(record)
        assert stored is not None
        assert not OPTIONAL & stored.keys()
        assert not [name for name, value in stored.items() if value in ("", None, [], {})]


def test_durations_are_int_nanoseconds_and_times_have_one_width(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(an_approved_request(duration=HOUR), a_draft())
    event = harness.stores.break_glass.create(a_reviewed_event(a_closed_event()), a_draft())
    for record in (request, event):
        stored = harness.stored(record)
        assert stored is not None
        assert stored["duration"] == 3_600_000_000_000
        assert type(stored["duration"]) is int
        times = {name: value for name, value in stored.items() if name.endswith("_at")}
        assert len(times) >= 4
        assert [name for name, value in times.items() if not FIXED_WIDTH.fullmatch(value)] == []


def test_grant_is_stored_like_any_record(harness: StoreHarness) -> None:
    bench = AccessBench.on(harness.stores, harness.clock)
    grant = bench.open(bench.grant())
    stored = harness.stored(grant) or {}
    assert (stored["right"], stored["duration"]) == (str(grant.right), 3_600_000_000_000)
    assert not {"ended_early", "closed_at", "failure", "residual_until"} & stored.keys()
    times = {name: value for name, value in stored.items() if name.endswith("_at")}
    assert len(times) == 5
    assert [name for name, value in times.items() if not FIXED_WIDTH.fullmatch(value)] == []


def test_holding_is_apart_from_what_makes_it_due(dynamo: DynamoHarness) -> None:
    """What makes a right due is written beside the holding, without a read: these names stay, for other versions."""
    bench = AccessBench.on(dynamo.stores, dynamo.clock)
    grant = bench.open(bench.grant())
    key = {"pk": {"S": f"HOLDING#{grant.right}"}}
    dynamo.stores.access.end([ended(grant)])
    item = dynamo.client.get_item(TableName=f"{dynamo.prefix}-access", Key=key)["Item"]
    assert item.keys() == {"pk", "nudge", "live", "due", "urgency", "holding"}
    assert (item["nudge"], item["live"]) == ({"N": "2"}, {"SS": [grant.id]})
    assert item["due"] == {"S": f"{format_time(A_MOMENT)} {grant.right}"}
    assert item["urgency"] == {"S": "revoke"}
    assert {"seal", "owner", "updated_at"} <= item["holding"]["M"].keys()


def test_moment_without_microseconds_is_written_with_them(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(now=datetime(2026, 3, 1, tzinfo=UTC)), a_draft())
    stored = harness.stored(request)
    assert stored is not None
    assert stored["created_at"] == "2026-03-01T00:00:00.000000Z"


def test_entry_names_what_the_record_became_and_its_retention(stores: Stores) -> None:
    request = stores.requests.create(a_request(), a_draft())
    approved = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    event = stores.break_glass.create(an_event(), a_draft())
    first, second = stores.audit.get_chain(request.chain)
    assert (first.record_digest, second.record_digest) == (request.content_digest(), approved.content_digest())
    assert first.kept_until == request.expires_at + DEFAULT_RETENTION
    assert second.kept_until == A_MOMENT + HOUR + DEFAULT_RETENTION
    assert stores.audit.get_chain(event.chain)[0].kept_until is None


def _ttl(dynamo: DynamoHarness, record: Record) -> datetime | None:
    stored = dynamo.stored(record)
    assert stored is not None
    if "ttl" not in stored:
        return None
    assert type(stored["ttl"]) is int
    return datetime.fromtimestamp(stored["ttl"], UTC)


def test_ttl_is_the_end_of_the_records_life_and_the_retention(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    request = stores.requests.create(a_request(), a_draft())
    assert _ttl(dynamo, request) == (request.expires_at + DEFAULT_RETENTION).replace(microsecond=0)
    approved = stores.requests.update(request.approve(APPROVER, A_MOMENT + HOUR), a_draft())
    assert _ttl(dynamo, approved) == (A_MOMENT + 2 * HOUR + DEFAULT_RETENTION).replace(microsecond=0)


def test_event_that_waits_for_its_review_is_never_deleted(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    event = stores.break_glass.create(an_event(), a_draft())
    assert _ttl(dynamo, event) is None
    closed = stores.break_glass.update(event.close(INVOKER, A_MOMENT, "All is well again"), a_draft())
    assert _ttl(dynamo, closed) is None
    reviewed = stores.break_glass.update(a_reviewed_event(closed, now=A_MOMENT + HOUR), a_draft())
    assert _ttl(dynamo, reviewed) == (A_MOMENT + HOUR + DEFAULT_RETENTION).replace(microsecond=0)


def test_ledgers_outlive_every_limit_and_entries_have_no_ttl(dynamo: DynamoHarness) -> None:
    event = an_event()
    by_invoker, by_profile = dynamo.stores.break_glass.get_ledgers(event.invoker, event.profile)
    dynamo.stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)])
    ends = int((event.expires_at + HORIZON).timestamp())
    assert {owner: ledger["ttl"] for owner, ledger in dynamo.stored_ledgers().items()} == {
        f"INVOKER#{event.invoker}": ends,
        f"PROFILE#{event.profile}": ends,
    }
    items = dynamo.client.scan(TableName=f"{dynamo.prefix}-audit")["Items"]
    assert ["ttl" in item for item in items] == [False]


def test_entry_is_stored_as_it_is_exported(stores: Stores) -> None:
    details = {"rule": "prod", "votes": 2, "is_final": True, "met": ["a", "b"], "nested": {"deep": [1, {"x": "y"}]}}
    draft = a_draft(AuditAction.REQUEST_SUBMITTED, details=details)  # type: ignore[arg-type]
    request = stores.requests.create(a_request(), draft)
    (entry,) = stores.audit.get_chain(request.chain)
    assert entry.details == details
    assert json.loads(json.dumps(entry.to_item()))["at"] == format_time(A_MOMENT)

"""A record is stored once, read as it was stored, and removed only as it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.audit.trail import AuditAction
from core.break_glass import EventId
from core.clock import TICK, new_id
from core.errors import (
    ConcurrentModification,
    EventExists,
    EventNotFound,
    InvalidInput,
    MalformedRecord,
    RequestExists,
    RequestNotFound,
)
from core.request import RequestId
from tests.builders import (
    APPROVER,
    INVOKER,
    REQUESTER,
    a_closed_event,
    a_draft,
    a_request,
    a_reviewed_event,
    an_approved_request,
    an_event,
)
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness


def test_created_record_is_read_back_equal(stores: Stores) -> None:
    request = stores.requests.create(a_request(justification="Ünïcode: 🚑 \n second line"), a_draft())
    event = stores.break_glass.create(an_event(mfa_method="totp"), a_draft())
    assert stores.requests.get(RequestId(request.id)) == request
    assert stores.break_glass.get(EventId(event.id)) == event


def test_record_with_every_attribute_is_read_back_equal(stores: Stores) -> None:
    request = an_approved_request(comment="Looks right to me")
    event = a_reviewed_event(a_closed_event(), notes="Nothing else would have helped")
    assert stores.requests.create(request, a_draft()).approvals == request.approvals
    assert stores.requests.get(RequestId(request.id)).approver_comment == "Looks right to me"
    stores.break_glass.create(event, a_draft())
    assert stores.break_glass.get(EventId(event.id)).review == event.review


def test_create_keeps_the_record_and_adds_its_chain_only(stores: Stores) -> None:
    request = a_request()
    created = stores.requests.create(request, a_draft())
    (entry,) = stores.audit.get_chain(request.chain)
    assert created == request.replace(audit_head=entry.digest, audit_length=1)
    assert entry.at == created.updated_at == created.created_at


def test_creating_with_two_entries_writes_both_in_order(stores: Stores) -> None:
    submitted, approved = a_draft(), a_draft(AuditAction.REQUEST_APPROVED, outcome="approved")
    created = stores.requests.create(an_approved_request(), submitted, approved)
    first, second = stores.audit.get_chain(created.chain)
    assert [first.id, second.id] == [submitted.id, approved.id]
    assert [first.at, second.at] == [A_MOMENT, A_MOMENT + TICK]
    assert (created.updated_at, created.audit_head, created.audit_length) == (second.at, second.digest, 2)
    assert stores.requests.get(RequestId(created.id)) == created


def test_creating_without_an_entry_is_impossible(harness: StoreHarness) -> None:
    request = a_request()
    with pytest.raises(ValueError, match="audit entry"):
        harness.stores.requests.create(request)
    assert harness.stored(request) is None


def test_second_request_with_the_same_id_leaves_the_first(harness: StoreHarness) -> None:
    first = harness.stores.requests.create(a_request(), a_draft())
    other = a_request(request_id=RequestId(first.id), requester=APPROVER, justification="Something else altogether")
    with pytest.raises(RequestExists) as caught:
        harness.stores.requests.create(other, a_draft(actor=APPROVER))
    assert caught.value.record_id == first.id
    assert harness.stores.requests.get(RequestId(first.id)) == first
    assert len(harness.stored_entries()) == 1


def test_second_event_with_the_same_id_leaves_the_first(harness: StoreHarness) -> None:
    first = harness.stores.break_glass.create(an_event(), a_draft())
    with pytest.raises(EventExists) as caught:
        harness.stores.break_glass.create(an_event(event_id=EventId(first.id), invoker=APPROVER), a_draft())
    assert caught.value.record_id == first.id
    assert harness.stores.break_glass.get(EventId(first.id)) == first
    assert len(harness.stored_entries()) == 1


def test_request_and_an_event_may_have_the_same_id(stores: Stores) -> None:
    request_id = new_id()
    request = stores.requests.create(a_request(request_id=RequestId(request_id)), a_draft())
    event = stores.break_glass.create(an_event(event_id=EventId(request_id)), a_draft())
    assert stores.requests.get(RequestId(request_id)) == request
    assert stores.break_glass.get(EventId(request_id)) == event


def test_missing_record_is_not_found(stores: Stores) -> None:
    nobody = new_id()
    with pytest.raises(RequestNotFound) as no_request:
        stores.requests.get(RequestId(nobody))
    with pytest.raises(EventNotFound) as no_event:
        stores.break_glass.get(EventId(nobody))
    assert (no_request.value.record_id, no_event.value.record_id) == (nobody, nobody)


@pytest.mark.parametrize("text", ["", "0123", "0123456789ABCDEF", "0123456789abcdef\n", "' OR 1=1 --", "é" * 16])
def test_malformed_id_is_refused(stores: Stores, text: str) -> None:
    with pytest.raises(InvalidInput):
        stores.requests.get(RequestId(text))
    with pytest.raises(InvalidInput):
        stores.break_glass.get(EventId(text))


def test_change_of_a_missing_record_says_so_and_creates_nothing(harness: StoreHarness) -> None:
    request, event = an_approved_request(), a_closed_event()
    with pytest.raises(RequestNotFound):
        harness.stores.requests.update(request, a_draft())
    with pytest.raises(EventNotFound):
        harness.stores.break_glass.update(event, a_draft())
    with pytest.raises(RequestNotFound):
        harness.stores.requests.delete(request, a_draft())
    with pytest.raises(EventNotFound):
        harness.stores.break_glass.delete(event, a_draft())
    assert harness.stored(request) is harness.stored(event) is None
    assert harness.stored_entries() == []


def test_deleted_record_is_gone_and_its_chain_says_so(stores: Stores) -> None:
    request = stores.requests.create(a_request(), a_draft())
    event = stores.break_glass.create(an_event(), a_draft(actor=INVOKER))
    removal = a_draft(AuditAction.RECORD_DELETED, actor=REQUESTER, outcome="deleted")
    stores.requests.delete(request, removal)
    stores.break_glass.delete(event, a_draft(AuditAction.RECORD_DELETED, actor=INVOKER, outcome="deleted"))
    with pytest.raises(RequestNotFound):
        stores.requests.get(RequestId(request.id))
    with pytest.raises(EventNotFound):
        stores.break_glass.get(EventId(event.id))
    created, deleted = stores.audit.get_chain(request.chain)
    assert (deleted.id, deleted.seq, deleted.previous) == (removal.id, 2, created.digest)
    assert deleted.record_digest is None
    assert deleted.at > created.at
    assert len(stores.audit.get_chain(event.chain)) == 2


def test_record_that_changed_since_it_was_read_is_not_deleted(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft())
    approved = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    with pytest.raises(ConcurrentModification):
        stores.requests.delete(request, a_draft(AuditAction.RECORD_DELETED))
    assert stores.requests.get(RequestId(request.id)) == approved
    assert len(harness.stored_entries()) == 2


def test_id_of_a_deleted_record_is_not_given_out_again(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    harness.stores.requests.delete(request, a_draft(AuditAction.RECORD_DELETED))
    with pytest.raises(RequestExists):
        harness.stores.requests.create(a_request(request_id=RequestId(request.id)), a_draft())
    assert harness.stored(request) is None
    assert len(harness.stored_entries()) == 2


def test_record_that_cannot_be_read_is_named(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    event = harness.stores.break_glass.create(an_event(), a_draft())
    harness.make_unreadable(request)
    harness.make_unreadable(event)
    with pytest.raises(MalformedRecord) as of_request:
        harness.stores.requests.get(RequestId(request.id))
    with pytest.raises(MalformedRecord) as of_event:
        harness.stores.break_glass.get(EventId(event.id))
    assert (of_request.value.record, of_event.value.record) == (request.chain, event.chain)


def test_two_instances_see_each_other_at_once(harness: StoreHarness) -> None:
    other = harness.open()
    request = harness.stores.requests.create(a_request(), a_draft())
    assert other.requests.get(RequestId(request.id)) == request
    approved = other.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    assert harness.stores.requests.get(RequestId(request.id)) == approved


def test_iteration_gives_every_record_of_its_kind_only(stores: Stores) -> None:
    requests = {stores.requests.create(a_request(), a_draft()).id for _ in range(7)}
    events = set()
    for _ in range(5):
        event = an_event()
        by_invoker, by_profile = stores.break_glass.get_ledgers(event.invoker, event.profile)
        events.add(stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)]).id)
    assert sorted(each.id for each in stores.requests.iterate()) == sorted(requests)
    assert sorted(each.id for each in stores.break_glass.iterate()) == sorted(events)


def test_iterating_skips_and_logs_what_cannot_be_read(harness: StoreHarness, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = (harness.stores.requests.create(a_request(), a_draft()) for _ in range(2))
    harness.make_unreadable(bad)
    assert [each.id for each in harness.stores.requests.iterate()] == [good.id]
    assert bad.id in caplog.text

"""A change replaces the record that was read, or says exactly why it may not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.actor import DeciderId, ProfileName, UserId
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.clock import TICK, new_id
from core.errors import ConcurrentModification, FixedFactChanged, InvalidStateTransition
from core.request import Request, RequestId
from tests.builders import (
    APPROVER,
    DAY,
    HOUR,
    INVOKER,
    REVIEWER,
    SECOND_APPROVER,
    a_draft,
    a_request,
    a_reviewed_event,
    an_event,
)
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.record import Record
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

LATER = A_MOMENT + timedelta(minutes=5)


def _pending(stores: Stores, **facts: Any) -> Request:  # noqa: ANN401  what a_request takes
    return stores.requests.create(a_request(**facts), a_draft())


def _active(stores: Stores) -> BreakGlassEvent:
    return stores.break_glass.create(an_event(), a_draft(actor=INVOKER))


def _closed(stores: Stores, closed_by: UserId = INVOKER) -> BreakGlassEvent:
    event = _active(stores)
    return stores.break_glass.update(event.close(closed_by, LATER, "All is well again"), a_draft())


def _is_unchanged(harness: StoreHarness, record: Record, entries: int) -> bool:
    kept = harness.stored(record)
    assert kept is not None
    return {name: kept.get(name) for name in record.to_item()} == record.to_item() and (
        len(harness.stored_entries()) == entries
    )


# --- what a change does


def test_change_is_stored_and_returned_as_stored(harness: StoreHarness) -> None:
    stores = harness.stores
    request = _pending(stores)
    harness.clock.set(LATER)
    draft = a_draft(AuditAction.REQUEST_APPROVED, actor=APPROVER, outcome="approved")
    approved = stores.requests.update(request.approve(APPROVER, LATER, "Go ahead"), draft)
    assert stores.requests.get(RequestId(request.id)) == approved
    assert (approved.approver, approved.approver_comment, approved.updated_at) == (
        DeciderId(APPROVER),
        "Go ahead",
        LATER,
    )
    last = stores.audit.get_chain(request.chain)[-1]
    assert (last.id, last.at, last.digest, last.seq) == (draft.id, LATER, approved.audit_head, 2)


def test_vote_replaces_a_pending_request_by_a_pending_one(stores: Stores) -> None:
    request = _pending(stores, required_approvals=2)
    voted = stores.requests.update(request.approve(APPROVER, LATER), a_draft(AuditAction.APPROVAL_ADDED))
    approved = stores.requests.update(voted.approve(SECOND_APPROVER, LATER), a_draft())
    assert [each.approver for each in approved.approvals] == [APPROVER, SECOND_APPROVER]
    assert approved.approver == DeciderId(SECOND_APPROVER)


def test_every_legal_end_of_a_request_is_stored(stores: Stores) -> None:
    asked = [_pending(stores) for _ in range(4)]
    ended = [
        asked[0].approve(APPROVER, LATER),
        asked[1].deny(APPROVER, LATER, "Not on a Friday"),
        asked[2].cancel(asked[2].requester, LATER),
        asked[3].expire(A_MOMENT + DAY),
    ]
    for each in ended:
        stored = stores.requests.update(each, a_draft())
        assert stores.requests.get(RequestId(each.id)) == stored
        assert stored.status is each.status


def test_event_is_closed_or_expires_and_is_reviewed_once(stores: Stores) -> None:
    for ended in (
        _active(stores).close(INVOKER, LATER, "All is well again"),
        _active(stores).expire(A_MOMENT + HOUR),
    ):
        stored = stores.break_glass.update(ended, a_draft())
        reviewed = stores.break_glass.update(a_reviewed_event(stored), a_draft())
        assert stores.break_glass.get(EventId(ended.id)) == reviewed
        assert reviewed.review is not None
        assert (reviewed.status, reviewed.closed_by) == (ended.status, ended.closed_by)


@pytest.mark.parametrize("step", [timedelta(), -HOUR, -TICK, TICK])
def test_version_moves_forward_whatever_the_clock_does(harness: StoreHarness, step: timedelta) -> None:
    stores = harness.stores
    request = _pending(stores, required_approvals=3)
    event = _active(stores)
    harness.clock.advance(step)
    voted = stores.requests.update(request.approve(APPROVER, LATER), a_draft())
    closed = stores.break_glass.update(event.close(INVOKER, LATER, "All is well again"), a_draft())
    assert voted.updated_at > request.updated_at
    assert closed.updated_at > event.updated_at
    again = stores.requests.update(voted.approve(SECOND_APPROVER, LATER), a_draft())
    assert again.updated_at > voted.updated_at
    times = [entry.at for entry in stores.audit.get_chain(request.chain)]
    assert times == sorted(set(times))
    assert times[-1] == again.updated_at


def test_version_follows_the_clock_where_it_can(harness: StoreHarness) -> None:
    request = _pending(harness.stores)
    harness.clock.advance(HOUR)
    assert harness.stores.requests.update(request.approve(APPROVER, LATER), a_draft()).updated_at == A_MOMENT + HOUR


# --- what the version refuses


def test_of_two_changes_of_one_reading_the_second_is_refused(harness: StoreHarness) -> None:
    stores = harness.stores
    request = _pending(stores, required_approvals=3)
    voted = stores.requests.update(request.approve(APPROVER, LATER), a_draft())
    with pytest.raises(ConcurrentModification) as caught:
        stores.requests.update(request.approve(SECOND_APPROVER, LATER), a_draft())
    assert caught.value.record == request.chain
    assert _is_unchanged(harness, voted, entries=2)


def test_change_of_a_request_from_the_future_is_refused(harness: StoreHarness) -> None:
    request = _pending(harness.stores)
    ahead = request.approve(APPROVER, LATER).replace(updated_at=request.updated_at + TICK)
    with pytest.raises(ConcurrentModification):
        harness.stores.requests.update(ahead, a_draft())
    assert _is_unchanged(harness, request, entries=1)


def test_review_of_an_older_reading_is_refused(harness: StoreHarness) -> None:
    closed = _closed(harness.stores)
    older = a_reviewed_event(closed).replace(updated_at=closed.updated_at - TICK)
    with pytest.raises(ConcurrentModification):
        harness.stores.break_glass.update(older, a_draft())
    assert _is_unchanged(harness, closed, entries=2)


# --- what the status refuses


def test_decided_request_refuses_another_decision_and_says_who(harness: StoreHarness) -> None:
    stores = harness.stores
    request = _pending(stores)
    harness.clock.set(LATER)
    approved = stores.requests.update(request.approve(APPROVER, LATER), a_draft())
    for late in (
        request.deny(SECOND_APPROVER, LATER, "Not on a Friday"),
        request.cancel(request.requester, LATER),
        request.expire(A_MOMENT + DAY),
    ):
        with pytest.raises(InvalidStateTransition) as caught:
            stores.requests.update(late, a_draft())
        error = caught.value
        assert (error.record, error.status, error.wanted) == (request.chain, "approved", late.status)
        assert (error.decided_by, error.decided_at) == (APPROVER, LATER)
    assert _is_unchanged(harness, approved, entries=2)


def test_illegal_status_is_the_answer_even_at_the_same_version(harness: StoreHarness) -> None:
    stores = harness.stores
    request = _pending(stores)
    denied = stores.requests.update(request.deny(APPROVER, LATER, "Not on a Friday"), a_draft())
    late = request.approve(SECOND_APPROVER, LATER).replace(
        updated_at=denied.updated_at, audit_head=denied.audit_head, audit_length=denied.audit_length
    )
    with pytest.raises(InvalidStateTransition) as caught:
        stores.requests.update(late, a_draft())
    assert (caught.value.status, caught.value.wanted) == ("denied", "approved")
    assert _is_unchanged(harness, denied, entries=2)


def test_second_approver_of_the_approved_record_changes_nothing(harness: StoreHarness) -> None:
    stores = harness.stores
    request = _pending(stores)
    approved = stores.requests.update(request.approve(APPROVER, LATER), a_draft())
    votes = [{"approver": SECOND_APPROVER, "at": LATER}]
    usurped = approved.replace(approver=SECOND_APPROVER, approvals=votes)
    assert (usurped.updated_at, usurped.status) == (approved.updated_at, approved.status)
    with pytest.raises(InvalidStateTransition) as caught:
        stores.requests.update(usurped, a_draft(actor=SECOND_APPROVER))
    assert (caught.value.status, caught.value.wanted) == ("approved", "approved")
    assert caught.value.decided_by == APPROVER
    assert _is_unchanged(harness, approved, entries=2)


@pytest.mark.parametrize("final", ["approved", "denied", "cancelled", "expired"])
def test_final_request_never_changes_again(harness: StoreHarness, final: str) -> None:
    stores = harness.stores
    request = _pending(stores)
    ends = {
        "approved": request.approve(APPROVER, LATER),
        "denied": request.deny(APPROVER, LATER, "Not on a Friday"),
        "cancelled": request.cancel(request.requester, LATER),
        "expired": request.expire(A_MOMENT + DAY),
    }
    ended = stores.requests.update(ends[final], a_draft())
    versions = {name: getattr(ended, name) for name in ("updated_at", "audit_head", "audit_length")}
    for target in (request, *ends.values()):
        with pytest.raises(InvalidStateTransition) as caught:
            stores.requests.update(target.replace(**versions), a_draft())
        assert (caught.value.status, caught.value.wanted) == (final, target.status)
    assert _is_unchanged(harness, ended, entries=2)


def test_closed_event_cannot_expire_nor_active_one_be_reviewed(harness: StoreHarness) -> None:
    stores = harness.stores
    active = _active(stores)
    with pytest.raises(InvalidStateTransition) as early:
        stores.break_glass.update(a_reviewed_event(active.expire(A_MOMENT + HOUR)), a_draft())
    assert (early.value.status, early.value.wanted) == ("active", "expired")
    closed = stores.break_glass.update(active.close(INVOKER, LATER, "All is well again"), a_draft())
    with pytest.raises(InvalidStateTransition) as late:
        stores.break_glass.update(active.expire(A_MOMENT + HOUR), a_draft())
    assert (late.value.status, late.value.wanted, late.value.decided_by) == ("closed", "expired", INVOKER)
    with pytest.raises(InvalidStateTransition):
        stores.break_glass.update(closed.replace(closed_by=APPROVER), a_draft(actor=APPROVER))
    assert _is_unchanged(harness, closed, entries=2)


# --- what was fixed earlier


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("requester", {"requester": UserId("U0SOMEBODY")}),
        ("profile", {"profile": ProfileName("root")}),
        ("justification", {"justification": "Something else altogether"}),
        ("duration", {"duration": 8 * HOUR}),
        ("rule", {"rule": "anything-goes"}),
        ("required_approvals", {"required_approvals": 2}),
        ("created_at", {"created_at": A_MOMENT - HOUR}),
        ("expires_at", {"expires_at": A_MOMENT + 2 * DAY}),
    ],
)
def test_decision_cannot_change_what_was_asked(harness: StoreHarness, field: str, changes: dict[str, object]) -> None:
    request = _pending(harness.stores)
    other = request.replace(**changes).deny(APPROVER, LATER, "Not on a Friday")
    with pytest.raises(FixedFactChanged) as caught:
        harness.stores.requests.update(other, a_draft())
    assert (caught.value.record, caught.value.fields) == (request.chain, (field,))
    assert _is_unchanged(harness, request, entries=1)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (("invoker",), {"invoker": UserId("U0SOMEBODY")}),
        (("profile",), {"profile": ProfileName("root")}),
        (("reason_code",), {"reason_code": ReasonCode.OTHER}),
        (("justification",), {"justification": "Something else altogether"}),
        (("duration", "expires_at"), {"duration": 4 * HOUR, "expires_at": A_MOMENT + 4 * HOUR}),
        (("created_at", "expires_at"), {"created_at": A_MOMENT + HOUR, "expires_at": A_MOMENT + 2 * HOUR}),
        (("rule",), {"rule": "anything-goes"}),
        (("request_id",), {"request_id": new_id()}),
        (("mfa_verified", "mfa_method"), {"mfa_verified": True, "mfa_method": "totp"}),
    ],
)
def test_end_of_an_event_rewrites_nothing_of_its_beginning(
    harness: StoreHarness, fields: tuple[str, ...], changes: dict[str, object]
) -> None:
    event = _active(harness.stores)
    other = event.replace(**changes).close(REVIEWER, LATER, "All is well again")
    with pytest.raises(FixedFactChanged) as caught:
        harness.stores.break_glass.update(other, a_draft())
    assert caught.value.fields == fields
    assert _is_unchanged(harness, event, entries=1)


def test_review_cannot_change_who_closed_when_and_why(harness: StoreHarness) -> None:
    closed = _closed(harness.stores)
    for field, value in (
        ("closed_by", REVIEWER),
        ("closed_reason", "It was nothing at all"),
        ("closed_at", LATER + HOUR),
    ):
        other = a_reviewed_event(closed).replace(**{field: value})
        with pytest.raises(FixedFactChanged) as caught:
            harness.stores.break_glass.update(other, a_draft(actor=REVIEWER))
        assert caught.value.fields == (field,)
    assert _is_unchanged(harness, closed, entries=2)


def test_review_cannot_call_an_expired_event_closed(harness: StoreHarness) -> None:
    event = _active(harness.stores)
    expired = harness.stores.break_glass.update(event.expire(A_MOMENT + HOUR), a_draft())
    made_up = a_reviewed_event(event.close(INVOKER, LATER, "All is well again")).replace(
        updated_at=expired.updated_at, audit_head=expired.audit_head, audit_length=expired.audit_length
    )
    with pytest.raises(InvalidStateTransition):
        harness.stores.break_glass.update(made_up, a_draft())
    assert _is_unchanged(harness, expired, entries=2)


def test_second_review_is_refused(harness: StoreHarness) -> None:
    closed = _closed(harness.stores)
    reviewed = harness.stores.break_glass.update(a_reviewed_event(closed), a_draft())
    second = a_reviewed_event(closed, reviewer=APPROVER).replace(
        updated_at=reviewed.updated_at, audit_head=reviewed.audit_head, audit_length=reviewed.audit_length
    )
    with pytest.raises(FixedFactChanged) as caught:
        harness.stores.break_glass.update(second, a_draft(actor=APPROVER))
    assert caught.value.fields == ("review",)
    with pytest.raises(ConcurrentModification):
        harness.stores.break_glass.update(a_reviewed_event(closed, reviewer=APPROVER), a_draft(actor=APPROVER))
    assert _is_unchanged(harness, reviewed, entries=3)

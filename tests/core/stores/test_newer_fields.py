"""An older version beside a newer one: fields that only the newer one knows are kept, sealed and written back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from core.approval import Approval
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_trail
from core.break_glass import BreakGlassEvent, EventId
from core.errors import BrokenSeal, MalformedRecord
from core.request import Request, RequestId, RequestStatus
from core.review import Review, Verdict
from core.usage import Usage, UsageLedger
from tests.builders import (
    APPROVER,
    INVOKER,
    REVIEWER,
    SECOND_APPROVER,
    a_closed_event,
    a_draft,
    a_request,
    a_reviewed_event,
    an_event,
)
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.record import Record
    from tests.core.stores.harness import StoreHarness

COLOUR = json.dumps({"colour": {"of": ["the", "bikeshed", 7, True, None]}, "errand": "INC-12"}, sort_keys=True)


def _vote_draft(voter: str, outcome: str = "pending") -> EntryDraft:
    event = AuditAction.APPROVAL_ADDED if outcome == "pending" else AuditAction.REQUEST_APPROVED
    return EntryDraft(event=event, actor=voter, outcome=outcome)  # type: ignore[arg-type]


def _stored(harness: StoreHarness, record: Record) -> dict[str, object]:
    stored = harness.stored(record)
    assert stored is not None
    return stored


def test_request_keeps_newer_fields_through_an_approval(harness: StoreHarness) -> None:
    newer = harness.stores
    request = newer.requests.create(a_request(required_approvals=2).replace(newer=COLOUR), a_draft())
    vote = Approval(approver=APPROVER, at=A_MOMENT, newer=COLOUR)
    newer.requests.update(request.replace(approvals=(vote,)), _vote_draft(APPROVER))
    older = harness.open()
    read = older.requests.get(RequestId(request.id))
    approved = older.requests.update(read.approve(SECOND_APPROVER, A_MOMENT), _vote_draft(SECOND_APPROVER, "approved"))
    assert approved.status is RequestStatus.APPROVED
    stored = _stored(harness, request)
    assert (stored["colour"], stored["errand"]) == (json.loads(COLOUR)["colour"], "INC-12")
    first, second = (dict(vote) for vote in stored["approvals"])  # type: ignore[attr-defined]
    assert (first["errand"], "errand" in second) == ("INC-12", False)
    assert newer.requests.get(RequestId(request.id)) == approved
    assert list(verify_trail(newer, KEYRING, A_MOMENT)) == []


def test_seal_covers_newer_fields(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request().replace(newer=COLOUR), a_draft())
    harness.spoil(request, {"errand": "INC-13"})
    with pytest.raises(BrokenSeal):
        harness.stores.requests.get(RequestId(request.id))


def test_event_keeps_newer_fields_with_its_review(harness: StoreHarness) -> None:
    store = harness.stores.break_glass
    event = store.create(an_event().replace(newer=COLOUR), a_draft())
    closed = store.update(event.close(INVOKER, A_MOMENT, "All is well again"), a_draft())
    review = a_reviewed_event(a_closed_event()).review
    assert review is not None
    reviewed = store.update(closed.replace(review=review.model_copy(update={"newer": COLOUR})), a_draft())
    assert store.get(EventId(reviewed.id)) == reviewed
    stored = _stored(harness, event)
    assert (stored["errand"], stored["review"]["errand"]) == ("INC-12", "INC-12")  # type: ignore[index]


def test_ledger_keeps_newer_fields_of_itself_and_its_usages(harness: StoreHarness) -> None:
    store, event = harness.stores.break_glass, an_event()
    by_invoker, by_profile = store.get_ledgers(event.invoker, event.profile)
    usage = Usage.of(event).model_copy(update={"newer": COLOUR})
    newer = by_invoker.model_copy(update={"newer": COLOUR, "usages": (usage,)})
    store.create(event, a_draft(), [newer, by_profile.add(event)])
    read, _ = harness.open().break_glass.get_ledgers(event.invoker, event.profile)
    second = an_event(profile=type(event.profile)("staging"))
    _, other = store.get_ledgers(second.invoker, second.profile)
    store.create(second, a_draft(), [read.add(second), other.add(second)])
    stored = harness.stored_ledgers()[f"INVOKER#{INVOKER}"]
    assert stored["errand"] == "INC-12"
    assert [each.get("errand") for each in stored["usages"]] == ["INC-12", None]


def test_newer_status_is_still_refused(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    harness.spoil(request, {"status": "under_review"})
    with pytest.raises(MalformedRecord):
        harness.stores.requests.get(RequestId(request.id))
    with pytest.raises(MalformedRecord):
        Request.from_item({**request.to_item(), "status": "under_review"})


def test_constructors_refuse_a_misspelled_field() -> None:
    event = an_event()
    misspelled = (
        lambda: a_request().replace(requestor="U0MALLORY"),
        lambda: Approval(approver=APPROVER, at=A_MOMENT, remark="typo"),  # type: ignore[call-arg]
        lambda: Review(  # type: ignore[call-arg]
            reviewer=REVIEWER, at=A_MOMENT, verdict=Verdict.JUSTIFIED, notes="The only way out", follow_upp="x"
        ),
        lambda: UsageLedger(owner="INVOKER#U0INVOKER", usage=()),  # type: ignore[call-arg]
        lambda: Usage(  # type: ignore[call-arg]
            event_id=event.id, invoker=INVOKER, profile=event.profile, at=A_MOMENT, ends_at=A_MOMENT, end="x"
        ),
        lambda: event.replace(invokr="U0MALLORY"),
    )
    for make in misspelled:
        with pytest.raises(ValidationError, match="Extra inputs"):
            make()


def test_field_named_like_the_models_own_is_kept_too() -> None:
    item = {**a_request().to_item(), "newer": "mine", "as_read": {"seal": "forged"}}
    read = Request.from_item(item)
    assert (read.to_item(), read.as_read.seal) == (item, None)
    assert isinstance(an_event(), BreakGlassEvent)

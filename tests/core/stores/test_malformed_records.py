"""One item that cannot be read is reported and skipped, and hides no others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.actor import ProfileName
from core.clock import new_id
from core.errors import MalformedRecord
from core.request import RequestId, RequestStatus
from tests.builders import APPROVER, HOUR, INVOKER, PROD, REQUESTER, a_draft, a_request, an_event
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.record import Record
    from core.request import Request
    from tests.core.stores.harness import StoreHarness

KINDS: dict[str, Callable[[StoreHarness, Record], None]] = {
    "cannot be read at all": lambda harness, record: harness.make_unreadable(record),
    "a field is missing": lambda harness, record: harness.spoil(record, {"justification": None}),
    "a number is missing": lambda harness, record: harness.spoil(record, {"duration": None}),
    "a field has another type": lambda harness, record: harness.spoil(record, {"duration": "an hour"}),
    "a field is unknown": lambda harness, record: harness.spoil(record, {"colour": "red"}),
    "the status is unknown": lambda harness, record: harness.spoil(record, {"status": "undecided"}),
    "the duration is a fraction": lambda harness, record: harness.spoil(record, {"duration": 3600.5}),
    "the time has another spelling": lambda harness, record: harness.spoil(record, {"updated_at": "2026-01-15 03:53"}),
    "it contradicts itself": lambda harness, record: harness.spoil(record, {"status": "approved"}),
}


@pytest.fixture(params=list(KINDS))
def spoil(request: pytest.FixtureRequest, harness: StoreHarness) -> Callable[[Record], None]:
    """Each way in turn in which a stored record can be broken."""
    return lambda record: KINDS[request.param](harness, record)


def _ask(harness: StoreHarness, number: int) -> Request:
    return harness.stores.requests.create(a_request(now=A_MOMENT + timedelta(seconds=number)), a_draft())


def test_broken_item_is_named_logged_and_skipped(
    harness: StoreHarness, spoil: Callable[[Record], None], caplog: pytest.LogCaptureFixture
) -> None:
    older, broken, newer = (_ask(harness, number) for number in range(3))
    spoil(broken)
    page = harness.stores.requests.list_by_requester(REQUESTER)
    assert (page.items, page.malformed, page.cursor) == ((newer, older), (broken.id,), None)
    assert broken.id in caplog.text
    with pytest.raises(MalformedRecord) as caught:
        harness.stores.requests.get(RequestId(broken.id))
    assert caught.value.record == broken.chain


def test_broken_event_is_named_by_its_id_too(harness: StoreHarness) -> None:
    good, broken = (harness.stores.break_glass.create(an_event(), a_draft()) for _ in range(2))
    harness.make_unreadable(broken)
    page = harness.stores.break_glass.list_by_invoker(INVOKER)
    assert (page.items, page.malformed) == ((good,), (broken.id,))
    assert harness.stores.break_glass.count_by_profile_since(PROD, A_MOMENT) == 1


def test_more_than_a_page_of_broken_items_hides_no_other_one(harness: StoreHarness) -> None:
    oldest = _ask(harness, 0)
    broken = [_ask(harness, number) for number in range(1, 8)]
    newest = _ask(harness, 8)
    for each in broken:
        harness.make_unreadable(each)
    page = harness.stores.requests.list_by_requester(REQUESTER, limit=2)
    assert page.items == (newest, oldest)
    assert page.malformed == tuple(each.id for each in reversed(broken))
    assert page.cursor is None


def test_walk_passes_over_broken_items_and_reports_each_once(harness: StoreHarness) -> None:
    requests = [_ask(harness, number) for number in range(9)]
    for number in (0, 3, 4, 5, 8):
        harness.make_unreadable(requests[number])
    seen: list[str] = []
    malformed: list[str] = []
    cursor: str | None = None
    while True:
        page = harness.stores.requests.list_by_status(RequestStatus.PENDING, limit=1, cursor=cursor)
        seen += [each.id for each in page.items]
        malformed += page.malformed
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [requests[number].id for number in (7, 6, 2, 1)]
    assert malformed == [requests[number].id for number in (8, 5, 4, 3, 0)]


def test_broken_item_is_not_written_over(harness: StoreHarness) -> None:
    request = _ask(harness, 0)
    harness.make_unreadable(request)
    with pytest.raises(MalformedRecord):
        harness.stores.requests.update(
            request.approve(APPROVER, A_MOMENT + HOUR).replace(updated_at=A_MOMENT + HOUR), a_draft()
        )
    assert len(harness.stored_entries()) == 1


def test_item_that_says_it_is_another_one_is_refused(harness: StoreHarness) -> None:
    harness.exempt("moto", "the id is the key of the table there, so that it cannot say another")
    harness.exempt("dynamodb_local", "the id is the key of the table there, so that it cannot say another")
    request = _ask(harness, 0)
    harness.spoil(request, {"id": new_id()})
    with pytest.raises(MalformedRecord) as caught:
        harness.stores.requests.get(RequestId(request.id))
    assert caught.value.record == request.chain


def test_event_that_says_it_is_another_one_is_refused(harness: StoreHarness) -> None:
    event = harness.stores.break_glass.create(an_event(profile=ProfileName("db")), a_draft())
    harness.spoil(event, {"id": new_id()})
    page = harness.stores.break_glass.list_by_profile(ProfileName("db"))
    assert (page.items, page.malformed) == ((), (event.id,))

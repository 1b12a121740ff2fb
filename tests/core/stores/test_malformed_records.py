"""One item that cannot be read is reported and skipped, and hides no other one."""

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
    from tests.core.stores.harness import Bench

KINDS: dict[str, Callable[[Bench, Record], None]] = {
    "cannot be read at all": lambda bench, record: bench.make_unreadable(record),
    "a field is missing": lambda bench, record: bench.spoil(record, {"justification": None}),
    "a number is missing": lambda bench, record: bench.spoil(record, {"duration": None}),
    "a field has another type": lambda bench, record: bench.spoil(record, {"duration": "an hour"}),
    "a field is unknown": lambda bench, record: bench.spoil(record, {"colour": "red"}),
    "the status is unknown": lambda bench, record: bench.spoil(record, {"status": "undecided"}),
    "the duration is a fraction": lambda bench, record: bench.spoil(record, {"duration": 3600.5}),
    "the time has another spelling": lambda bench, record: bench.spoil(record, {"updated_at": "2026-01-15 03:53"}),
    "it contradicts itself": lambda bench, record: bench.spoil(record, {"status": "approved"}),
}


@pytest.fixture(params=list(KINDS))
def spoil(request: pytest.FixtureRequest, bench: Bench) -> Callable[[Record], None]:
    """Each way in turn in which a stored record can be broken."""
    return lambda record: KINDS[request.param](bench, record)


def _ask(bench: Bench, number: int) -> Request:
    return bench.stores.requests.create(a_request(now=A_MOMENT + timedelta(seconds=number)), a_draft())


def test_a_broken_item_is_named_logged_and_skipped(
    bench: Bench, spoil: Callable[[Record], None], caplog: pytest.LogCaptureFixture
) -> None:
    older, broken, newer = (_ask(bench, number) for number in range(3))
    spoil(broken)
    page = bench.stores.requests.list_by_requester(REQUESTER)
    assert (page.items, page.malformed, page.cursor) == ((newer, older), (broken.id,), None)
    assert broken.id in caplog.text
    with pytest.raises(MalformedRecord) as caught:
        bench.stores.requests.get(RequestId(broken.id))
    assert caught.value.record == broken.chain


def test_a_broken_event_is_named_by_its_id_too(bench: Bench) -> None:
    good, broken = (bench.stores.break_glass.create(an_event(), a_draft()) for _ in range(2))
    bench.make_unreadable(broken)
    page = bench.stores.break_glass.list_by_invoker(INVOKER)
    assert (page.items, page.malformed) == ((good,), (broken.id,))
    assert bench.stores.break_glass.count_by_profile_since(PROD, A_MOMENT) == 1


def test_more_than_a_page_of_broken_items_hides_no_other_one(bench: Bench) -> None:
    oldest = _ask(bench, 0)
    broken = [_ask(bench, number) for number in range(1, 8)]
    newest = _ask(bench, 8)
    for each in broken:
        bench.make_unreadable(each)
    page = bench.stores.requests.list_by_requester(REQUESTER, limit=2)
    assert page.items == (newest, oldest)
    assert page.malformed == tuple(each.id for each in reversed(broken))
    assert page.cursor is None


def test_a_walk_passes_over_broken_items_and_reports_each_once(bench: Bench) -> None:
    requests = [_ask(bench, number) for number in range(9)]
    for number in (0, 3, 4, 5, 8):
        bench.make_unreadable(requests[number])
    seen: list[str] = []
    malformed: list[str] = []
    cursor: str | None = None
    while True:
        page = bench.stores.requests.list_by_status(RequestStatus.PENDING, limit=1, cursor=cursor)
        seen += [each.id for each in page.items]
        malformed += page.malformed
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [requests[number].id for number in (7, 6, 2, 1)]
    assert malformed == [requests[number].id for number in (8, 5, 4, 3, 0)]


def test_a_broken_item_is_not_written_over(bench: Bench) -> None:
    request = _ask(bench, 0)
    bench.make_unreadable(request)
    with pytest.raises(MalformedRecord):
        bench.stores.requests.update(
            request.approve(APPROVER, A_MOMENT + HOUR).replace(updated_at=A_MOMENT + HOUR), a_draft()
        )
    assert len(bench.stored_entries()) == 1


def test_an_item_that_says_it_is_another_one_is_refused(bench: Bench) -> None:
    bench.exempt("moto", "the id is the key of the table there, so that it cannot say another")
    bench.exempt("dynamodb_local", "the id is the key of the table there, so that it cannot say another")
    request = _ask(bench, 0)
    bench.spoil(request, {"id": new_id()})
    with pytest.raises(MalformedRecord) as caught:
        bench.stores.requests.get(RequestId(request.id))
    assert caught.value.record == request.chain


def test_an_event_that_says_it_is_another_one_is_refused(bench: Bench) -> None:
    event = bench.stores.break_glass.create(an_event(profile=ProfileName("db")), a_draft())
    bench.spoil(event, {"id": new_id()})
    page = bench.stores.break_glass.list_by_profile(ProfileName("db"))
    assert (page.items, page.malformed) == ((), (event.id,))

"""A list is newest first, returns every row exactly once, and hides none."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from core.actor import ProfileName, UserId
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import TICK, format_time, new_id
from core.errors import InvalidInput
from core.request import MAX_DECIDE_WITHIN, Request, RequestStatus
from core.stores.record_store import DEFAULT_LIMIT, MAX_PER_PAGE, Page
from tests.builders import (
    APPROVER,
    DAY,
    HOUR,
    INVOKER,
    PROD,
    REQUESTER,
    STAGING,
    a_draft,
    a_request,
    an_approved_request,
    an_event,
)
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from core.record import Record
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Listing:
    """One of the list methods, with its value filled in, and a way to add a row that it lists."""

    list: Callable[..., Page[Any]]
    add: Callable[[datetime], Record]

    def __call__(
        self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Any]:
        return self.list(limit=limit, cursor=cursor, since=since)

    def fill(self, count: int, step: timedelta = SECOND) -> None:
        for number in range(count):
            self.add(A_MOMENT + number * step)


LISTS: dict[str, Callable[[Stores], Callable[..., Page[Any]]]] = {
    "requester": lambda stores: partial(stores.requests.list_by_requester, REQUESTER),
    "request status": lambda stores: partial(stores.requests.list_by_status, RequestStatus.PENDING),
    "request profile": lambda stores: partial(stores.requests.list_by_profile, PROD),
    "invoker": lambda stores: partial(stores.break_glass.list_by_invoker, INVOKER),
    "event status": lambda stores: partial(stores.break_glass.list_by_status, EventStatus.ACTIVE),
    "event profile": lambda stores: partial(stores.break_glass.list_by_profile, PROD),
}


@pytest.fixture(params=list(LISTS))
def listing(request: pytest.FixtureRequest, stores: Stores) -> Listing:
    """Each list of both stores in turn."""
    add = _ask if "reques" in request.param else _invoke
    return Listing(LISTS[request.param](stores), partial(add, stores))


def _ask(stores: Stores, now: datetime = A_MOMENT, **facts: Any) -> Request:  # noqa: ANN401  what a_request takes
    return stores.requests.create(a_request(now=now, **facts), a_draft())


def _invoke(stores: Stores, now: datetime = A_MOMENT, **facts: Any) -> BreakGlassEvent:  # noqa: ANN401
    return stores.break_glass.create(an_event(now=now, **facts), a_draft())


def _fill_beyond_a_page(harness: StoreHarness, add: Callable[..., Record], **facts: Any) -> None:  # noqa: ANN401
    harness.exempt("moto", "it copies every table for each transaction, so that a hundred of them take half a minute")
    for number in range(DEFAULT_LIMIT + 1):
        add(harness.stores, A_MOMENT + number * SECOND, **facts)


def _walk(listing: Listing, limit: int, since: datetime | None = None) -> Iterator[Page[Any]]:
    cursor: str | None = None
    while True:
        page = listing(limit=limit, cursor=cursor, since=since)
        yield page
        cursor = page.cursor
        if cursor is None:
            return


def _ids(records: tuple[Record, ...]) -> list[str]:
    return [record.id for record in records]


def test_list_is_newest_first_and_holds_whole_records(listing: Listing) -> None:
    listing.fill(5)
    page = listing()
    assert [record.created_at for record in page.items] == [A_MOMENT + number * SECOND for number in (4, 3, 2, 1, 0)]
    assert (page.cursor, page.malformed) == (None, ())
    assert all(record.audit_length == 1 for record in page.items)


def test_list_of_nothing_is_empty(listing: Listing) -> None:
    assert listing() == Page(())


def test_list_holds_only_what_was_asked_for(stores: Stores) -> None:
    mine = _ask(stores)
    theirs = _ask(stores, requester=UserId("U0SOMEBODY"), profile=STAGING)
    decided = stores.requests.update(theirs.approve(APPROVER, A_MOMENT), a_draft())
    live = _invoke(stores)
    closed = _invoke(stores, invoker=APPROVER, profile=STAGING).close(APPROVER, A_MOMENT, "All is well again")
    closed = stores.break_glass.update(closed, a_draft())
    assert stores.requests.list_by_requester(REQUESTER).items == (mine,)
    assert stores.requests.list_by_profile(STAGING).items == (decided,)
    assert stores.requests.list_by_status(RequestStatus.PENDING).items == (mine,)
    assert stores.requests.list_by_status(RequestStatus.APPROVED).items == (decided,)
    assert stores.break_glass.list_by_invoker(INVOKER).items == (live,)
    assert stores.break_glass.list_by_profile(STAGING).items == (closed,)
    assert stores.break_glass.list_by_status(EventStatus.ACTIVE).items == (live,)
    assert stores.break_glass.list_by_status(EventStatus.CLOSED).items == (closed,)


def test_page_has_a_hundred_rows_unless_told_otherwise(harness: StoreHarness) -> None:
    stores = harness.stores
    _fill_beyond_a_page(harness, _ask)
    first = stores.requests.list_by_requester(REQUESTER)
    assert len(first.items) == DEFAULT_LIMIT
    rest = stores.requests.list_by_requester(REQUESTER, cursor=first.cursor)
    assert [each.created_at for each in rest.items] == [A_MOMENT]
    assert rest.cursor is None
    assert len(stores.requests.list_by_requester(REQUESTER, limit=MAX_PER_PAGE).items) == DEFAULT_LIMIT + 1


def test_limit_out_of_bounds_is_refused(listing: Listing) -> None:
    for limit in (0, -1, MAX_PER_PAGE + 1):
        with pytest.raises(InvalidInput) as caught:
            listing(limit=limit)
        assert caught.value.field == "limit"


def test_cursor_walks_over_every_row_exactly_once(listing: Listing) -> None:
    # From the newest on: three a second apart, three a microsecond apart, and six of one moment.
    for step in (timedelta(), TICK, SECOND):
        listing.fill(4, step)
    everything = _ids(listing(limit=100).items)
    assert len(set(everything)) == 12
    # Pages end between rows of each kind; with four a page, the last one is full.
    for limit in (1, 4, 5, 12, 13):
        pages = list(_walk(listing, limit))
        assert [record.id for page in pages for record in page.items] == everything
        # The last page knows that it is the last, even when it is full.
        assert len(pages) == -(-12 // limit)


def test_rows_that_are_added_meanwhile_disturb_no_walk(listing: Listing) -> None:
    listing.fill(6)
    before = _ids(listing().items)
    seen: list[str] = []
    for page in _walk(listing, 2):
        seen += _ids(page.items)
        listing.add(A_MOMENT + HOUR)
    assert seen == before


def test_walk_goes_on_after_a_row_that_is_gone(stores: Stores) -> None:
    requests = [_ask(stores, A_MOMENT + number * SECOND) for number in range(4)]
    first = stores.requests.list_by_status(RequestStatus.PENDING, limit=2)
    stores.requests.update(requests[2].cancel(REQUESTER, A_MOMENT + HOUR), a_draft())
    rest = stores.requests.list_by_status(RequestStatus.PENDING, limit=2, cursor=first.cursor)
    assert _ids(rest.items) == [requests[1].id, requests[0].id]
    assert rest.cursor is None


def test_since_leaves_out_what_is_older_and_keeps_its_own_moment(listing: Listing) -> None:
    listing.fill(5)
    since = A_MOMENT + 2 * SECOND
    assert [record.created_at for record in listing(since=since).items] == [since + 2 * SECOND, since + SECOND, since]
    assert len(listing(since=since + TICK).items) == 2
    assert listing(since=A_MOMENT + HOUR) == Page(())
    assert [len(page.items) for page in _walk(listing, 2, since)] == [2, 1]


def test_cursor_that_lies_before_since_is_at_the_end(listing: Listing) -> None:
    listing.fill(4)
    cursor = listing(limit=3).cursor
    assert cursor is not None
    assert listing(limit=3, cursor=cursor, since=A_MOMENT + 3 * SECOND) == Page(())


def test_cursor_that_was_not_made_here_is_refused(stores: Stores) -> None:
    for cursor in (
        "",
        "page 2",
        "!!!!",
        "é",
        "\ud800",
        urlsafe_b64encode(b"no space").decode(),
        urlsafe_b64encode(b"yesterday 0123456789abcdef").decode(),
        urlsafe_b64encode(b"2026-01-15T03:53:45Z 0123456789abcdef").decode(),
        urlsafe_b64encode(format_time(A_MOMENT).encode() + b" ").decode(),
        urlsafe_b64encode(b"\xff\xfe \xff").decode(),
    ):
        with pytest.raises(InvalidInput) as caught:
            stores.requests.list_by_requester(REQUESTER, cursor=cursor)
        assert caught.value.field == "cursor"


@pytest.mark.parametrize("word", ["status", "duration", "profile", "NULL", "date"])
def test_reserved_words_are_ordinary_values_and_names(stores: Stores, word: str) -> None:
    request = _ask(stores, profile=ProfileName(word))
    approved = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    assert stores.requests.list_by_profile(ProfileName(word)).items == (approved,)


# --- what is looked for among many


def test_access_is_found_behind_more_than_a_page_of_requests(harness: StoreHarness) -> None:
    stores = harness.stores
    granting = stores.requests.create(an_approved_request(now=A_MOMENT, duration=8 * HOUR), a_draft())
    _fill_beyond_a_page(harness, _ask, profile=STAGING)
    now = A_MOMENT + 7 * HOUR
    assert stores.requests.find_granting(REQUESTER, PROD, now) == granting
    assert stores.requests.find_granting(REQUESTER, STAGING, now) is None
    assert stores.requests.find_granting(APPROVER, PROD, now) is None


def test_access_that_lasts_longest_is_found_among_several(stores: Stores) -> None:
    for hours in (2, 5, 3):
        stores.requests.create(an_approved_request(duration=hours * HOUR), a_draft())
    found = stores.requests.find_granting(REQUESTER, PROD, A_MOMENT)
    assert found is not None
    assert found.duration == 5 * HOUR


def test_access_ends_to_the_microsecond(stores: Stores) -> None:
    stores.requests.create(an_approved_request(duration=HOUR), a_draft())
    assert stores.requests.find_granting(REQUESTER, PROD, A_MOMENT + HOUR - TICK) is not None
    assert stores.requests.find_granting(REQUESTER, PROD, A_MOMENT + HOUR) is None


def test_access_is_found_however_long_the_request_had_waited(stores: Stores) -> None:
    request = _ask(stores, decide_within=MAX_DECIDE_WITHIN, duration=8 * HOUR)
    decided_at = A_MOMENT + MAX_DECIDE_WITHIN - TICK
    approved = stores.requests.update(request.approve(APPROVER, decided_at), a_draft())
    assert stores.requests.find_granting(REQUESTER, PROD, decided_at + 8 * HOUR - TICK) == approved


def test_request_that_gives_nothing_is_not_found(stores: Stores) -> None:
    request = _ask(stores)
    assert stores.requests.find_granting(REQUESTER, PROD, A_MOMENT) is None
    stores.requests.update(request.deny(APPROVER, A_MOMENT, "Not on a Friday"), a_draft())
    assert stores.requests.find_granting(REQUESTER, PROD, A_MOMENT) is None


def test_active_event_is_found_behind_more_than_a_page_of_others(harness: StoreHarness) -> None:
    stores = harness.stores
    live = _invoke(stores, duration=4 * HOUR)
    _fill_beyond_a_page(harness, _invoke, profile=STAGING)
    find = stores.break_glass.find_active_by_invoker_and_profile
    assert find(INVOKER, PROD, A_MOMENT + 4 * HOUR - TICK) == live
    assert find(INVOKER, PROD, A_MOMENT + 4 * HOUR) is None
    assert find(APPROVER, PROD, A_MOMENT + HOUR) is None
    stores.break_glass.update(live.close(INVOKER, A_MOMENT, "All is well again"), a_draft())
    assert find(INVOKER, PROD, A_MOMENT + HOUR) is None


def test_events_are_counted_beyond_a_page_and_from_the_moment_on(harness: StoreHarness) -> None:
    stores = harness.stores
    _fill_beyond_a_page(harness, _invoke)
    _invoke(stores, A_MOMENT, invoker=APPROVER)
    _invoke(stores, A_MOMENT, profile=STAGING)
    count, by_profile = stores.break_glass.count_by_invoker_since, stores.break_glass.count_by_profile_since
    assert count(INVOKER, A_MOMENT) == DEFAULT_LIMIT + 2
    assert count(INVOKER, A_MOMENT + SECOND) == DEFAULT_LIMIT
    assert count(INVOKER, A_MOMENT + SECOND + TICK) == DEFAULT_LIMIT - 1
    assert by_profile(PROD, A_MOMENT) == DEFAULT_LIMIT + 2
    assert by_profile(PROD, A_MOMENT + DAY) == 0


def test_last_event_is_the_newest_of_the_person_and_profile(harness: StoreHarness) -> None:
    stores = harness.stores
    assert stores.break_glass.get_last_by_invoker_and_profile(INVOKER, PROD) is None
    _invoke(stores, A_MOMENT - 100 * DAY)
    last = _invoke(stores, A_MOMENT - 99 * DAY)
    _fill_beyond_a_page(harness, _invoke, profile=STAGING)
    _invoke(stores, A_MOMENT, invoker=APPROVER)
    assert stores.break_glass.get_last_by_invoker_and_profile(INVOKER, PROD) == last


def test_two_people_whose_ids_begin_alike_are_two(stores: Stores) -> None:
    person = UserId(f"U{new_id().upper()}")
    mine = _ask(stores, requester=person)
    _ask(stores, requester=UserId(f"{person}X"))
    assert stores.requests.list_by_requester(person).items == (mine,)

"""The limits on requests, judged on the requests that the ledger of one person and one profile lists."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from pydantic import ValidationError

from core.clock import TICK
from core.errors import MalformedRecord
from core.open_requests import (
    COOLDOWN_AFTER_DENIAL,
    MAX_LISTED,
    MAX_PENDING,
    OPEN_REQUEST,
    OPEN_REQUESTS,
    OpenRequests,
    RequestLimits,
    find_request_limit,
)
from core.request import Request
from core.usage import HORIZON
from tests.builders import APPROVER, DAY, HOUR, PROD, REQUESTER, a_request
from tests.harness.clock import A_MOMENT

NONE: Final = RequestLimits()
THREE: Final = RequestLimits(max_pending=3)
COOLDOWN: Final = RequestLimits(cooldown_after_denial=2 * HOUR)
EMPTY: Final = OpenRequests.of(REQUESTER, PROD)


def _denied(request: Request, after: timedelta = HOUR) -> Request:
    return request.deny(APPROVER, request.created_at + after, "not today")


def _listing(*requests: Request, limits: RequestLimits = NONE) -> OpenRequests:
    ledger, listed = EMPTY, tuple[Request, ...]()
    for each in requests:
        ledger = ledger.add(each, listed, limits, each.created_at)
        listed = (*listed, each)
    return ledger


# The limits


def test_nothing_listed_reaches_no_limit() -> None:
    assert find_request_limit((), NONE, A_MOMENT) is None


def test_one_open_request_is_named_until_its_deadline() -> None:
    request = a_request()
    hit = find_request_limit((request,), NONE, A_MOMENT)
    assert hit is not None
    assert (hit.limit, hit.value, hit.ends_at) == (OPEN_REQUEST, request.id, request.expires_at)
    assert find_request_limit((request,), NONE, request.expires_at - TICK) == hit
    assert find_request_limit((request,), NONE, request.expires_at) is None, "nobody has recorded that yet"


@pytest.mark.parametrize(
    "ended",
    [
        a_request().approve(APPROVER, A_MOMENT),
        a_request().cancel(REQUESTER, A_MOMENT),
        a_request().expire(A_MOMENT + DAY),
        _denied(a_request()),
    ],
    ids=lambda request: request.status,
)
def test_ended_request_is_not_open(ended: Request) -> None:
    assert find_request_limit((ended,), NONE, A_MOMENT + HOUR) is None


def test_several_open_requests_have_room_when_the_first_ends() -> None:
    made = [a_request(now=A_MOMENT + n * HOUR) for n in range(3)]
    now = A_MOMENT + 3 * HOUR
    assert find_request_limit(made[:2], THREE, now) is None
    hit = find_request_limit(made, THREE, now)
    assert hit is not None
    assert (hit.limit, hit.value, hit.ends_at) == (OPEN_REQUESTS, "3", made[0].expires_at)


def test_more_than_a_stricter_policy_allows_must_end_first() -> None:
    made = [a_request(now=A_MOMENT + n * HOUR) for n in range(3)]
    hit = find_request_limit(made, RequestLimits(max_pending=2), A_MOMENT + 3 * HOUR)
    assert hit is not None
    assert hit.ends_at == made[1].expires_at
    assert find_request_limit(made, RequestLimits(max_pending=2), hit.ends_at) is None


def test_cooldown_runs_from_the_last_denial() -> None:
    denied = _denied(a_request())
    later = _denied(a_request(now=A_MOMENT + HOUR))
    hit = find_request_limit((later, denied), COOLDOWN, A_MOMENT + 2 * HOUR)
    assert hit is not None
    assert (hit.limit, hit.value, hit.ends_at) == (COOLDOWN_AFTER_DENIAL, "2h", A_MOMENT + 4 * HOUR)
    assert find_request_limit((later,), COOLDOWN, hit.ends_at - TICK) == hit
    assert find_request_limit((later,), COOLDOWN, hit.ends_at) is None
    assert find_request_limit((later,), NONE, A_MOMENT + 2 * HOUR) is None, "without a cooldown"


@pytest.mark.parametrize("max_pending", [0, MAX_PENDING + 1])
def test_limit_out_of_bounds_is_refused(max_pending: int) -> None:
    with pytest.raises(ValidationError):
        RequestLimits(max_pending=max_pending)


# The ledger


def test_added_request_is_listed_until_it_counts_for_nothing() -> None:
    request = a_request()
    ledger = EMPTY.add(request, (), COOLDOWN, A_MOMENT)
    assert ledger.has(request.id)
    assert ledger.listed(request.expires_at + 2 * HOUR - TICK) == (request.id,), "denied at the last moment"
    assert ledger.listed(request.expires_at + 2 * HOUR) == ()
    assert ledger.kept_until() == request.expires_at + 2 * HOUR


def test_add_keeps_what_still_counts_and_nothing_else() -> None:
    pending, denied, cancelled = (a_request(now=A_MOMENT + n * HOUR) for n in range(3))
    ledger = _listing(pending, denied, cancelled, limits=COOLDOWN)
    now = A_MOMENT + 3 * HOUR
    ended = (_denied(denied), cancelled.cancel(REQUESTER, now))
    new = a_request(now=now)
    assert ledger.add(new, (pending, *ended), COOLDOWN, now).listed(now) == (pending.id, denied.id, new.id)
    assert ledger.add(new, (pending, *ended), NONE, now).listed(now) == (pending.id, new.id)
    assert ledger.add(new, (), NONE, now).listed(now) == (new.id,), "deleted ones are gone"


def test_overdue_request_is_not_kept() -> None:
    request = a_request()
    new = a_request(now=request.expires_at)
    assert _listing(request).add(new, (request,), NONE, request.expires_at).listed(request.expires_at) == (new.id,)


def test_ledger_stays_small() -> None:
    made = [a_request(now=A_MOMENT + n * TICK) for n in range(MAX_LISTED + 1)]
    ledger = _listing(*made)
    assert [each.id for each in ledger.requests] == [each.id for each in made[1:]]


def test_recounted_ledger_lists_what_may_count() -> None:
    now = A_MOMENT + 3 * HOUR
    pending, denied, cancelled = a_request(), _denied(a_request()), a_request().cancel(REQUESTER, A_MOMENT)
    long_ago = _denied(a_request(now=now - HORIZON - 2 * HOUR))
    ledger = EMPTY.recounted([long_ago, cancelled, pending, denied], now)
    assert set(ledger.listed(now)) == {pending.id, denied.id}
    assert set(ledger.listed(pending.expires_at + HORIZON - TICK)) == {pending.id, denied.id}


def test_recounted_ledger_of_too_many_keeps_the_open_ones() -> None:
    pending = a_request()
    denied = [_denied(a_request(now=A_MOMENT + n * TICK)) for n in range(MAX_LISTED + 5)]
    ledger = EMPTY.recounted([pending, *denied], A_MOMENT + 2 * HOUR)
    assert len(ledger.requests) == MAX_LISTED
    assert ledger.has(pending.id)


def test_stored_ledger_reads_back_as_it_was() -> None:
    ledger = _listing(a_request())
    assert OpenRequests.from_item(ledger.to_item()) == ledger
    with pytest.raises(MalformedRecord):
        OpenRequests.from_item({**ledger.to_item(), "requests": [{"id": "nonsense"}]})

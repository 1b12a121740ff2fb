"""Who has access at the moment of the report, and which reviews are due: read from the records, not from the trail.

Invariant: what can't be read is named. It may well be access that somebody has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.access.grant import Grant
from core.access.grant_status import AccessPhase
from core.access.summary import AccessSummary, summarize_each
from core.break_glass import BreakGlassEvent, EventStatus
from core.policy import Policy
from core.policy.rules import EventTimes
from core.request import MAX_DECIDE_WITHIN, MAX_DURATION, Request, RequestStatus
from core.stores.base import Stores
from core.stores.record_store import MAX_PER_PAGE, iterate_pages

BY_REQUEST: Final = "by request"
BY_BREAK_GLASS: Final = "by break-glass"
DECISION_ONLY: Final = "approved; its profile gives no rights"


@dataclass(frozen=True, slots=True)
class Holder:
    """One person's access to a profile, by one decision."""

    person: str
    profile: str
    how: str
    source: str
    decided_by: str
    since: datetime
    until: datetime
    state: str
    rights: tuple[str, ...] = ()
    service: str = ""


@dataclass(frozen=True, slots=True)
class DueReview:
    """An ended event that nobody has reviewed."""

    event: BreakGlassEvent
    due_at: datetime
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class AccessNow:
    """What is open at `at`, the longest open first, and which reviews are due. `unreadable` are ids of records."""

    at: datetime
    holders: tuple[Holder, ...] = ()
    reviews: tuple[DueReview, ...] = ()
    unreadable: tuple[str, ...] = ()


def find_review_time(policy: Policy) -> timedelta:
    """How soon an event must be reviewed: the longest time of all rules, because an event's own may be gone."""
    rules = policy.document.break_glass
    return max((rule.times().review_within for rule in rules), default=EventTimes().review_within)


def read_access(stores: Stores, now: datetime, review_within: timedelta) -> AccessNow:
    """Read it, page by page. Raises StoreUnavailable."""
    unreadable: list[str] = []
    grants: list[Grant] = []
    for page in iterate_pages(lambda cursor: stores.access.list_live(limit=MAX_PER_PAGE, cursor=cursor)):
        grants += page.items
        unreadable += (f"GRANT#{each}" for each in page.malformed)
    holders = [
        *(_of_summary(each) for each in summarize_each(grants, now) if each.phase is not AccessPhase.SCHEDULED),
        *map(_of_request, _granting_requests(stores, now, unreadable)),
        *map(_of_event, _granting_events(stores, now, unreadable)),
    ]
    reviews = [
        DueReview(event, due_at := event.review_due_at(review_within), now >= due_at)
        for event in _waiting(stores, unreadable)
    ]
    return AccessNow(
        now,
        tuple(sorted(holders, key=lambda each: (each.since, each.source))),
        tuple(sorted(reviews, key=lambda each: (each.due_at, each.event.id))),
        tuple(unreadable),
    )


def _granting_requests(stores: Stores, now: datetime, unreadable: list[str]) -> Iterator[Request]:
    """Those of profiles without rights: the others have grants."""
    since = now - MAX_DECIDE_WITHIN - MAX_DURATION
    store = stores.requests
    for page in iterate_pages(
        lambda cursor: store.list_by_status(RequestStatus.APPROVED, limit=MAX_PER_PAGE, cursor=cursor, since=since)
    ):
        unreadable += (f"REQUEST#{each}" for each in page.malformed)
        yield from (each for each in page.items if not each.rights and each.is_granting(now))


def _granting_events(stores: Stores, now: datetime, unreadable: list[str]) -> Iterator[BreakGlassEvent]:
    store = stores.break_glass
    for page in iterate_pages(
        lambda cursor: store.list_by_status(EventStatus.ACTIVE, limit=MAX_PER_PAGE, cursor=cursor)
    ):
        unreadable += (f"BREAKGLASS#{each}" for each in page.malformed)
        yield from (each for each in page.items if not each.rights and each.is_granting(now))


def _waiting(stores: Stores, unreadable: list[str]) -> Iterator[BreakGlassEvent]:
    store = stores.break_glass
    for page in iterate_pages(lambda cursor: store.list_waiting_for_review(limit=MAX_PER_PAGE, cursor=cursor)):
        unreadable += (f"BREAKGLASS#{each}" for each in page.malformed)
        yield from page.items


def _of_summary(access: AccessSummary) -> Holder:
    return Holder(
        person=access.grantee,
        profile=access.profile,
        how=BY_BREAK_GLASS if access.source.startswith(BreakGlassEvent.KIND) else BY_REQUEST,
        source=access.source,
        decided_by=access.decided_by,
        since=access.opened_at or access.starts_at,
        until=access.until,
        state="overdue" if access.is_overdue else access.phase.value,
        rights=tuple(str(each.right) for each in access.rights),
        service=access.service or "",
    )


def _of_request(request: Request) -> Holder:
    return Holder(
        person=request.requester,
        profile=request.profile,
        how=BY_REQUEST,
        source=request.chain,
        decided_by=request.approver or "",
        since=request.access_opens_at or request.created_at,
        until=request.life_ends_at(),
        state=DECISION_ONLY,
        service=request.service or "",
    )


def _of_event(event: BreakGlassEvent) -> Holder:
    return Holder(
        person=event.invoker,
        profile=event.profile,
        how=BY_BREAK_GLASS,
        source=event.chain,
        decided_by=event.invoker,
        since=event.created_at,
        until=event.expires_at,
        state=DECISION_ONLY,
    )

"""The lists of records, told once for every engine.

Invariant: a list tells the whole truth. It pages until its limit is met, and what is filtered is filtered here, after
the paging, so that no row is hidden behind a limit.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from core.actor import ProfileName, UserId
from core.break_glass import AWAITS_REVIEW, BreakGlassEvent, EventStatus
from core.break_glass import MAX_DURATION as MAX_EVENT_DURATION
from core.clock import format_time
from core.errors import MalformedRecord
from core.record import Record
from core.request import MAX_DECIDE_WITHIN, Request, RequestStatus
from core.request import MAX_DURATION as MAX_REQUEST_DURATION
from core.stores.base import DEFAULT_LIMIT, MOST_PER_PAGE, Page
from core.stores.paging import Position, check_limit, read_cursor

R = TypeVar("R", bound=Record)
Raw = TypeVar("Raw")
_FEW: Final = 10
_log = logging.getLogger("countersign.store")


@dataclass(frozen=True, slots=True)
class Row(Generic[Raw]):
    """A record as an engine found it, not read yet."""

    position: Position
    raw: Raw


class RecordLists(ABC, Generic[R, Raw]):
    """Reads records by one attribute, newest first. An engine gives the rows."""

    @abstractmethod
    def _rows(
        self, attribute: str, value: str, after: Position | None, since: datetime | None, count: int
    ) -> Sequence[Row[Raw]]:
        """The next rows whose attribute has this value, newest first: `count`, or fewer if there are no more."""

    @abstractmethod
    def _read(self, raw: Raw) -> R:
        """A row as a record. Raises MalformedRecord."""

    def _page(self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None) -> Page[R]:
        check_limit(limit)
        position, items, malformed = read_cursor(cursor), list[R](), list[str]()
        if position is not None and since is not None and position.created_at < format_time(since):
            # What follows is older still. DynamoDB would refuse a beginning that lies outside of what is asked for.
            return Page(())
        while True:
            wanted = limit - len(items)
            # One more than wanted tells whether there is a next page.
            rows = self._rows(attribute, value, position, since, wanted + 1)
            for row in rows[:wanted]:
                position = row.position
                try:
                    items.append(self._read(row.raw))
                except MalformedRecord as error:
                    _log.warning("skipped: %s", error)
                    # Where a key has a prefix, it ends with #.
                    malformed.append(row.position.id.rpartition("#")[2])
            has_more = len(rows) > wanted
            if not has_more or len(items) == limit:
                next_cursor = position.to_cursor() if has_more and position is not None else None
                return Page(tuple(items), next_cursor, tuple(malformed))

    def _newest_first(
        self, attribute: str, value: str, since: datetime | None, *, page_size: int = DEFAULT_LIMIT
    ) -> Iterator[R]:
        cursor: str | None = None
        while True:
            page = self._page(attribute, value, limit=page_size, cursor=cursor, since=since)
            yield from page.items
            cursor, page_size = page.cursor, min(2 * page_size, MOST_PER_PAGE)
            if cursor is None:
                return


class RequestLists(RecordLists[Request, Raw]):
    """The lists of a RequestStore."""

    def list_by_requester(
        self, requester: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Request]:
        """One person's requests, newest first; `since` leaves out what was created before it."""
        return self._page("requester", requester, limit=limit, cursor=cursor, since=since)

    def list_by_status(
        self,
        status: RequestStatus,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[Request]:
        """The requests with one status, newest first."""
        return self._page("status", status, limit=limit, cursor=cursor, since=since)

    def list_by_profile(
        self,
        profile: ProfileName,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[Request]:
        """One profile's requests, newest first."""
        return self._page("profile", profile, limit=limit, cursor=cursor, since=since)

    def find_granting(self, requester: UserId, profile: ProfileName, now: datetime) -> Request | None:
        """The approved request that gives this person access to the profile now; of several, the longest-lasting."""
        # Older ones cannot grant any more: they waited and lasted for as long as is possible at all.
        since = now - MAX_DECIDE_WITHIN - MAX_REQUEST_DURATION
        granting = [
            request
            for request in self._newest_first("requester", requester, since)
            if request.profile == profile and request.is_granting(now)
        ]
        return max(granting, key=lambda request: request.life_ends_at(), default=None)


class EventLists(RecordLists[BreakGlassEvent, Raw]):
    """The lists of a BreakGlassStore."""

    def list_by_invoker(
        self, invoker: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[BreakGlassEvent]:
        """One person's events, newest first."""
        return self._page("invoker", invoker, limit=limit, cursor=cursor, since=since)

    def list_by_status(
        self,
        status: EventStatus,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[BreakGlassEvent]:
        """The events with one status, newest first."""
        return self._page("status", status, limit=limit, cursor=cursor, since=since)

    def list_by_profile(
        self,
        profile: ProfileName,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[BreakGlassEvent]:
        """One profile's events, newest first."""
        return self._page("profile", profile, limit=limit, cursor=cursor, since=since)

    def list_waiting_for_review(
        self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[BreakGlassEvent]:
        """The ended events that nobody has reviewed, newest first."""
        return self._page("awaits", AWAITS_REVIEW, limit=limit, cursor=cursor, since=since)

    def find_active_by_invoker_and_profile(
        self, invoker: UserId, profile: ProfileName, now: datetime
    ) -> BreakGlassEvent | None:
        """The event that gives access now. For display: the ledgers, not this, keep events from stacking."""
        events = self._newest_first("invoker", invoker, now - MAX_EVENT_DURATION)
        return next((event for event in events if event.profile == profile and event.is_granting(now)), None)

    def count_by_invoker_since(self, invoker: UserId, since: datetime) -> int:
        """How many events one person made at or after a moment. For display: see the ledgers."""
        return sum(1 for _ in self._newest_first("invoker", invoker, since))

    def count_by_profile_since(self, profile: ProfileName, since: datetime) -> int:
        """How many events one profile had at or after a moment. For display: see the ledgers."""
        return sum(1 for _ in self._newest_first("profile", profile, since))

    def get_last_by_invoker_and_profile(self, invoker: UserId, profile: ProfileName) -> BreakGlassEvent | None:
        """The newest event of one person for one profile. For display: see the ledgers."""
        # Most often it is among the newest few; the pages grow for those who broke the glass elsewhere since.
        events = self._newest_first("invoker", invoker, None, page_size=_FEW)
        return next((event for event in events if event.profile == profile), None)

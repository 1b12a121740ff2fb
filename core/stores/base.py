"""What every store promises, whichever engine is behind it.

Invariant: one change, one transaction. A record, its audit entries and any ledger change together or not at all, and
only while the stored record is still the one that was read: `updated_at` is its version. The contract suite in
`tests/core/stores` holds every store to these words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.break_glass import AWAITS_REVIEW, BreakGlassEvent, EventId, EventStatus
from core.break_glass import MAX_DURATION as MAX_EVENT_DURATION
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.record import Record
from core.request import MAX_DECIDE_WITHIN, Request, RequestId, RequestStatus
from core.request import MAX_DURATION as MAX_REQUEST_DURATION
from core.stores.audit import AuditStore, RefusalLog
from core.stores.directory import DirectoryStore
from core.stores.ledgers import LedgerStore
from core.stores.messages import MessageStore
from core.stores.outbox import DeliveryStore

R = TypeVar("R", bound=Record)
Status_contra = TypeVar("Status_contra", bound=StrEnum, contravariant=True)
DEFAULT_LIMIT: Final = 100
MAX_PER_PAGE: Final = 1000
DEFAULT_RETENTION: Final = timedelta(days=90)
_FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list, newest first.

    `cursor` asks for the next page; None: there is none. `malformed` names the items that could not be read as records:
    they are reported here and in the log, and hide no others.
    """

    items: tuple[R, ...]
    cursor: str | None = None
    malformed: tuple[str, ...] = ()


class RecordStore(Protocol[R, Status_contra]):
    """What the stores of both kinds of record have in common.

    An engine provides `list_page`; every other list is built from it here, so lists are the same on every engine.
    """

    def delete(self, record: R, entry: EntryDraft) -> None:
        """Remove the record as it was read; its audit chain stays and ends with this entry. Raises like `update`."""
        ...

    def iterate(self) -> Iterator[R]:
        """Every record, in no order: for verification and export, not for a decision. Logs and skips malformed ones."""
        ...

    def scan(self) -> Iterator[tuple[str, R | MalformedRecord]]:
        """Every record with the name of its chain, in no order; for one that can't be read, what is wrong with it."""
        ...

    def find_many(self, record_ids: Sequence[str]) -> Mapping[str, R | MalformedRecord]:
        """Up to 100 records by their ids, each read consistently, in one read; those that exist.

        For verification: what is wrong with a record is in its place, and hides no others. Raises StoreUnavailable.
        """
        ...

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[R]:
        """The records whose attribute has this value, newest first; `since` leaves out those created before it.

        Raises InvalidInput for a limit that is out of bounds or a cursor that is not one; StoreUnavailable.
        """
        ...

    def list_by_status(
        self,
        status: Status_contra,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[R]:
        """The records with one status, newest first."""
        return self.list_page("status", status, limit=limit, cursor=cursor, since=since)

    def list_by_profile(
        self,
        profile: ProfileName,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[R]:
        """One profile's records, newest first."""
        return self.list_page("profile", profile, limit=limit, cursor=cursor, since=since)


class RequestStore(RecordStore[Request, RequestStatus], Protocol):
    """The requests."""

    def create(self, request: Request, *entries: EntryDraft) -> Request:
        """Store a new request with its first audit entries. Raises RequestExists, StoreUnavailable."""
        ...

    def get(self, request_id: RequestId) -> Request:
        """Read one request, consistently. Raises RequestNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_with_notes(self, request_id: RequestId) -> tuple[Request, DirectoryNotes]:
        """The same, with the notes of changes in the directory, in one read.

        Notes that can't be read mean that everything changed just now.
        """
        ...

    def update(self, request: Request, entry: EntryDraft) -> Request:
        """Replace the request that was read with `request.updated_at` by this one; return it as stored.

        The stored `updated_at` is strictly later, even if the clock stands still or goes back. Raises
        RequestNotFound, ConcurrentModification, InvalidStateTransition, FixedFactChanged, StoreUnavailable.
        """
        ...

    def list_by_requester(
        self, requester: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Request]:
        """One person's requests, newest first."""
        return self.list_page("requester", requester, limit=limit, cursor=cursor, since=since)

    def find_granting(self, requester: UserId, profile: ProfileName, now: datetime) -> Request | None:
        """The approved request that gives this person access to the profile now; of several, the longest-lasting."""
        # Older ones cannot grant access any more: even the longest wait and the longest access are over.
        since = now - MAX_DECIDE_WITHIN - MAX_REQUEST_DURATION
        granting = [
            request
            for request in iterate_newest_first(self, "requester", requester, since)
            if request.profile == profile and request.is_granting(now)
        ]
        return max(granting, key=lambda request: request.life_ends_at(), default=None)


@dataclass(frozen=True, slots=True)
class Replaced:
    """A request that an event replaces: its new version, still with the `updated_at` of the version that was read."""

    request: Request
    entry: EntryDraft


class BreakGlassStore(RecordStore[BreakGlassEvent, EventStatus], LedgerStore, Protocol):
    """The break-glass events, and the ledgers that move with them.

    The ledgers decide. The methods after `list_waiting_for_review` read an index, which may be a moment behind; they
    are for display only.
    """

    def create(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        replacing: Replaced | None = None,
    ) -> BreakGlassEvent:
        """Store a new event with its audit entry, its ledgers, and the new version of the request that it replaces.

        Each ledger, and the request, replaces the one that was read with its `updated_at`. Raises EventExists,
        ConcurrentModification when one of these changed, StoreUnavailable; for the request also what `update` raises.
        """
        ...

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event, consistently. Raises EventNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_with_notes(self, event_id: EventId) -> tuple[BreakGlassEvent, DirectoryNotes]:
        """The same, with the notes of changes in the directory; see RequestStore.get_with_notes."""
        ...

    def get_each(self, event_ids: Sequence[str]) -> tuple[BreakGlassEvent, ...]:
        """Read these events, consistently, a hundred in one read; in no order.

        Leaves out those that don't exist, and, logged, those that can't be read. Raises StoreUnavailable.
        """
        ...

    def update(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[Ledger] = ()) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`; see RequestStore.update."""
        ...

    def list_by_invoker(
        self, invoker: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[BreakGlassEvent]:
        """One person's events, newest first."""
        return self.list_page("invoker", invoker, limit=limit, cursor=cursor, since=since)

    def list_waiting_for_review(
        self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[BreakGlassEvent]:
        """The ended events that nobody has reviewed, newest first.

        Its cost depends on the number of results, not on the length of the history.
        """
        return self.list_page("awaits", AWAITS_REVIEW, limit=limit, cursor=cursor, since=since)

    def find_active_by_invoker_and_profile(
        self, invoker: UserId, profile: ProfileName, now: datetime
    ) -> BreakGlassEvent | None:
        """The event that gives access now. For display: the ledgers, not this, keep events from stacking."""
        events = iterate_newest_first(self, "invoker", invoker, now - MAX_EVENT_DURATION)
        return next((event for event in events if event.profile == profile and event.is_granting(now)), None)

    def count_by_invoker_since(self, invoker: UserId, since: datetime) -> int:
        """How many events one person made at or after a moment."""
        return sum(1 for _ in iterate_newest_first(self, "invoker", invoker, since))

    def count_by_profile_since(self, profile: ProfileName, since: datetime) -> int:
        """How many events one profile had at or after a moment."""
        return sum(1 for _ in iterate_newest_first(self, "profile", profile, since))

    def get_last_by_invoker_and_profile(self, invoker: UserId, profile: ProfileName) -> BreakGlassEvent | None:
        """The newest event of one person for one profile."""
        # It is usually among the newest few; the pages grow for people who have broken the glass elsewhere since.
        events = iterate_newest_first(self, "invoker", invoker, None, page_size=_FEW)
        return next((event for event in events if event.profile == profile), None)


def iterate_newest_first(
    store: RecordStore[R, Status_contra],
    attribute: str,
    value: str,
    since: datetime | None,
    *,
    page_size: int = DEFAULT_LIMIT,
) -> Iterator[R]:
    """A whole list, read page by page; each page is twice as long as the one before it, up to the maximum."""
    sizes = (min(page_size * 2**number, MAX_PER_PAGE) for number in count())

    def read_page(cursor: str | None) -> Page[R]:
        return store.list_page(attribute, value, limit=next(sizes), cursor=cursor, since=since)

    return (record for page in iterate_pages(read_page) for record in page.items)


def iterate_pages(read_page: Callable[[str | None], Page[R]]) -> Iterator[Page[R]]:
    """The pages of a list, each read when it is asked for; `read_page` takes the cursor of a page."""
    cursor: str | None = None
    while True:
        page = read_page(cursor)
        yield page
        if (cursor := page.cursor) is None:
            return


class Stores(Protocol):
    """The stores of one deployment, opened together."""

    @property
    def requests(self) -> RequestStore:
        """The requests."""
        ...

    @property
    def break_glass(self) -> BreakGlassStore:
        """The break-glass events."""
        ...

    @property
    def audit(self) -> AuditStore:
        """The audit trail."""
        ...

    @property
    def directory(self) -> DirectoryStore:
        """Changes of people and user groups, and the last answers about user groups."""
        ...

    @property
    def outbox(self) -> DeliveryStore:
        """Which entries of the audit trail still have to be delivered."""
        ...

    @property
    def messages(self) -> MessageStore:
        """Where the messages about each record are."""
        ...

    @property
    def refusals(self) -> RefusalLog:
        """The refused attempts."""
        ...

    def close(self) -> None:
        """Write what was noted, and close every connection. Idempotent."""
        ...

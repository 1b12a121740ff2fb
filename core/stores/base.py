"""What every store promises, whichever engine is behind it.

Invariant: one change, one transaction. A record, its audit entries and any ledger change together or not at all, and
only while the stored record is still the one that was read: `updated_at` is its version. The contract suite in
`tests/core/stores` holds every store to these words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.break_glass import AWAITS_REVIEW, BreakGlassEvent, EventId, EventStatus
from core.break_glass import MAX_DURATION as MAX_EVENT_DURATION
from core.directory import DirectoryNotes
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.open_requests import OpenRequests
from core.request import MAX_DECIDE_WITHIN, Request, RequestId, RequestStatus
from core.request import MAX_DURATION as MAX_REQUEST_DURATION
from core.stores.access import AccessStore, GrantWrite
from core.stores.audit import AuditStore, RefusalLog
from core.stores.devices import DeviceStore
from core.stores.directory import DirectoryStore
from core.stores.ledgers import LedgerStore
from core.stores.messages import MessageStore
from core.stores.outbox import DeliveryStore
from core.stores.preferences import PreferenceStore
from core.stores.record_store import DEFAULT_LIMIT, Page, RecordStore, iterate_newest_first
from core.stores.sessions import SessionStore

DEFAULT_RETENTION: Final = timedelta(days=90)
_FEW: Final = 10


class RequestStore(RecordStore[Request, RequestStatus], Protocol):
    """The requests."""

    def create(
        self,
        request: Request,
        *entries: EntryDraft,
        ledger: OpenRequests | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        """Store a new request with its first audit entries, the ledger that lists it, and the grants that it makes.

        The ledger replaces the one that was read with its `updated_at`. The rights of the grants become due at once.
        Raises RequestExists, GrantExists, StoreUnavailable; ConcurrentModification when the ledger changed.
        """
        ...

    def get(self, request_id: RequestId) -> Request:
        """Read one request, consistently. Raises RequestNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_with_notes(self, request_id: RequestId) -> tuple[Request, DirectoryNotes]:
        """The same, with the notes of changes in the directory, in one read.

        Notes that can't be read mean that everything changed just now.
        """
        ...

    def get_open(self, person: str, profile: ProfileName) -> tuple[OpenRequests, DirectoryNotes]:
        """The ledger of a person's or a service's requests for a profile, and the directory's notes, in one read.

        Raises MalformedRecord, StoreUnavailable. Notes that can't be read mean that everything changed just now.
        """
        ...

    def get_each(self, request_ids: Sequence[str]) -> tuple[Request, ...]:
        """Read these requests, consistently, in one read, in no order; at most a hundred.

        Leaves out those that don't exist, and, logged, those that can't be read. Raises StoreUnavailable.
        """
        ...

    def get_with_codes(self, request_id: RequestId, person: UserId) -> tuple[Request, DirectoryNotes, CodeLedger]:
        """The same as `get_with_notes`, with the ledger of one person's codes, in one read."""
        ...

    def update(
        self,
        request: Request,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        """Replace the request that was read with `request.updated_at` by this one, and return it.

        Its ledgers, and the new grants that it makes, are stored with it. The stored `updated_at` is strictly later,
        even if the clock stands still or goes back. Raises RequestNotFound, ConcurrentModification,
        InvalidStateTransition, FixedFactChanged, GrantExists, StoreUnavailable.
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
        grants: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        """Store a new event with its entry, its ledgers and grants, and the new version of the request it replaces.

        Each ledger, and the request, replaces the one that was read with its `updated_at`. The rights of the grants
        become due at once. Raises EventExists, GrantExists, ConcurrentModification when one of these changed,
        StoreUnavailable; for the request also what `update` raises.
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

    def update(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        ended: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`; see RequestStore.update.

        `ended` are those of its grants that end with it, in the same transaction; see AccessStore.end.
        """
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


@runtime_checkable
class PurgedStores(Protocol):
    """Stores that don't delete records themselves when their retention has ended; DynamoDB does."""

    def purge(self, now: datetime) -> int:
        """Delete those records. Returns how many. Raises StoreUnavailable."""
        ...


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
    def access(self) -> AccessStore:
        """The grants, and what is held of each right."""
        ...

    @property
    def sessions(self) -> SessionStore:
        """The sessions of issued credentials, and the doors of roles."""
        ...

    @property
    def devices(self) -> DeviceStore:
        """The paired terminals, and the pairings that wait."""
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
    def preferences(self) -> PreferenceStore:
        """What people chose to be notified of."""
        ...

    @property
    def refusals(self) -> RefusalLog:
        """The refused attempts."""
        ...

    def reseal(self) -> int:
        """Seal every record and ledger with the key that seals now; how many weren't. Before an older key is retired.

        Each is judged by the seal that it has. Raises BrokenSeal, MalformedRecord, StoreUnavailable; repeat it then.
        """
        ...

    def close(self) -> None:
        """Write what was noted, and close every connection. Idempotent."""
        ...

"""What every store promises, whichever engine is behind it.

Invariant: one change, one transaction. A record, its audit entries and any ledger move together or not at all, and
only while the stored record is still the one that was read: `updated_at` is its version. The contract suite in
`tests/core/stores` holds every store to these words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from core.actor import ProfileName, UserId
from core.audit.trail import AuditEntry, EntryDraft
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.record import Record
from core.request import Request, RequestId, RequestStatus
from core.stores.ledgers import LedgerStore
from core.stores.messages import MessageStore
from core.stores.outbox import DeliveryStore

R = TypeVar("R", bound=Record)
DEFAULT_LIMIT: Final = 100
MOST_PER_PAGE: Final = 1000
DEFAULT_RETENTION: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list, newest first.

    `cursor` asks for the next page; None: there is none. `malformed` names the items that could not be read as
    records: they are reported here and in the log, and hide no other one.
    """

    items: tuple[R, ...]
    cursor: str | None = None
    malformed: tuple[str, ...] = ()


class RequestStore(Protocol):
    """The requests."""

    def create(self, request: Request, *entries: EntryDraft) -> Request:
        """Store a new request with its first audit entries. Raises RequestExists, StoreUnavailable."""
        ...

    def get(self, request_id: RequestId) -> Request:
        """Read one request, consistently. Raises RequestNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def update(self, request: Request, entry: EntryDraft) -> Request:
        """Replace the request that was read with `request.updated_at` by this one; return it as stored.

        The stored `updated_at` is strictly later, even if the clock stands still or goes back. Raises
        RequestNotFound, ConcurrentModification, InvalidStateTransition, FixedFactChanged, StoreUnavailable.
        """
        ...

    def delete(self, request: Request, entry: EntryDraft) -> None:
        """Remove the request as it was read; its audit chain stays and ends with this entry. Raises like update."""
        ...

    def list_by_requester(
        self, requester: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Request]:
        """One person's requests, newest first; `since` leaves out what was created before it."""
        ...

    def list_by_status(
        self,
        status: RequestStatus,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[Request]:
        """The requests with one status, newest first."""
        ...

    def list_by_profile(
        self,
        profile: ProfileName,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[Request]:
        """One profile's requests, newest first."""
        ...

    def find_granting(self, requester: UserId, profile: ProfileName, now: datetime) -> Request | None:
        """The approved request that gives this person access to the profile now, the longest-lasting one first."""
        ...

    def iterate(self) -> Iterator[Request]:
        """Every request, in no order: for verification and export, not for a decision."""
        ...


@dataclass(frozen=True, slots=True)
class Replaced:
    """A request that an event replaces: as it becomes, still with the `updated_at` that it was read with."""

    request: Request
    entry: EntryDraft


class BreakGlassStore(LedgerStore, Protocol):
    """The break-glass events, and the ledgers that move with them."""

    def create(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        replacing: Replaced | None = None,
    ) -> BreakGlassEvent:
        """Store a new event with its audit entry and its ledgers, and with the request that it replaces, as it becomes.

        Each ledger, and the request, replaces the one that was read with its `updated_at`. Raises EventExists,
        ConcurrentModification when one of these changed, StoreUnavailable; of the request also what `update` raises.
        """
        ...

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event, consistently. Raises EventNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def update(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[Ledger] = ()) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`; see RequestStore.update."""
        ...

    def delete(self, event: BreakGlassEvent, entry: EntryDraft) -> None:
        """Remove the event as it was read; its audit chain stays and ends with this entry."""
        ...

    def list_by_invoker(
        self, invoker: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[BreakGlassEvent]:
        """One person's events, newest first."""
        ...

    def list_by_status(
        self,
        status: EventStatus,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[BreakGlassEvent]:
        """The events with one status, newest first."""
        ...

    def list_by_profile(
        self,
        profile: ProfileName,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[BreakGlassEvent]:
        """One profile's events, newest first."""
        ...

    def list_waiting_for_review(
        self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[BreakGlassEvent]:
        """The ended events that nobody has reviewed, newest first. It costs what it gives, however long the history."""
        ...

    def iterate(self) -> Iterator[BreakGlassEvent]:
        """Every event, in no order: for verification and export, not for a decision."""
        ...


class AuditStore(DeliveryStore, MessageStore, Protocol):
    """The audit chains, which of their entries still have to be told to somebody, and where others were told."""

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first, read consistently."""
        ...

    def get_refusals_head(self, chain: str) -> tuple[int, str]:
        """The length and the last digest of a chain of refused attempts."""
        ...

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Add sealed entries to a chain of refused attempts, and move its head with them.

        What is offered again, because an answer was lost, is added once. Raises ConcurrentModification,
        StoreUnavailable: then a beginning of the entries may have been added.
        """
        ...

    def iterate_chains(self) -> Iterator[tuple[str, tuple[AuditEntry, ...] | MalformedRecord]]:
        """Every chain with its entries, oldest entry first, or with what is wrong; the chains in no order."""
        ...

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed."""
        ...


class RefusalLog(Protocol):
    """Where refused attempts are noted."""

    def note(self, draft: EntryDraft) -> None:
        """Note an attempt that was refused. Returns at once; neither waits for the store nor raises."""
        ...

    def flush(self) -> None:
        """Wait until all that was noted is in the store."""
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
    def audit(self) -> AuditStore:
        """The audit trail."""
        ...

    @property
    def refusals(self) -> RefusalLog:
        """The refused attempts."""
        ...

    def close(self) -> None:
        """Write down what was noted, and let go of every connection. Idempotent."""
        ...

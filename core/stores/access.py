"""What every store promises about access: the grants, the holding of each right, and which rights are due.

Invariant: a holding is written only over the version that was read, and only while no grant of its right was made,
ended or deleted since; the grant that moves with it changes in the same transaction. Making or ending a grant makes its
right due at once. What is due costs what is due, however much is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from core.access.grant import AWAITS_END, Grant, GrantId, GrantStatus
from core.access.holding import Holding, Urgency
from core.access.right import Right
from core.actor import UserId
from core.audit.trail import EntryDraft
from core.errors import MalformedRecord
from core.stores.record_store import DEFAULT_LIMIT, MAX_PER_PAGE, Page, RecordStore, iterate_pages

MAX_TOGETHER: Final = 20
"""How many grants one transaction may make or end: AWS takes a hundred writes, and each grant needs four."""


@dataclass(frozen=True, slots=True)
class GrantWrite:
    """A grant that is new, or that somebody ended early, with its audit entry.

    One that ended early still has the `updated_at` of the version that was read. Its right becomes due at once.
    """

    grant: Grant
    entry: EntryDraft


@dataclass(frozen=True, slots=True)
class RightState:
    """All that is known of a right, read consistently.

    `grants` are its live ones, oldest first, and the one that the holding names as its last. `nudge` counts how often a
    grant was made or ended by somebody: the reconciler's own changes don't count.

    `unreadable` are the ids of grants whose seal is broken: they count as not there. `is_lost`: what was known of the
    right is gone, or its seal is broken; `holding` is then an empty one, to be rebuilt before anything else. `given`
    are, only then, the ids of those of its grants whose chain says that the right was given for them. `damaged` is what
    is stored in place of the holding: a commit replaces that, and nothing else.
    """

    holding: Holding
    grants: tuple[Grant, ...]
    nudge: int
    unreadable: tuple[str, ...] = ()
    is_lost: bool = False
    given: tuple[str, ...] = ()
    damaged: object | None = None


@dataclass(frozen=True, slots=True)
class DueRight:
    """A right for which something is to be done since `due_at`.

    In the list of what is overdue, it stands once for each grant, and names it.
    """

    right: Right
    due_at: datetime
    grant: str | None = field(default=None, compare=False)


class AccessStore(RecordStore[Grant, GrantStatus], Protocol):
    """The grants and the holdings. A grant is made by the change that decides it; see RequestStore.update."""

    def get(self, grant_id: GrantId) -> Grant:
        """Read one grant, consistently. Raises GrantNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_each(self, grant_ids: Sequence[str]) -> tuple[Grant, ...]:
        """Read these grants, consistently, in one read, in no order; at most a hundred.

        Leaves out those that don't exist, and, logged, those that can't be read. Raises StoreUnavailable.
        """
        ...

    def get_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        """Everything about a right, read consistently. Its cost follows the live grants, not the past ones.

        The holding is read no later than the grants, so that a commit on the state is refused when one of them changed
        in between. `also` are ids of grants that are known from elsewhere, should the right not list them any more.
        A broken seal, of the holding or of a grant, raises the alarm and hides nothing else: see RightState. Raises
        MalformedRecord for what a newer version may have sealed, and StoreUnavailable.
        """
        ...

    def find_rolled_back(self, grants: Sequence[Grant]) -> frozenset[str]:
        """The ids of those of the grants, as they were read, whose chain goes on: an older version was put back.

        Raises the alarm for each, and ConcurrentModification when one was changed since it was read. Costs one read.
        """
        ...

    def end(self, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        """Store that somebody ended these grants early, all in one transaction, and make their rights due as revokes.

        At most MAX_TOGETHER of them, which also holds for those that end, or are made, with a request or an event.
        Raises GrantNotFound, ConcurrentModification, InvalidStateTransition, FixedFactChanged, StoreUnavailable.
        """
        ...

    def delete(self, record: Grant, entry: EntryDraft) -> None:
        """Remove the grant as it was read; see RecordStore.delete. Its right becomes due, as when it had ended."""
        ...

    def commit(
        self, state: RightState, holding: Holding, grant: Grant | None = None, entries: Sequence[EntryDraft] = ()
    ) -> RightState:
        """Replace the holding that was read with `state`, and the grant with its entries; return what is stored now.

        All in one transaction. The right is due again at `holding.next_look_at`, as `holding.urgency`; None: not until
        somebody nudges it. Raises ConcurrentModification when the holding, the grant or `nudge` changed; ValueError
        for a grant without an entry; StoreUnavailable.
        """
        ...

    def list_due(
        self, urgency: Urgency, now: datetime, *, limit: int = DEFAULT_LIMIT, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        """The rights that are due now, as urgent as this, longest due first; `after` is the last one of a page.

        May lag by a moment. Its cost is that of its results. Raises StoreUnavailable.
        """
        ...

    def list_overdue(
        self, now: datetime, *, limit: int = DEFAULT_LIMIT, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        """The rights of pending and active grants whose window has passed, longest ago first, by the ends of these.

        After an outage of Countersign itself, they are what `list_due` still knows as less urgent. Its cost is that of
        its results. Raises StoreUnavailable.
        """
        ...

    def find_first_end(self) -> datetime | None:
        """When the first of all live grants ends, or was to end: how late revokes are. Raises StoreUnavailable."""
        ...

    def list_live(self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Grant]:
        """The grants that are not final, newest first: who has what now."""
        return self.list_page("awaits", AWAITS_END, limit=limit, cursor=cursor, since=None)

    def list_by_person(
        self, person: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Grant]:
        """One person's grants, newest first."""
        return self.list_page("grantee", person, limit=limit, cursor=cursor, since=since)

    def scan_holdings(self) -> Iterator[tuple[str, Holding | MalformedRecord]]:
        """Every stored holding by the key of its right, in no order; for one that can't be trusted, what is wrong.

        For verification: `as_read.problems` says what contradicts the holding beside it. Raises StoreUnavailable.
        """
        ...

    def count_live(self, most: int) -> int:
        """How many grants are not final, counted up to `most`. Costs what is live. Raises StoreUnavailable."""
        pages = iterate_pages(lambda cursor: self.list_live(limit=MAX_PER_PAGE, cursor=cursor))
        return sum(1 for _ in islice((each for page in pages for each in page.items), most))

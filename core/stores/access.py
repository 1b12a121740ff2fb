"""What every store promises about access: the grants, the holding of each right, and which rights are due.

Invariant: a holding is written only over the version that was read, and only while no grant of its right was made or
ended since; the grant that moves with it changes in the same transaction. Making or ending a grant makes its right due
at once. What is due costs what is due, however much is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.access.grant import Grant, GrantId, GrantStatus
from core.access.holding import Holding, Urgency
from core.access.right import Right
from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.stores.base import DEFAULT_LIMIT, Page


@dataclass(frozen=True, slots=True)
class RightState:
    """All that is known of a right, read consistently, in one read.

    `grants` are its live ones, oldest first, and the one that the holding names as its last. `nudge` counts how often a
    grant was made or ended by somebody: the reconciler's own changes don't count.
    """

    holding: Holding
    grants: tuple[Grant, ...]
    nudge: int


@dataclass(frozen=True, slots=True)
class DueRight:
    """A right for which something is to be done since `due_at`."""

    right: Right
    due_at: datetime


class AccessStore(Protocol):
    """The grants and the holdings."""

    def get(self, grant_id: GrantId) -> Grant:
        """Read one grant, consistently. Raises NotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_right(self, right: Right) -> RightState:
        """Everything about a right, consistently, in one read. Its cost follows the live grants, not the past ones.

        Raises MalformedRecord, StoreUnavailable.
        """
        ...

    def end(self, grant: Grant, entry: EntryDraft) -> Grant:
        """Store what somebody decided about a grant, such as its early end, and make its right due now, as a revoke.

        Raises NotFound, ConcurrentModification, InvalidStateTransition, FixedFactChanged, StoreUnavailable.
        """
        ...

    def commit(
        self, state: RightState, holding: Holding, grant: Grant | None = None, entries: Sequence[EntryDraft] = ()
    ) -> RightState:
        """Replace the holding that was read with `state`, and the grant with its entries; return what is stored now.

        The right is due again at `holding.next_look_at`, as `holding.urgency`; None: not until somebody nudges it.
        Raises ConcurrentModification when the holding, the grant or `nudge` changed; StoreUnavailable.
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

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[Grant]:
        """The grants whose attribute has this value, newest first; see RecordStore.list_page."""
        ...

    def list_live(self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Grant]:
        """The grants that are not final, newest first: who has what now."""
        ...

    def list_by_person(self, person: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Grant]:
        """One person's grants, newest first."""
        return self.list_page("grantee", person, limit=limit, cursor=cursor, since=None)

    def list_by_profile(
        self, profile: ProfileName, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Grant]:
        """One profile's grants, newest first."""
        return self.list_page("profile", profile, limit=limit, cursor=cursor, since=None)

    def list_by_status(
        self, status: GrantStatus, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Grant]:
        """The grants with one status, newest first."""
        return self.list_page("status", status, limit=limit, cursor=cursor, since=None)

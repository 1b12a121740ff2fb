"""The store of sessions: which credentials were issued, to which device, under which grant; and the doors of roles.

Invariant: a session is stored only while its grant is exactly the version that was read. So of issuing and of ending a
grant, the second is refused, or sees the first: `list_of_right` reads consistently.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from core.access.grant import Grant, GrantId
from core.access.right import Right
from core.access.role_door import RoleDoor
from core.access.session import Session, SessionId, SessionStatus, grant_of_source_identity
from core.actor import UserId
from core.audit.trail import EntryDraft
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.stores.record_store import DEFAULT_LIMIT, Page, RecordStore

Raw = TypeVar("Raw")
_log = logging.getLogger("countersign.store")


@dataclass(frozen=True, slots=True)
class IssueState:
    """What the broker judges: a grant, its session on this device if there is one, and the notes of the directory."""

    grant: Grant
    session: Session | None
    notes: DirectoryNotes


@dataclass(frozen=True, slots=True)
class FoundSessions:
    """Some sessions, oldest first, and the ids of those that can't be read: the alarm was raised for each."""

    sessions: tuple[Session, ...] = ()
    unreadable: tuple[str, ...] = ()

    @classmethod
    def read(cls, raws: Iterable[tuple[str, Raw]], read: Callable[[Raw], Session]) -> FoundSessions:
        """Read each, by its id. One that can't be read hides no other."""
        readable, unreadable = list[Session](), list[str]()
        for session_id, raw in raws:
            try:
                readable.append(read(raw))
            except MalformedRecord as error:
                _log.warning("a session can't be read: %s", error)
                unreadable.append(session_id)
        in_order = sorted(readable, key=lambda session: (session.created_at, session.id))
        return cls(tuple(in_order), tuple(sorted(unreadable)))


class SessionStore(RecordStore[Session, SessionStatus], Protocol):
    """The sessions, and the doors of roles."""

    def get(self, session_id: SessionId) -> Session:
        """Read one session, consistently. Raises SessionNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_each(self, session_ids: Sequence[str]) -> tuple[Session, ...]:
        """Read these sessions, consistently, in one read, in no order; at most a hundred.

        Leaves out those that don't exist, and, logged, those that can't be read. Raises StoreUnavailable.
        """
        ...

    def get_for_issue(self, session_id: SessionId, grant_id: GrantId) -> IssueState:
        """All that issuing is judged on, consistently, in one read.

        Raises GrantNotFound, MalformedRecord, StoreUnavailable. Notes that can't be read mean that everything changed
        just now.
        """
        ...

    def create(self, session: Session, entry: EntryDraft, *, grant: Grant) -> Session:
        """Store a new session, if its grant is still the version that was read.

        Raises ConcurrentModification when the grant changed, SessionExists, StoreUnavailable.
        """
        ...

    def touch(self, session: Session, entry: EntryDraft, *, grant: Grant) -> Session:
        """Replace the session that was read, if its grant is still the version that was read.

        Raises like `update`, and ConcurrentModification when the grant changed.
        """
        ...

    def update(self, session: Session, entry: EntryDraft) -> Session:
        """Replace the session that was read with `session.updated_at`, and return it. Asks nothing of the grant.

        Raises SessionNotFound, ConcurrentModification, InvalidStateTransition, FixedFactChanged, StoreUnavailable.
        """
        ...

    def list_of_right(self, right: Right) -> FoundSessions:
        """The sessions of a right that still await something, consistently.

        None is missing that was stored before the call: not even one whose grant has ended since. Raises
        StoreUnavailable.
        """
        ...

    def list_of_grant(self, grant_id: GrantId) -> FoundSessions:
        """Every session of a grant, whatever its status, consistently. Raises StoreUnavailable."""
        ...

    def find_by_source_identity(self, text: str) -> tuple[Session, ...]:
        """The sessions with this source identity: those of one grant. Empty for what Countersign didn't write."""
        grant_id = grant_of_source_identity(text)
        found = self.list_of_grant(grant_id) if grant_id is not None else FoundSessions()
        return tuple(each for each in found.sessions if each.source_identity == text)

    def list_by_person(
        self, person: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Session]:
        """One person's sessions, newest first."""
        return self.list_page("user", person, limit=limit, cursor=cursor, since=since)

    def list_awaiting(
        self, what: Literal["expiry", "cleanup"], *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Session]:
        """The sessions on which this is still due, newest first. May lag by a moment; costs its results."""
        return self.list_page("awaits", what, limit=limit, cursor=cursor, since=None)

    def get_door(self, right: Right) -> RoleDoor:
        """The door of a right, read consistently; a shut one if none is stored.

        One that can't be trusted counts as none, with the alarm, and is replaced by the next move: it blocks no access.
        Raises StoreUnavailable.
        """
        ...

    def move_door(self, door: RoleDoor) -> RoleDoor:
        """Replace the door that was read, and return it as it is stored.

        Raises ConcurrentModification when another was quicker, StoreUnavailable.
        """
        ...

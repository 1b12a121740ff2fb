"""Sessions in SQLite, and the doors of roles, which are ledgers.

Invariant: that a session's grant is the one that was read, is judged in the transaction that stores the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from core.access.grant import Grant, GrantId
from core.access.right import Right, right_key
from core.access.role_door import RoleDoor
from core.access.session import Session, SessionId
from core.audit.trail import EntryDraft
from core.errors import BrokenSeal
from core.record import check_record_id
from core.stores.commit import StoreSettings, missing
from core.stores.schema import AWAITS_ATTRIBUTE
from core.stores.seals import SealAlarm, as_damaged, as_written, find_damage, seal_ledger, unsealed_if_unreadable
from core.stores.sessions import FoundSessions, IssueState, SessionStore
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import find_notes
from core.stores.sqlite.grants import SqliteGrants
from core.stores.sqlite.ledgers import find_ledgers, read_ledger, write_ledgers
from core.stores.sqlite.records import SqliteRecords


class SqliteSessions(SqliteRecords[Session], SessionStore):
    """The SessionStore in SQLite."""

    _further_columns = (AWAITS_ATTRIBUTE, "grant_id", "right_key")

    def __init__(self, database: Database, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(database, settings, alarm, "sessions", Session)
        self._grants = SqliteGrants(database, settings, alarm)

    def get(self, session_id: SessionId) -> Session:
        """Read one session."""
        return self._get(session_id)

    def get_each(self, session_ids: Sequence[str]) -> tuple[Session, ...]:
        """Read these sessions, from one moment."""
        return self._get_each(session_ids)

    def get_for_issue(self, session_id: SessionId, grant_id: GrantId) -> IssueState:
        """All that issuing is judged on, from one moment."""
        check_record_id(session_id)
        check_record_id(grant_id)
        with self._database.read() as connection:
            connection.execute("BEGIN")
            try:
                grant, session = self._grants.find(connection, grant_id), self._find(connection, session_id)
                notes = find_notes(connection, self._settings)
            finally:
                connection.execute("COMMIT")
        if grant is None:
            raise missing(Grant, grant_id)
        return IssueState(grant, session, notes)

    def create(self, session: Session, entry: EntryDraft, *, grant: Grant) -> Session:
        """Store a new session, if its grant is still the version that was read."""
        with self._database.write() as connection:
            self._grants.refuse_if_changed(connection, grant)
            return self.insert(connection, session, (entry,))

    def touch(self, session: Session, entry: EntryDraft, *, grant: Grant) -> Session:
        """Replace the session that was read, if its grant is still the version that was read."""
        with self._database.write() as connection:
            self._grants.refuse_if_changed(connection, grant)
            return self.replace(connection, session, (entry,))

    def update(self, session: Session, entry: EntryDraft) -> Session:
        """Replace the session that was read."""
        with self._database.write() as connection:
            return self.replace(connection, session, (entry,))

    def list_of_right(self, right: Right) -> FoundSessions:
        """The sessions of a right that still await something."""
        return self._find_sessions("right_key = ? AND awaits IS NOT NULL", right_key(right))

    def list_of_grant(self, grant_id: GrantId) -> FoundSessions:
        """Every session of a grant."""
        return self._find_sessions("grant_id = ?", grant_id)

    def get_door(self, right: Right) -> RoleDoor:
        """The door of a right."""
        empty = RoleDoor.shut_for(right)
        with self._database.read() as connection:
            found = find_ledgers(connection, empty)
        with suppress(BrokenSeal), self._alarm.watch(), unsealed_if_unreadable():
            return read_ledger(empty, found, self._settings.keyring)
        return as_damaged(empty, {"body": found[empty.owner]})

    def move_door(self, door: RoleDoor) -> RoleDoor:
        """Replace the door that was read."""
        sealed = seal_ledger(door, self._settings.clock.now(), self._settings.keyring)
        with self._database.write() as connection:
            if (damaged := find_damage(door)) is not None:
                # If it is another one by now, the new door finds its place taken.
                connection.execute("DELETE FROM ledgers WHERE owner = ? AND body IS ?", (door.owner, damaged["body"]))
            write_ledgers(connection, (sealed,))
        return as_written(door, sealed)

    def _find_sessions(self, condition: str, value: str) -> FoundSessions:
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, body FROM sessions WHERE {condition}",  # noqa: S608 - a constant of this module
                (value,),
            ).fetchall()
        return FoundSessions.read(((row[0], row) for row in rows), self._read_alarmed)

    def _read_alarmed(self, raw: tuple[str, str]) -> Session:
        with self._alarm.watch(), unsealed_if_unreadable():
            self._read_item(raw)
        return self._read(raw)

    def _further(self, record: Session) -> dict[str, str | None]:
        return {AWAITS_ATTRIBUTE: record.awaits, "grant_id": record.grant, "right_key": right_key(record.right)}

"""Grants in SQLite: made and ended inside the transaction of whatever decides that.

Invariant: a grant is made, ended or deleted in a transaction that makes its right due, and moves its `nudge`, so
that no commit that was judged before can follow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from core.access.grant import Grant
from core.access.holding import Urgency
from core.access.right import right_key
from core.clock import format_time
from core.errors import ConcurrentModification
from core.stores.access import GrantWrite
from core.stores.commit import StoreSettings, as_it_was_read
from core.stores.due import find_stage, urgency_of_new
from core.stores.right_state import check_count, tell_rolled_back
from core.stores.schema import AWAITS_ATTRIBUTE
from core.stores.seals import SealAlarm
from core.stores.sqlite.audit import has_entry
from core.stores.sqlite.database import Database
from core.stores.sqlite.records import SqliteRecords


class SqliteGrants(SqliteRecords[Grant]):
    """The records of grants."""

    _further_columns = (AWAITS_ATTRIBUTE, "right_key", "stage", "ended_at")

    def __init__(self, database: Database, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(database, settings, alarm, "grants", Grant)

    def make(self, connection: sqlite3.Connection, writes: Sequence[GrantWrite]) -> None:
        """Store new grants inside the caller's transaction. Raises GrantExists."""
        check_count(writes)
        for write in writes:
            made = self.insert(connection, write.grant, (write.entry,))
            self._nudge(connection, made, urgency_of_new(made))

    def end_early(self, connection: sqlite3.Connection, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        """Store the early end of grants inside the caller's transaction; see AccessStore.end."""
        check_count(writes)
        ended = []
        for write in writes:
            ended.append(self.replace(connection, write.grant, (write.entry,)))
            self._nudge(connection, ended[-1], Urgency.REVOKE)
        return tuple(ended)

    def find(self, connection: sqlite3.Connection, grant_id: str) -> Grant | None:
        """The grant as it is in the caller's transaction, if it exists."""
        return self._find(connection, grant_id)

    def refuse_if_changed(self, connection: sqlite3.Connection, grant: Grant) -> None:
        """Raises ConcurrentModification unless the grant is stored as it was read, by the caller's transaction.

        Raises BrokenSeal, with the alarm, when it is an older version that was put back.
        """
        stored = self._find_item(connection, grant.id) or {}
        if any(stored.get(name) != value for name, value in as_it_was_read(grant).items()):
            raise ConcurrentModification(grant.chain)
        if has_entry(connection, grant.chain, grant.audit_length + 1):
            raise tell_rolled_back(grant, self._alarm)

    def _nudge(self, connection: sqlite3.Connection, grant: Grant, urgency: Urgency) -> None:
        connection.execute(
            "INSERT INTO holdings (right_key, nudge, due_at, urgency) VALUES (?, 1, ?, ?) ON CONFLICT (right_key)"
            " DO UPDATE SET nudge = nudge + 1, due_at = excluded.due_at, urgency = excluded.urgency, kept_until = NULL",
            (right_key(grant.right), format_time(self._settings.clock.now()), urgency),
        )

    def _further(self, record: Grant) -> dict[str, str | None]:
        stage = find_stage(record)
        return {
            AWAITS_ATTRIBUTE: record.awaits,
            "right_key": right_key(record.right),
            "stage": stage,
            "ended_at": format_time(record.ended_at) if stage is not None else None,
        }

"""Access in SQLite: the grants, the holdings, and what is due.

Invariant: a holding is judged and written in one IMMEDIATE transaction, together with the grant that moves with it; a
right is read in one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from pydantic import JsonValue

from core.access.grant import AWAITS_END, Grant, GrantId
from core.access.holding import Holding, Urgency
from core.access.right import Right, right_key
from core.audit.trail import EntryDraft
from core.clock import format_time, parse_time
from core.errors import BrokenSeal, ConcurrentModification, MalformedRecord
from core.stores.access import AccessStore, DueRight, GrantWrite, RightState
from core.stores.due import DueRow, Stage, read_due
from core.stores.inspection import compare_beside, inspect_holding
from core.stores.listing import read_each, read_or_explain
from core.stores.record_store import DEFAULT_LIMIT
from core.stores.right_state import (
    FoundGrants,
    FoundRight,
    after_commit,
    explain_longer_chain,
    find_kept_until,
    seal_holding,
    tells_of_giving,
    to_state,
)
from core.stores.seals import SealedLedger, as_written, read_sealed_ledger, unsealed_if_unreadable
from core.stores.sqlite.audit import has_entry
from core.stores.sqlite.grants import SqliteGrants
from core.stores.sqlite.ledgers import SEAL_IN_BODY, VERSION_IN_BODY
from core.stores.sqlite.outbox import read_entry
from core.stores.sqlite.reading import iterate_rows, read_body

_BESIDE: Final = "body, due_at, kept_until, updated_at"


class SqliteAccess(SqliteGrants, AccessStore):
    """The AccessStore in SQLite."""

    def get(self, grant_id: GrantId) -> Grant:
        """Read one grant."""
        return self._get(grant_id)

    def get_each(self, grant_ids: Sequence[str]) -> tuple[Grant, ...]:
        """Read these grants, from one moment."""
        return self._get_each(grant_ids)

    def get_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        """Everything about a right, from one moment."""
        with self._database.read() as connection:
            connection.execute("BEGIN")
            try:
                return self._read_right(connection, right, also)
            finally:
                connection.execute("COMMIT")

    def find_rolled_back(self, grants: Sequence[Grant]) -> frozenset[str]:
        """The ids of those of the grants whose chain goes on after what was read."""
        with self._database.read() as connection:
            longer = [each for each in grants if has_entry(connection, each.chain, each.audit_length + 1)]
        for grant in longer:
            stored = next(iter(self._get_each([grant.id])), None)
            explain_longer_chain(grant, stored, self._alarm)
        return frozenset(each.id for each in longer)

    def end(self, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        """Store that somebody ended these grants early."""
        with self._database.write() as connection:
            return self.end_early(connection, writes)

    def delete(self, record: Grant, entry: EntryDraft) -> None:
        """Remove the grant as it was read, and make its right due."""
        with self._database.write() as connection:
            self.remove(connection, record, entry)
            self._nudge(connection, record, Urgency.REVOKE)

    def commit(
        self, state: RightState, holding: Holding, grant: Grant | None = None, entries: Sequence[EntryDraft] = ()
    ) -> RightState:
        """Replace the holding that was read, and the grant with its entries."""
        with self._database.write() as connection:
            self._refuse_if_changed(connection, state)
            written = self.replace(connection, grant, entries) if grant is not None else None
            sealed = seal_holding(state.holding, holding, self._settings)
            changed = after_commit(state, as_written(holding, sealed), written)
            _write_holding(connection, changed, sealed)
        return changed

    def list_due(
        self, urgency: Urgency, now: datetime, *, limit: int = DEFAULT_LIMIT, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        """The rights that are due now, as urgent as this, longest due first."""
        select = (
            "SELECT due_at, right_key FROM holdings WHERE urgency = ? AND due_at <= ? AND (due_at, right_key) > (?, ?)"
            " ORDER BY due_at, right_key LIMIT ?"
        )
        return self._list(select, urgency, now, limit, after)

    def list_overdue(
        self, now: datetime, *, limit: int = DEFAULT_LIMIT, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        """The rights of pending and active grants whose window has passed, longest ago first."""
        select = (
            "SELECT ended_at, right_key, id FROM grants"
            " WHERE stage = ? AND ended_at <= ? AND (ended_at, right_key) > (?, ?) ORDER BY ended_at, right_key LIMIT ?"
        )
        return self._list(select, Stage.WANTED, now, limit, after)

    def find_first_end(self) -> datetime | None:
        """When the first of all live grants ends, or was to end."""
        with self._database.read() as connection:
            found = [
                connection.execute("SELECT min(ended_at) FROM grants WHERE stage = ?", (stage,)).fetchone()[0]
                for stage in Stage
            ]
        return min((parse_time(each) for each in found if each is not None), default=None)

    def count_live(self, most: int) -> int:
        """How many grants are not final: a walk along one index."""
        select = "SELECT count(*) FROM (SELECT 1 FROM grants WHERE awaits = ? LIMIT ?)"
        with self._database.read() as connection:
            (found,) = connection.execute(select, (AWAITS_END, most)).fetchone()
        return int(found)

    def scan_holdings(self) -> Iterator[tuple[str, Holding | MalformedRecord]]:
        """Every stored holding by the key of its right, or what is wrong with it."""
        rows = iterate_rows(
            self._database, "holdings", ("right_key",), _BESIDE, start=("",),
            condition="body IS NOT NULL",
        )  # fmt: skip
        return ((row[0], read_or_explain(row, self._inspect_holding)) for row in rows)

    def _read_right(self, connection: sqlite3.Connection, right: Right, also: Sequence[str]) -> RightState:
        key = right_key(right)
        row = connection.execute("SELECT nudge, body FROM holdings WHERE right_key = ?", (key,)).fetchone()
        nudge, body = row if row is not None else (0, None)
        holding = self._read_holding(right, body) if body is not None else None
        damaged = body if holding is None else None
        wanted = [*also, holding.last_grant if holding is not None else None]
        marks = ", ".join("?" for _ in wanted)
        rows = connection.execute(
            f"SELECT id, body FROM grants WHERE (right_key = ? AND awaits IS NOT NULL) UNION"  # noqa: S608 - marks
            f" SELECT id, body FROM grants WHERE id IN ({marks})",
            (key, *wanted),
        ).fetchall()
        grants = FoundGrants.read(rows, lambda raw: self._read_grant(connection, raw))
        found = FoundRight(right, holding, nudge, damaged, is_known=row is not None)
        return to_state(found, grants, lambda each: self._was_given(connection, each, right))

    def _read_holding(self, right: Right, body: str) -> Holding | None:
        """What is held; None if its seal is broken. Raises MalformedRecord."""
        empty = Holding.empty(right)
        with suppress(BrokenSeal), self._alarm.watch():
            with unsealed_if_unreadable():
                item = read_body(empty.key, body)
            return read_sealed_ledger(empty, item, self._settings.keyring)
        return None

    def _read_grant(self, connection: sqlite3.Connection, raw: tuple[str, str]) -> Grant:
        with self._alarm.watch(), unsealed_if_unreadable():
            item = self._read_item(raw)
        return self._read_item_of(connection, raw[0], item)

    def _was_given(self, connection: sqlite3.Connection, grant_id: str, right: Right) -> bool:
        rows = connection.execute(
            "SELECT chain, seq, body FROM audit WHERE chain = ? ORDER BY seq", (f"{Grant.KIND}#{grant_id}",)
        ).fetchall()
        return tells_of_giving(read_each(rows, lambda row: read_entry(*row)), right, self._settings.keyring)

    def _refuse_if_changed(self, connection: sqlite3.Connection, state: RightState) -> None:
        holding = state.holding
        # What is compared is what the seal covers, not the columns beside it.
        stored = "body, NULL" if state.damaged is not None else f"{VERSION_IN_BODY}, {SEAL_IN_BODY}"
        row = connection.execute(
            f"SELECT nudge, {stored} FROM holdings WHERE right_key = ?",  # noqa: S608 - constants
            (holding.owner,),
        ).fetchone()
        version = format_time(holding.updated_at) if holding.updated_at is not None else None
        as_read = state.damaged or version, holding.as_read.seal
        if (row if row is not None else (0, None, None)) != (state.nudge, *as_read):
            raise ConcurrentModification(holding.key)

    def _list(self, select: str, kind: str, now: datetime, limit: int, after: DueRight | None) -> tuple[DueRight, ...]:
        def find_rows(last: DueRow | None, count: int) -> list[DueRow]:
            with self._database.read() as connection:
                return connection.execute(select, (kind, format_time(now), *(last or ("", "")), count)).fetchall()

        return read_due(find_rows, limit=limit, after=after)

    def _inspect_holding(self, row: tuple[Any, ...]) -> Holding:
        key, body, due_at, kept_until, updated_at = row
        item = read_body(f"{Holding.KIND}#{key}", body)
        holding = inspect_holding(key, item, self._settings.keyring)
        beside = {"updated_at": updated_at, "kept_until": kept_until, "is_due": due_at is not None}
        expected: dict[str, JsonValue] = {"updated_at": item.get("updated_at")}
        if holding.next_look_at is not None:
            # A nudge may have moved both since; what is neither due nor kept would never be looked at again.
            expected |= {"kept_until": None, "is_due": True}
        return compare_beside(holding, beside, expected)


def _write_holding(connection: sqlite3.Connection, changed: RightState, sealed: SealedLedger) -> None:
    holding = changed.holding
    due_at, kept_until = holding.next_look_at, find_kept_until(changed)
    connection.execute(
        "INSERT INTO holdings (right_key, due_at, urgency, kept_until, updated_at, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (right_key) DO UPDATE SET due_at = excluded.due_at, urgency = excluded.urgency,"
        " kept_until = excluded.kept_until, updated_at = excluded.updated_at, body = excluded.body",
        (
            holding.owner,
            format_time(due_at) if due_at is not None else None,
            holding.urgency if due_at is not None else None,
            format_time(kept_until) if kept_until is not None else None,
            sealed.item["updated_at"],
            json.dumps(sealed.item),
        ),
    )

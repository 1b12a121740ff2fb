"""Requests and break-glass events in SQLite.

Invariant: the judgement of a change and its writing stand in one IMMEDIATE transaction, together with the audit
entries and the ledgers that move with it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, TypeVar

from pydantic import JsonValue

from core.actor import ProfileName, UserId
from core.audit import EntryDraft
from core.break_glass import BreakGlassEvent, EventId
from core.clock import format_time
from core.errors import BrokenChain, ConcurrentModification, MalformedRecord
from core.record import Record, check_record_id
from core.request import Request, RequestId
from core.stores.commit import (
    Commit,
    StoreSettings,
    existing,
    explain_refusal,
    is_allowed,
    missing,
    prepare_create,
    prepare_delete,
    prepare_update,
    read_record,
    stamp_ledger,
)
from core.stores.listing import EventLists, RecordLists, RequestLists, Row
from core.stores.paging import Position
from core.stores.sqlite.audit import insert_entry
from core.stores.sqlite.database import Database
from core.usage import UsageLedger

R = TypeVar("R", bound=Record)
_Raw = tuple[str, str]
_log = logging.getLogger("countersign.store")
_PAGE_OF_ITERATION: Final = 500


class _SqliteRecords(RecordLists[R, _Raw]):
    """What both kinds of record have in common. `_table` is a constant of this module, never a caller's text."""

    def __init__(self, database: Database, settings: StoreSettings, table: str, kind: type[R]) -> None:
        self._database = database
        self._settings = settings
        self._table = table
        self._kind = kind

    def iterate(self) -> Iterator[R]:
        """Every record, in the order of the ids; malformed ones are logged and skipped."""
        after = ""
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    f"SELECT id, body FROM {self._table} WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 - a constant
                    (after, _PAGE_OF_ITERATION),
                ).fetchall()
            if not rows:
                return
            for record_id, body in rows:
                after = record_id
                try:
                    yield self._read((record_id, body))
                except MalformedRecord as error:
                    _log.warning("skipped: %s", error)

    def _create(self, record: R, drafts: Sequence[EntryDraft], ledgers: Sequence[UsageLedger] = ()) -> R:
        commit = prepare_create(record, drafts, self._settings)
        with self._database.write() as connection:
            _write_ledgers(connection, commit, ledgers)
            try:
                self._insert(connection, commit)
                _write_entries(connection, commit)
            except sqlite3.IntegrityError as error:
                raise existing(record) from error
        return commit.record

    def _update(self, record: R, draft: EntryDraft, ledgers: Sequence[UsageLedger] = ()) -> R:
        commit = prepare_update(record, (draft,), self._settings)
        with self._database.write() as connection:
            self._refuse_unless_allowed(connection, record, commit)
            connection.execute(
                f"UPDATE {self._table} SET status = ?, updated_at = ?, body = ? WHERE id = ?",  # noqa: S608 - a constant
                (record.state, commit.item["updated_at"], json.dumps(commit.item), record.id),
            )
            try:
                _write_entries(connection, commit)
            except sqlite3.IntegrityError as error:
                raise BrokenChain(record.chain) from error
            _write_ledgers(connection, commit, ledgers)
        return commit.record

    def delete(self, record: R, entry: EntryDraft) -> None:
        """Remove the record as it was read; its audit chain stays and ends with this entry."""
        last = prepare_delete(record, entry, self._settings)
        with self._database.write() as connection:
            stored = self._find(connection, record.id)
            if stored is None:
                raise missing(self._kind, record.id)
            if stored.updated_at != record.updated_at:
                raise ConcurrentModification(record.chain)
            connection.execute(f"DELETE FROM {self._table} WHERE id = ?", (record.id,))  # noqa: S608 - a constant
            try:
                insert_entry(connection, last)
            except sqlite3.IntegrityError as error:
                raise BrokenChain(record.chain) from error

    def _get(self, record_id: str) -> R:
        check_record_id(record_id)
        with self._database.read() as connection:
            found = self._find(connection, record_id)
        if found is None:
            raise missing(self._kind, record_id)
        return found

    def _refuse_unless_allowed(self, connection: sqlite3.Connection, record: R, commit: Commit[R]) -> None:
        item = self._find_item(connection, record.id)
        # The usual case: what a change rests on stands in the stored form, and the record need not be built again.
        if item is not None and is_allowed(item, commit):
            return
        refusal = explain_refusal(None if item is None else read_record(self._kind, record.id, item), record)
        if refusal is not None:
            raise refusal

    def _find(self, connection: sqlite3.Connection, record_id: str) -> R | None:
        item = self._find_item(connection, record_id)
        return None if item is None else read_record(self._kind, record_id, item)

    def _find_item(self, connection: sqlite3.Connection, record_id: str) -> dict[str, JsonValue] | None:
        row = connection.execute(
            f"SELECT body FROM {self._table} WHERE id = ?",  # noqa: S608 - a constant
            (record_id,),
        ).fetchone()
        return None if row is None else self._read_item((record_id, row[0]))

    def _read(self, raw: _Raw) -> R:
        return read_record(self._kind, raw[0], self._read_item(raw))

    def _read_item(self, raw: _Raw) -> dict[str, JsonValue]:
        record_id, body = raw
        try:
            item = json.loads(body)
        except ValueError as error:
            raise MalformedRecord(f"{self._kind.KIND}#{record_id}", "it is not JSON") from error
        if not isinstance(item, dict):
            raise MalformedRecord(f"{self._kind.KIND}#{record_id}", "it is not an object")
        return item

    def _insert(self, connection: sqlite3.Connection, commit: Commit[R]) -> None:
        item = commit.item
        connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (
                item["id"],
                commit.record.person,
                item["profile"],
                item["status"],
                item["created_at"],
                item["updated_at"],
                item["expires_at"],
                json.dumps(item),
            ),
        )

    def _rows(
        self, attribute: str, value: str, after: Position | None, since: datetime | None, count: int
    ) -> list[Row[_Raw]]:
        column = attribute if attribute in {"profile", "status"} else "person"
        before = (after.created_at, after.id) if after is not None else ("~", "")
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, created_at, body FROM {self._table}"  # noqa: S608 - constants
                f" WHERE {column} = ? AND created_at >= ? AND (created_at, id) < (?, ?)"
                " ORDER BY created_at DESC, id DESC LIMIT ?",
                (value, format_time(since) if since is not None else "", *before, count),
            ).fetchall()
        return [Row(Position(created_at, record_id), (record_id, body)) for record_id, created_at, body in rows]


class SqliteRequests(_SqliteRecords[Request], RequestLists[_Raw]):
    """The RequestStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        super().__init__(database, settings, "requests", Request)

    def create(self, request: Request, *entries: EntryDraft) -> Request:
        """Store a new request with its first audit entries."""
        return self._create(request, entries)

    def get(self, request_id: RequestId) -> Request:
        """Read one request."""
        return self._get(request_id)

    def update(self, request: Request, entry: EntryDraft) -> Request:
        """Replace the request that was read with `request.updated_at`."""
        return self._update(request, entry)


class SqliteBreakGlass(_SqliteRecords[BreakGlassEvent], EventLists[_Raw]):
    """The BreakGlassStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        super().__init__(database, settings, "break_glass", BreakGlassEvent)

    def create(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[UsageLedger] = ()) -> BreakGlassEvent:
        """Store a new event with its audit entry and its ledgers."""
        return self._create(event, (entry,), ledgers)

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event."""
        return self._get(event_id)

    def update(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[UsageLedger] = ()) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`."""
        return self._update(event, entry, ledgers)

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, from one moment."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        with self._database.read() as connection:
            found = dict(
                connection.execute(
                    "SELECT owner, body FROM ledgers WHERE owner IN (?, ?)", (by_invoker.owner, by_profile.owner)
                ).fetchall()
            )
        return _read_ledger(by_invoker, found), _read_ledger(by_profile, found)


def _read_ledger(empty: UsageLedger, found: dict[str, str]) -> UsageLedger:
    body = found.get(empty.owner)
    return empty if body is None else UsageLedger.from_item(json.loads(body))


def _write_entries(connection: sqlite3.Connection, commit: Commit[R]) -> None:
    for entry in commit.entries:
        insert_entry(connection, entry)


def _write_ledgers(connection: sqlite3.Connection, commit: Commit[R], ledgers: Sequence[UsageLedger]) -> None:
    for ledger in ledgers:
        item = stamp_ledger(ledger, commit).to_item()
        values = (json.dumps(item), item["updated_at"], ledger.owner)
        if ledger.updated_at is None:
            written = connection.execute(
                "INSERT INTO ledgers (body, updated_at, owner) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values
            )
        else:
            written = connection.execute(
                "UPDATE ledgers SET body = ?, updated_at = ? WHERE owner = ? AND updated_at = ?",
                (*values, format_time(ledger.updated_at)),
            )
        if written.rowcount != 1:
            raise ConcurrentModification(f"LEDGER#{ledger.owner}")

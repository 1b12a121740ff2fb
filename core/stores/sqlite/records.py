"""Records in SQLite: what all kinds share.

Invariant: a change is judged and written in one IMMEDIATE transaction, together with the audit entries and the ledgers
that change with it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar, Final, Generic, TypeVar

from pydantic import JsonValue

from core.audit.trail import EntryDraft
from core.clock import format_time
from core.directory import DirectoryNotes
from core.errors import BrokenChain, ConcurrentModification, MalformedRecord
from core.ledger import Ledger
from core.record import Record, check_record_id
from core.stores.commit import (
    Commit,
    StoreSettings,
    as_it_was_read,
    existing,
    explain_refusal,
    is_allowed,
    missing,
    prepare_create,
    prepare_delete,
    prepare_update,
)
from core.stores.inspection import compare_beside, inspect_record
from core.stores.listing import StoredRow, read_each, read_or_explain, read_page
from core.stores.paging import Position
from core.stores.record_store import Page
from core.stores.schema import AWAITS_ATTRIBUTE
from core.stores.seals import SealAlarm, read_sealed_record
from core.stores.sqlite.audit import find_entry, insert_entry
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import notes_among
from core.stores.sqlite.ledgers import find_ledgers, read_ledger, write_ledgers
from core.stores.sqlite.reading import iterate_rows, read_body

R = TypeVar("R", bound=Record)
L = TypeVar("L", bound=Ledger)
_Raw = tuple[str, str]
COPIED: Final = ("profile", "status", "created_at", "updated_at", "expires_at")
"""The columns that repeat what stands in the body, so that records can be found by it."""


class SqliteRecords(Generic[R]):
    """What all kinds of record have in common. The names of tables and columns are constants, never anybody's input."""

    _copied: ClassVar[tuple[str, ...]] = COPIED
    """Those of the columns that the table of this kind has."""

    _further_columns: ClassVar[tuple[str, ...]] = ()
    """Columns that only this kind has; `_further` gives their values."""

    def __init__(
        self, database: Database, settings: StoreSettings, alarm: SealAlarm, table: str, kind: type[R]
    ) -> None:
        self._database = database
        self._settings = settings
        self._alarm = alarm
        self._table = table
        self._kind = kind
        self._beside = ", ".join(("body", "person", *self._copied, *self._further_columns))

    def iterate(self) -> Iterator[R]:
        """Every record, in the order of the ids; malformed ones are logged and skipped."""
        rows = iterate_rows(self._database, self._table, ("id",), "body", start=("",))
        return read_each(rows, self._read)

    def iterate_ids(self) -> Iterator[str]:
        """The id of every record, in their order."""
        return (row[0] for row in iterate_rows(self._database, self._table, ("id",), "id", start=("",)))

    def find_many(self, record_ids: Sequence[str]) -> Mapping[str, R | MalformedRecord]:
        """The records with these ids that exist, in one read."""
        marks = ", ".join("?" for _ in record_ids)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, {self._beside} FROM {self._table} WHERE id IN ({marks})",  # noqa: S608 - constants
                tuple(record_ids),
            ).fetchall()
        return {row[0]: read_or_explain(row, self._inspect) for row in rows}

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[R]:
        """The records whose attribute has this value, newest first."""

        def find_rows(after: Position | None, count: int) -> list[StoredRow[_Raw]]:
            return self._rows(attribute, value, after, since, count)

        return read_page(find_rows, self._read, limit=limit, cursor=cursor, since=since)

    def insert(
        self,
        connection: sqlite3.Connection,
        record: R,
        drafts: Sequence[EntryDraft],
        ledgers: Sequence[Ledger] = (),
    ) -> R:
        """Create the record inside the caller's transaction; return it as stored. Raises like `create`."""
        commit = prepare_create(record, drafts, self._settings, ledgers)
        write_ledgers(connection, commit.ledgers)
        try:
            self._insert(connection, commit)
            _write_entries(connection, commit)
        except sqlite3.IntegrityError as error:
            raise existing(record) from error
        return commit.record

    def replace(
        self, connection: sqlite3.Connection, record: R, drafts: Sequence[EntryDraft], ledgers: Sequence[Ledger] = ()
    ) -> R:
        """Update the record inside the caller's transaction; return it as stored. Raises like `update`."""
        record = self._prove(connection, record)
        commit = prepare_update(record, drafts, self._settings, ledgers)
        self._refuse_unless_allowed(connection, record, commit)
        further = self._further(commit.record)
        changes = "".join(f", {column} = ?" for column in further)
        connection.execute(
            f"UPDATE {self._table} SET status = ?, updated_at = ?, body = ?{changes} WHERE id = ?",  # noqa: S608 - constants
            (record.state, commit.item["updated_at"], json.dumps(commit.item), *further.values(), record.id),
        )
        try:
            _write_entries(connection, commit)
        except sqlite3.IntegrityError as error:
            raise BrokenChain(record.chain) from error
        write_ledgers(connection, commit.ledgers)
        return commit.record

    def delete(self, record: R, entry: EntryDraft) -> None:
        """Remove the record as it was read; its audit chain stays and ends with this entry."""
        with self._database.write() as connection:
            self.remove(connection, record, entry)

    def remove(self, connection: sqlite3.Connection, record: R, entry: EntryDraft) -> None:
        """Delete the record inside the caller's transaction. Raises like `delete`."""
        record = self._prove(connection, record)
        last = prepare_delete(record, entry, self._settings)
        stored = self._find_item(connection, record.id)
        if stored is None:
            raise missing(self._kind, record.id)
        if any(stored.get(name) != value for name, value in as_it_was_read(record).items()):
            self._read_item_of(connection, record.id, stored)
            raise ConcurrentModification(record.chain)
        connection.execute(f"DELETE FROM {self._table} WHERE id = ?", (record.id,))  # noqa: S608 - a constant
        try:
            insert_entry(connection, last)
        except sqlite3.IntegrityError as error:
            raise BrokenChain(record.chain) from error

    def _get_each(self, record_ids: Sequence[str]) -> tuple[R, ...]:
        """Those of the records that exist and can be read, from one moment."""
        marks = ", ".join("?" for _ in record_ids)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, body FROM {self._table} WHERE id IN ({marks})",  # noqa: S608 - constants
                tuple(record_ids),
            ).fetchall()
        return tuple(read_each(rows, self._read))

    def _get(self, record_id: str) -> R:
        check_record_id(record_id)
        with self._database.read() as connection:
            found = self._find(connection, record_id)
        if found is None:
            raise missing(self._kind, record_id)
        return found

    def _get_with_notes(self, record_id: str) -> tuple[R, DirectoryNotes]:
        record, found = self._get_beside(record_id, DirectoryNotes())
        return record, notes_among(found, self._settings)

    def _get_beside(self, record_id: str, *empty: Ledger) -> tuple[R, dict[str, str]]:
        """A record and the stored bodies of those of the ledgers that exist."""
        check_record_id(record_id)
        with self._database.read() as connection:
            # One transaction: the record and the ledgers are from the same moment.
            connection.execute("BEGIN")
            try:
                record, found = self._find(connection, record_id), find_ledgers(connection, *empty)
            finally:
                connection.execute("COMMIT")
        if record is None:
            raise missing(self._kind, record_id)
        return record, found

    def _refuse_unless_allowed(self, connection: sqlite3.Connection, record: R, commit: Commit[R]) -> None:
        item = self._find_item(connection, record.id)
        # The usual case: the stored form shows all that the change depends on, so the record need not be built again.
        if item is not None and is_allowed(item, commit):
            return
        stored = None if item is None else self._read_item_of(connection, record.id, item)
        raise explain_refusal(stored, record) or ConcurrentModification(record.chain)

    def _find(self, connection: sqlite3.Connection, record_id: str) -> R | None:
        item = self._find_item(connection, record_id)
        return None if item is None else self._read_item_of(connection, record_id, item)

    def _prove(self, connection: sqlite3.Connection, record: R) -> R:
        """The record with the proof of what it replaces. One that a caller built has none: it is read for it."""
        if record.as_read.digest:
            return record
        found = self._find(connection, record.id)
        if found is None:
            raise missing(self._kind, record.id)
        return record.model_copy(update={"as_read": found.as_read})

    def _read_item_of(self, connection: sqlite3.Connection, record_id: str, item: dict[str, JsonValue]) -> R:
        find = partial(find_entry, connection)
        with self._alarm.watch():
            return read_sealed_record(self._kind, record_id, item, self._settings.keyring, find)

    def _find_item(self, connection: sqlite3.Connection, record_id: str) -> dict[str, JsonValue] | None:
        row = connection.execute(
            f"SELECT body FROM {self._table} WHERE id = ?",  # noqa: S608 - a constant
            (record_id,),
        ).fetchone()
        return None if row is None else self._read_item((record_id, row[0]))

    def _inspect(self, row: tuple[str, ...]) -> R:
        record_id, body, *columns = row
        item = self._read_item((record_id, body))
        record = inspect_record(self._kind, record_id, item, self._settings.keyring)
        stored = record.to_item()
        expected = {name: stored[name] for name in self._copied} | {"person": record.person} | self._further(record)
        names = self._beside.split(", ")[1:]
        return compare_beside(record, dict(zip(names, columns, strict=True)), {each: expected[each] for each in names})

    def _read(self, raw: _Raw) -> R:
        with self._database.read() as connection:
            return self._read_item_of(connection, raw[0], self._read_item(raw))

    def _read_item(self, raw: _Raw) -> dict[str, JsonValue]:
        record_id, body = raw
        return read_body(f"{self._kind.KIND}#{record_id}", body)

    def _further(self, record: R) -> dict[str, str | None]:  # noqa: ARG002 - for those that have more columns
        """The values of the columns that only this kind has."""
        return {}

    def _insert(self, connection: sqlite3.Connection, commit: Commit[R]) -> None:
        item, further = commit.item, self._further(commit.record)
        copied = {name: item[name] for name in ("id", *self._copied)}
        values = {**copied, "person": commit.record.person, **further, "body": json.dumps(item)}
        marks = ", ".join("?" for _ in values)
        connection.execute(
            f"INSERT INTO {self._table} ({', '.join(values)}) VALUES ({marks})",  # noqa: S608 - constants
            tuple(values.values()),
        )

    def _rows(
        self, attribute: str, value: str, after: Position | None, since: datetime | None, count: int
    ) -> list[StoredRow[_Raw]]:
        column = attribute if attribute in {"profile", "status", AWAITS_ATTRIBUTE} else "person"
        before = (after.created_at, after.id) if after is not None else ("~", "")
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, created_at, body FROM {self._table}"  # noqa: S608 - constants
                f" WHERE {column} = ? AND created_at >= ? AND (created_at, id) < (?, ?)"
                " ORDER BY created_at DESC, id DESC LIMIT ?",
                (value, format_time(since) if since is not None else "", *before, count),
            ).fetchall()
        return [StoredRow(Position(created_at, record_id), (record_id, body)) for record_id, created_at, body in rows]

    def _read_ledger(self, empty: L, found: dict[str, str]) -> L:
        with self._alarm.watch():
            return read_ledger(empty, found, self._settings.keyring)


def _write_entries(connection: sqlite3.Connection, commit: Commit[R]) -> None:
    for entry in commit.entries:
        insert_entry(connection, entry)

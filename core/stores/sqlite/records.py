"""Requests and break-glass events in SQLite.

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

from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.break_glass import BreakGlassEvent, EventId
from core.clock import format_time
from core.directory import DirectoryNotes
from core.errors import BrokenChain, ConcurrentModification, MalformedRecord
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.record import Record, check_record_id
from core.request import Request, RequestId
from core.stores.base import BreakGlassStore, Page, Replaced, RequestStore
from core.stores.commit import (
    Commit,
    StoreSettings,
    existing,
    explain_refusal,
    is_allowed,
    missing,
    must_be_stored_to_delete,
    prepare_create,
    prepare_delete,
    prepare_update,
)
from core.stores.ledgers import InvokerLedgers
from core.stores.listing import StoredRow, read_each, read_or_explain, read_page
from core.stores.paging import Position
from core.stores.schema import AWAITS_ATTRIBUTE
from core.stores.seals import compare_beside, inspect_record, read_sealed_record, seal_ledger
from core.stores.sqlite.audit import find_entry, insert_entry
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import find_notes, notes_among
from core.stores.sqlite.ledgers import find_ledgers, read_ledger, write_ledgers
from core.stores.sqlite.reading import iterate_rows, read_body
from core.usage import UsageLedger

R = TypeVar("R", bound=Record)
_Raw = tuple[str, str]
_COPIED: Final = ("profile", "status", "created_at", "updated_at", "expires_at")
"""The columns that repeat what stands in the body, so that records can be found by it."""
_COLUMNS: Final = "id, person, profile, status, created_at, updated_at, expires_at, body"


class _SqliteRecords(Generic[R]):
    """What both kinds of record have in common. `_table` is a constant of this module, never a caller's input."""

    _further_columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, database: Database, settings: StoreSettings, table: str, kind: type[R]) -> None:
        self._database = database
        self._settings = settings
        self._table = table
        self._kind = kind
        self._beside = ", ".join(("body", "person", *_COPIED, *self._further_columns))

    def iterate(self) -> Iterator[R]:
        """Every record, in the order of the ids; malformed ones are logged and skipped."""
        rows = iterate_rows(self._database, self._table, ("id",), "body", start=("",))
        return read_each(rows, self._read)

    def scan(self) -> Iterator[tuple[str, R | MalformedRecord]]:
        """Every record with the name of its chain, or with what is wrong."""
        rows = iterate_rows(self._database, self._table, ("id",), self._beside, start=("",))
        return ((f"{self._kind.KIND}#{row[0]}", read_or_explain(row, self._inspect)) for row in rows)

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
        self, connection: sqlite3.Connection, record: R, draft: EntryDraft, ledgers: Sequence[Ledger] = ()
    ) -> R:
        """Update the record inside the caller's transaction; return it as stored. Raises like `update`."""
        record = self._prove(connection, record)
        commit = prepare_update(record, (draft,), self._settings, ledgers)
        self._refuse_unless_allowed(connection, record, commit)
        connection.execute(
            f"UPDATE {self._table} SET status = ?, updated_at = ?, body = ? WHERE id = ?",  # noqa: S608 - a constant
            (record.state, commit.item["updated_at"], json.dumps(commit.item), record.id),
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
            record = self._prove(connection, record)
            last = prepare_delete(record, entry, self._settings)
            stored = self._find_item(connection, record.id)
            if stored is None:
                raise missing(self._kind, record.id)
            if any(stored.get(name) != value for name, value in must_be_stored_to_delete(record).items()):
                self._read_item_of(connection, record.id, stored)
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

    def _get_with_notes(self, record_id: str) -> tuple[R, DirectoryNotes]:
        check_record_id(record_id)
        with self._database.read() as connection:
            # One transaction: the record and the notes are from the same moment.
            connection.execute("BEGIN")
            try:
                found, notes = self._find(connection, record_id), find_notes(connection, self._settings)
            finally:
                connection.execute("COMMIT")
        if found is None:
            raise missing(self._kind, record_id)
        return found, notes

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
        expected = {name: stored[name] for name in _COPIED} | {"person": record.person, AWAITS_ATTRIBUTE: record.awaits}
        names = self._beside.split(", ")[1:]
        return compare_beside(record, dict(zip(names, columns, strict=True)), {each: expected[each] for each in names})

    def _read(self, raw: _Raw) -> R:
        with self._database.read() as connection:
            return self._read_item_of(connection, raw[0], self._read_item(raw))

    def _read_item(self, raw: _Raw) -> dict[str, JsonValue]:
        record_id, body = raw
        return read_body(f"{self._kind.KIND}#{record_id}", body)

    def _insert(self, connection: sqlite3.Connection, commit: Commit[R]) -> None:
        item = commit.item
        connection.execute(
            f"INSERT INTO {self._table} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
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


class SqliteRequests(_SqliteRecords[Request], RequestStore):
    """The RequestStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        super().__init__(database, settings, "requests", Request)

    def create(self, request: Request, *entries: EntryDraft) -> Request:
        """Store a new request with its first audit entries."""
        with self._database.write() as connection:
            return self.insert(connection, request, entries)

    def get(self, request_id: RequestId) -> Request:
        """Read one request."""
        return self._get(request_id)

    def get_with_notes(self, request_id: RequestId) -> tuple[Request, DirectoryNotes]:
        """Read one request and the notes of changes in the directory, from the same moment."""
        return self._get_with_notes(request_id)

    def update(self, request: Request, entry: EntryDraft) -> Request:
        """Replace the request that was read with `request.updated_at`."""
        with self._database.write() as connection:
            return self.replace(connection, request, entry)


class SqliteBreakGlass(_SqliteRecords[BreakGlassEvent], BreakGlassStore):
    """The BreakGlassStore in SQLite."""

    _further_columns = (AWAITS_ATTRIBUTE,)

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        super().__init__(database, settings, "break_glass", BreakGlassEvent)
        self._requests = SqliteRequests(database, settings)

    def create(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        replacing: Replaced | None = None,
    ) -> BreakGlassEvent:
        """Store a new event with its audit entry and its ledgers, and with the request that it replaces."""
        with self._database.write() as connection:
            created = self.insert(connection, event, (entry,), ledgers)
            if replacing is not None:
                self._requests.replace(connection, replacing.request, replacing.entry)
            return created

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event."""
        return self._get(event_id)

    def get_with_notes(self, event_id: EventId) -> tuple[BreakGlassEvent, DirectoryNotes]:
        """Read one event and the notes of changes in the directory, from the same moment."""
        return self._get_with_notes(event_id)

    def get_each(self, event_ids: Sequence[str]) -> tuple[BreakGlassEvent, ...]:
        """Read these events, from one moment."""
        places = ", ".join("?" for _ in event_ids)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, body FROM break_glass WHERE id IN ({places})",  # noqa: S608 - question marks
                tuple(event_ids),
            ).fetchall()
        return tuple(read_each(rows, self._read))

    def update(self, event: BreakGlassEvent, entry: EntryDraft, ledgers: Sequence[Ledger] = ()) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`."""
        with self._database.write() as connection:
            updated = self.replace(connection, event, entry, ledgers)
            connection.execute("UPDATE break_glass SET awaits = ? WHERE id = ?", (updated.awaits, updated.id))
            return updated

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, from the same moment."""
        by_invoker, by_profile, _ = self.get_ledgers_and_codes(invoker, profile)
        return by_invoker, by_profile

    def get_ledgers_and_codes(
        self, invoker: UserId, profile: ProfileName
    ) -> tuple[UsageLedger, UsageLedger, CodeLedger]:
        """The same, with the ledger of the invoker's codes."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        codes = CodeLedger.of(invoker)
        with self._database.read() as connection:
            found = find_ledgers(connection, by_invoker, by_profile, codes)
        keyring = self._settings.keyring
        usages = (read_ledger(by_invoker, found, keyring), read_ledger(by_profile, found, keyring))
        return *usages, read_ledger(codes, found, keyring)

    def get_codes(self, person: UserId) -> CodeLedger:
        """The ledger of one person's codes."""
        codes = CodeLedger.of(person)
        with self._database.read() as connection:
            return read_ledger(codes, find_ledgers(connection, codes), self._settings.keyring)

    def read_ledgers(self, invoker: UserId, profile: ProfileName, *, with_codes: bool) -> InvokerLedgers:
        """All that a declaration is judged on, from the same moment."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        codes = CodeLedger.of(invoker)
        wanted: list[Ledger] = [by_invoker, by_profile, DirectoryNotes(), *([codes] if with_codes else [])]
        with self._database.read() as connection:
            found = find_ledgers(connection, *wanted)
        keyring = self._settings.keyring
        return InvokerLedgers(
            read_ledger(by_invoker, found, keyring),
            read_ledger(by_profile, found, keyring),
            read_ledger(codes, found, keyring) if with_codes else None,
            notes_among(found, self._settings),
        )

    def put_codes(self, codes: CodeLedger) -> None:
        """Replace the ledger of codes, if it still has the version `codes.updated_at`."""
        with self._database.write() as connection:
            write_ledgers(connection, (seal_ledger(codes, self._settings.clock.now(), self._settings.keyring),))


def _write_entries(connection: sqlite3.Connection, commit: Commit[R]) -> None:
    for entry in commit.entries:
        insert_entry(connection, entry)

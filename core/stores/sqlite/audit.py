"""The audit trail in SQLite.

Invariant: an entry is only ever inserted. Where it still has to be delivered is in a table of its own; see `outbox`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry, EntryDraft
from core.clock import format_time
from core.errors import ConcurrentModification, MalformedRecord
from core.stores.audit import Place, PlacedDigest
from core.stores.commit import StoreSettings
from core.stores.inspection import check_filed
from core.stores.listing import OnMalformed, log_malformed, read_each, read_or_explain
from core.stores.sqlite.database import Database
from core.stores.sqlite.outbox import read_entry
from core.stores.sqlite.reading import iterate_rows, read_body
from core.stores.system_chains import ENTRIES_LOOKED_AT, ChainEnd, check_system_chain, seal_next
from core.trace import current_trace


def insert_entry(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    """Add a sealed entry, and queue its delivery, inside the caller's transaction.

    Raises sqlite3.IntegrityError when its place is taken.
    """
    at = format_time(entry.at)
    connection.execute(
        "INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)",
        (entry.chain, entry.seq, entry.id, at, json.dumps(entry.to_item())),
    )
    if entry.must_be_delivered:
        # A row that somebody left behind when they removed an entry must not keep later ones out of its place.
        connection.execute(
            "INSERT OR REPLACE INTO outbox (chain, seq, at, due_at) VALUES (?, ?, ?, ?)",
            (entry.chain, entry.seq, at, at),
        )
        if (trace := current_trace()) is not None:
            connection.execute("INSERT OR REPLACE INTO traces VALUES (?, ?, ?)", (entry.chain, entry.seq, trace))


def find_entry(connection: sqlite3.Connection, chain: str, seq: int) -> AuditEntry | None:
    """The entry at a place of a chain; None if there is none. Raises MalformedRecord."""
    row = connection.execute("SELECT body FROM audit WHERE chain = ? AND seq = ?", (chain, seq)).fetchone()
    return None if row is None else read_entry(chain, seq, row[0])


def has_entry(connection: sqlite3.Connection, chain: str, seq: int) -> bool:
    """True when the place is taken, by whatever it may be."""
    return connection.execute("SELECT 1 FROM audit WHERE chain = ? AND seq = ?", (chain, seq)).fetchone() is not None


class SqliteAudit:
    """The AuditStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        self._database = database
        self._settings = settings

    @property
    def keyring(self) -> AuditKeyring:
        """The keys that seal what is appended here."""
        return self._settings.keyring

    def append(self, chain: str, draft: EntryDraft) -> AuditEntry:
        """Seal the draft as the next entry of a chain, in one transaction that reads and writes."""
        check_system_chain(chain)
        with self._database.write() as connection:
            rows: list[tuple[str, int, str]] = connection.execute(
                "SELECT chain, seq, body FROM audit WHERE chain = ? ORDER BY seq DESC LIMIT ?",
                (chain, ENTRIES_LOOKED_AT),
            ).fetchall()
            ends = [(row, _read_loosely(row[2])) for row in rows]
            for row, item in ends:
                if item.get("id") == draft.id:
                    return read_entry(*row)
            end = ChainEnd.of(ends[0][0][1], ends[0][1]) if ends else ChainEnd()
            entry = seal_next(chain, draft, end, self._settings)
            insert_entry(connection, entry)
            return entry

    def get_last(self, chain: str) -> AuditEntry | None:
        """The last entry of a chain."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT chain, seq, body FROM audit WHERE chain = ? ORDER BY seq DESC LIMIT 1", (chain,)
            ).fetchone()
        return None if row is None else read_entry(*row)

    def count(self) -> int:
        """How many entries there are."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])

    def find_newest_place(self) -> Place | None:
        """Where the newest entry is; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute("SELECT chain, seq FROM audit ORDER BY at DESC LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1])

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT chain, seq, at, body FROM audit WHERE chain = ? ORDER BY seq", (chain,)
            ).fetchall()
        return tuple(self._read_filed(*row) for row in rows)

    def get_refusals_head(self, chain: str) -> tuple[int, str]:
        """The length and the last digest of a chain of refused attempts."""
        with self._database.read() as connection:
            return self._head(connection, chain)

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Add sealed entries to a chain of refused attempts, and move its head, in one transaction."""
        first, last = entries[0], entries[-1]
        with self._database.write() as connection:
            head = self._head(connection, first.chain)
            if head == (last.seq, last.digest):
                return
            if head != (first.seq - 1, first.previous):
                raise ConcurrentModification(first.chain)
            try:
                for entry in entries:
                    insert_entry(connection, entry)
            except sqlite3.IntegrityError as error:
                raise ConcurrentModification(first.chain) from error
            connection.execute(
                "INSERT INTO refusal_heads VALUES (?, ?, ?)"
                " ON CONFLICT (chain) DO UPDATE SET length = excluded.length, digest = excluded.digest",
                (last.chain, last.seq, last.digest),
            )

    def iterate_chains(self) -> Iterator[tuple[str, tuple[AuditEntry, ...] | MalformedRecord]]:
        """Every chain with its entries, oldest entry first, or with what is wrong."""
        rows = iterate_rows(self._database, "audit", ("chain", "seq"), "at, body", start=("", 0))
        for chain, of_chain in groupby(rows, key=itemgetter(0)):
            try:
                yield chain, tuple([self._read_filed(*row) for row in of_chain])
            except MalformedRecord as error:
                yield chain, error
        with self._database.read() as connection:
            emptied = connection.execute(
                "SELECT chain FROM refusal_heads WHERE chain NOT IN (SELECT chain FROM audit)"
            ).fetchall()
        # A head without entries is a chain too: somebody removed them all.
        yield from ((chain, ()) for (chain,) in emptied)

    def get_entries(self, places: Sequence[Place]) -> Mapping[Place, AuditEntry | MalformedRecord]:
        """The entries at these places that exist, in one read."""
        if not places:
            return {}
        marks = ", ".join("(?, ?)" for _ in places)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT chain, seq, at, body FROM audit WHERE (chain, seq) IN (VALUES {marks})",  # noqa: S608 - constants
                [each for place in places for each in place],
            ).fetchall()
        return {(row[0], row[1]): read_or_explain(row, lambda row: self._read_filed(*row)) for row in rows}

    def list_digests(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[PlacedDigest]:
        """The entries with `since <= at < until` by their digests, oldest first, streamed."""
        digest = "CASE WHEN json_valid(body) THEN json_extract(body, '$.digest') END"
        for at, chain, seq, found in self._by_time(digest, since, until):
            yield PlacedDigest(at, chain, seq, str(found or ""))

    def export(
        self, *, since: datetime | None = None, until: datetime | None = None, on_malformed: OnMalformed = log_malformed
    ) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed."""
        return read_each(self._by_time("body", since, until), lambda row: read_entry(*row[1:]), on_malformed)

    def _read_filed(self, chain: str, seq: int, at: str, body: str) -> AuditEntry:
        return check_filed(read_entry(chain, seq, body), at, self.keyring)

    def _by_time(self, columns: str, since: datetime | None, until: datetime | None) -> Iterator[Any]:
        return iterate_rows(
            self._database,
            "audit",
            ("at", "chain", "seq"),
            columns,
            start=(format_time(since) if since is not None else "", "", 0),
            condition="at < ?",
            values=(format_time(until) if until is not None else "~",),
        )

    @staticmethod
    def _head(connection: sqlite3.Connection, chain: str) -> tuple[int, str]:
        row = connection.execute("SELECT length, digest FROM refusal_heads WHERE chain = ?", (chain,)).fetchone()
        return (row[0], row[1]) if row is not None else (0, "")


def _read_loosely(body: str) -> Mapping[str, object]:
    """What a row holds; nothing if it can't be read."""
    try:
        return read_body("the last entry", body)
    except MalformedRecord:
        return {}

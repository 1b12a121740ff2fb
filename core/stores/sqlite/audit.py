"""The audit trail and the outbox in SQLite.

Invariant: an entry is only ever inserted. What changes beside it are the columns that say who still has to be told.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final

from core.audit import AuditEntry
from core.clock import format_time
from core.errors import ConcurrentModification, MalformedRecord
from core.stores.base import Delivery
from core.stores.sqlite.places import SqlitePlaces

_log = logging.getLogger("countersign.store")
_ROWS_PER_READ: Final = 500
_DELIVERY_COLUMNS: Final = "chain, seq, body, due_at, attempts, delivered_to, problem, lease, leased_until"
_Row = tuple[str, int, str, str, int, str, str | None, str | None, str | None]


def insert_entry(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    """Add a sealed entry inside the caller's transaction. Raises sqlite3.IntegrityError when its place is taken."""
    connection.execute(
        "INSERT INTO audit (chain, seq, id, at, body, due_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            entry.chain,
            entry.seq,
            entry.id,
            format_time(entry.at),
            json.dumps(entry.to_item()),
            format_time(entry.at) if entry.must_be_told else None,
        ),
    )


class SqliteAudit(SqlitePlaces):
    """The AuditStore in SQLite."""

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT chain, seq, body FROM audit WHERE chain = ? ORDER BY seq", (chain,)
            ).fetchall()
        return tuple(_read_entry(*row) for row in rows)

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
        rows = self._in_key_order("chain, seq", ("", 0), "SELECT chain, seq, body FROM audit")
        for chain, of_chain in groupby(rows, key=itemgetter(0)):
            try:
                yield chain, tuple([_read_entry(*row) for row in of_chain])
            except MalformedRecord as error:
                yield chain, error
        with self._database.read() as connection:
            emptied = connection.execute(
                "SELECT chain FROM refusal_heads WHERE chain NOT IN (SELECT chain FROM audit)"
            ).fetchall()
        # A head without entries is a chain, too: somebody removed them all.
        yield from ((chain, ()) for (chain,) in emptied)

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed."""
        last = format_time(until) if until is not None else "~"
        position = (format_time(since) if since is not None else "", "", 0)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    "SELECT at, chain, seq, body FROM audit WHERE (at, chain, seq) > (?, ?, ?) AND at < ?"
                    " ORDER BY at, chain, seq LIMIT ?",
                    (*position, last, _ROWS_PER_READ),
                ).fetchall()
            for at, chain, seq, body in rows:
                position = (at, chain, seq)
                try:
                    yield _read_entry(chain, seq, body)
                except MalformedRecord as error:
                    _log.warning("skipped: %s", error)
            if len(rows) < _ROWS_PER_READ:
                return

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """What is due to be told now and not leased, oldest first."""
        moment = format_time(now)
        return self._deliveries(
            "is_parked = 0 AND due_at <= ? AND (leased_until IS NULL OR leased_until <= ?)", (moment, moment)
        )

    def iterate_parked(self) -> Iterator[Delivery]:
        """What could not be told, oldest first."""
        return self._deliveries("is_parked = 1 AND due_at IS NOT NULL", ())

    def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
        """Take a delivery for a while; None when somebody else has it, or an earlier entry is still to be told."""
        entry = delivery.entry
        with self._database.write() as connection:
            taken = connection.execute(
                "UPDATE audit SET lease = ?, leased_until = ? WHERE chain = ? AND seq = ?"
                " AND due_at = ? AND is_parked = 0 AND (leased_until IS NULL OR leased_until <= ? OR lease = ?)"
                " AND NOT EXISTS (SELECT 1 FROM audit AS earlier WHERE earlier.chain = audit.chain"
                " AND earlier.seq = audit.seq - 1 AND earlier.due_at IS NOT NULL AND earlier.is_parked = 0)",
                # Its due_at changed if somebody tried in the meantime: then what was read of the progress is old.
                (
                    holder,
                    format_time(until),
                    entry.chain,
                    entry.seq,
                    format_time(delivery.due_at),
                    format_time(now),
                    holder,
                ),
            )
            if taken.rowcount != 1:
                return None
        return delivery.model_copy(update={"lease": holder, "leased_until": until})

    def finish(self, delivery: Delivery) -> None:
        """Everybody was told."""
        self._change(delivery, "due_at = NULL", ())

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        self._change(delivery, "due_at = ?", (format_time(delivery.due_at),))

    def park(self, delivery: Delivery) -> None:
        """Stop trying; keep it with its problem."""
        self._change(delivery, "is_parked = 1", ())

    def _change(self, delivery: Delivery, assignment: str, values: tuple[str, ...]) -> None:
        entry = delivery.entry
        progress = (delivery.attempts, json.dumps(delivery.delivered_to), delivery.problem)
        with self._database.write() as connection:
            # Only the holder may say how it went: another instance may have taken over when a lease ran out.
            connection.execute(
                f"UPDATE audit SET {assignment}, attempts = ?, delivered_to = ?, problem = ?,"  # noqa: S608 - a constant
                " lease = NULL, leased_until = NULL WHERE chain = ? AND seq = ? AND lease = ?",
                (*values, *progress, entry.chain, entry.seq, delivery.lease),
            )

    def _deliveries(self, condition: str, values: tuple[str, ...]) -> Iterator[Delivery]:
        position: tuple[str, str, int] = ("", "", 0)
        while True:
            with self._database.read() as connection:
                rows: list[_Row] = connection.execute(
                    f"SELECT {_DELIVERY_COLUMNS} FROM audit WHERE {condition}"  # noqa: S608 - constants of this module
                    " AND (due_at, chain, seq) > (?, ?, ?) ORDER BY due_at, chain, seq LIMIT ?",
                    (*values, *position, _ROWS_PER_READ),
                ).fetchall()
            for row in rows:
                position = (row[3], row[0], row[1])
                try:
                    yield _read_delivery(row)
                except MalformedRecord as error:
                    _log.error("nobody can be told of it: %s", error)
            if len(rows) < _ROWS_PER_READ:
                return

    @staticmethod
    def _head(connection: sqlite3.Connection, chain: str) -> tuple[int, str]:
        row = connection.execute("SELECT length, digest FROM refusal_heads WHERE chain = ?", (chain,)).fetchone()
        return (row[0], row[1]) if row is not None else (0, "")

    def _in_key_order(self, key: str, position: tuple[str, int], select: str) -> Iterator[tuple[str, int, str]]:
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    f"{select} WHERE ({key}) > (?, ?) ORDER BY {key} LIMIT ?", (*position, _ROWS_PER_READ)
                ).fetchall()
            yield from rows
            if len(rows) < _ROWS_PER_READ:
                return
            position = (rows[-1][0], rows[-1][1])


def _read_entry(chain: str, seq: int, body: str) -> AuditEntry:
    try:
        item = json.loads(body)
    except ValueError as error:
        raise MalformedRecord(f"audit entry {chain}/{seq}", "it is not JSON") from error
    if not isinstance(item, dict):
        raise MalformedRecord(f"audit entry {chain}/{seq}", "it is not an object")
    return AuditEntry.from_item(item)


def _read_delivery(row: _Row) -> Delivery:
    chain, seq, body, due_at, attempts, delivered_to, problem, lease, leased_until = row
    try:
        return Delivery.model_validate(
            {
                "entry": _read_entry(chain, seq, body),
                "due_at": due_at,
                "attempts": attempts,
                "delivered_to": json.loads(delivered_to),
                "problem": problem,
                "lease": lease,
                "leased_until": leased_until,
            }
        )
    except ValueError as error:
        raise MalformedRecord(f"audit entry {chain}/{seq}", str(error)) from error

"""The outbox in SQLite: one row for each entry that still has to be delivered.

Invariant: a row holds no copy of its entry, and only an entry that is still sealed becomes a delivery. Every change to
a row is one transaction that checks the lease first.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from core.audit.trail import AuditEntry
from core.clock import format_time, parse_time
from core.errors import MalformedRecord
from core.stores.commit import StoreSettings
from core.stores.outbox import ADOPT_AFTER, Backlog, Delivery, Earlier, check_copy
from core.stores.sqlite.database import Database
from core.stores.sqlite.reading import iterate_rows, read_body
from core.trace import read_trace

_log = logging.getLogger("countersign.store")
_PROGRESS: Final = ("attempts", "delivered_to", "problem", "lease", "leased_until")
_LEFT: Final = (
    "WHERE due_at IS NOT NULL AND (is_parked = 1 OR due_at <= ?) AND (leased_until IS NULL OR leased_until <= ?)"
)
"""What an older version has on its list, and doesn't deliver just now."""
_Row = tuple[str, str, int, str, int, str, str | None, str | None, str | None, object]


class SqliteDeliveries:
    """The DeliveryStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        self._database = database
        self._settings = settings

    def adopt(self, now: datetime) -> int:
        """Move what an older version left undelivered, in columns beside its entries."""
        moment, old = format_time(now), format_time(now - ADOPT_AFTER)
        with self._database.read() as connection:
            # Usually there is none, and reading needs no lock of the file.
            if connection.execute(f"SELECT 1 FROM audit {_LEFT} LIMIT 1", (old, moment)).fetchone() is None:  # noqa: S608
                return 0
        with self._database.write() as connection:
            columns = "chain, seq, at, due_at, is_parked, attempts, delivered_to, problem"
            connection.execute(
                f"INSERT INTO outbox ({columns}) SELECT {columns} FROM audit {_LEFT} ON CONFLICT DO NOTHING",  # noqa: S608 - constants
                (old, moment),
            )
            moved = connection.execute(
                f"UPDATE audit SET due_at = NULL, lease = NULL, leased_until = NULL {_LEFT}",  # noqa: S608 - constants
                (old, moment),
            )
            return moved.rowcount

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """The deliveries that are due now and not leased, oldest first."""
        moment = format_time(now)
        return self._deliveries(
            "outbox.is_parked = 0 AND outbox.due_at <= ? AND (outbox.leased_until IS NULL OR outbox.leased_until <= ?)",
            (moment, moment),
        )

    def iterate_parked(self) -> Iterator[Delivery]:
        """The parked deliveries, oldest first."""
        return self._deliveries("outbox.is_parked = 1", ())

    def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
        """Lease a delivery, with the current state of the entry before it; None when it cannot be leased."""
        entry = delivery.entry
        with self._database.write() as connection:
            earlier, is_being_delivered = _find_earlier(connection, entry, now)
            if is_being_delivered:
                return None
            taken = connection.execute(
                "UPDATE outbox SET lease = ?, leased_until = ? WHERE chain = ? AND seq = ?"
                " AND due_at = ? AND is_parked = 0 AND (leased_until IS NULL OR leased_until <= ? OR lease = ?)",
                # Its due_at changed if another instance tried in the meantime: then the progress that was read is out
                # of date.
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
        return delivery.model_copy(update={"lease": holder, "leased_until": until, "earlier": earlier})

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery: every sink has the entry."""
        entry = delivery.entry
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM outbox WHERE chain = ? AND seq = ? AND lease = ?", (entry.chain, entry.seq, delivery.lease)
            )
            if delivery.traceparent is not None:
                connection.execute("DELETE FROM traces WHERE chain = ? AND seq = ?", (entry.chain, entry.seq))

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        self._change(delivery, "due_at = ?", (format_time(delivery.due_at),))

    def park(self, delivery: Delivery) -> None:
        """Stop trying; keep it with its problem."""
        self._change(delivery, "is_parked = 1", ())

    def unpark(self, delivery: Delivery, now: datetime) -> bool:
        """Make a parked delivery due now, with all its attempts available again."""
        entry = delivery.entry
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE outbox SET is_parked = 0, due_at = ?, attempts = 0"
                " WHERE chain = ? AND seq = ? AND is_parked = 1",
                (format_time(now), entry.chain, entry.seq),
            )
            return changed.rowcount == 1

    def measure_backlog(self, most: int) -> Backlog:
        """The numbers of waiting and parked deliveries, each counted up to `most`: two short walks along one index."""
        with self._database.read() as connection:
            waiting, oldest_at = connection.execute(
                "SELECT count(*), min(at) FROM (SELECT at FROM outbox INDEXED BY outbox_due"
                " WHERE is_parked = 0 ORDER BY due_at LIMIT ?)",
                (most,),
            ).fetchone()
            (parked,) = connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM outbox INDEXED BY outbox_due WHERE is_parked = 1 LIMIT ?)",
                (most,),
            ).fetchone()
        return Backlog(waiting, parse_time(oldest_at) if oldest_at is not None else None, parked)

    def _change(self, delivery: Delivery, assignment: str, values: tuple[str, ...]) -> None:
        entry = delivery.entry
        progress = (delivery.attempts, json.dumps(delivery.delivered_to), delivery.problem)
        with self._database.write() as connection:
            # Only the holder may record the result: another instance may have taken over when a lease ran out.
            connection.execute(
                f"UPDATE outbox SET {assignment}, attempts = ?, delivered_to = ?, problem = ?,"  # noqa: S608 - a constant
                " lease = NULL, leased_until = NULL WHERE chain = ? AND seq = ? AND lease = ?",
                (*values, *progress, entry.chain, entry.seq, delivery.lease),
            )

    def _deliveries(self, condition: str, values: tuple[str, ...]) -> Iterator[Delivery]:
        rows: Iterator[_Row] = iterate_rows(
            self._database,
            # The join is written in the order in which it has to be walked.
            "outbox CROSS JOIN audit USING (chain, seq) LEFT JOIN traces USING (chain, seq)",
            ("outbox.due_at", "outbox.chain", "outbox.seq"),
            ", ".join(("body", *(f"outbox.{column}" for column in _PROGRESS), "traceparent")),
            start=("", "", 0),
            condition=condition,
            values=values,
        )
        for row in rows:
            try:
                delivery = _read_delivery(row)
                check_copy(delivery.entry, row[1], row[2], self._settings.keyring)
            except MalformedRecord as error:
                _log.error("cannot be delivered: %s", error)
            else:
                yield delivery


def read_entry(chain: str, seq: int, body: str) -> AuditEntry:
    """The entry that a row holds. Raises MalformedRecord."""
    return AuditEntry.from_item(read_body(f"audit entry {chain}/{seq}", body))


def _find_earlier(connection: sqlite3.Connection, entry: AuditEntry, now: datetime) -> tuple[Earlier | None, bool]:
    """The entry before this one, while it still has to be delivered, and whether it is being delivered."""
    moment, place = format_time(now), (entry.chain, entry.seq - 1)
    row = connection.execute(
        "SELECT due_at, delivered_to, leased_until > ? FROM outbox WHERE chain = ? AND seq = ? AND is_parked = 0",
        (moment, *place),
    ).fetchone()
    if row is not None:
        due_at, delivered_to, is_being_delivered = row
        return Earlier(due_at=due_at, delivered_to=tuple(json.loads(delivered_to))), bool(is_being_delivered)
    row = connection.execute(
        "SELECT due_at, delivered_to, leased_until > ? FROM audit"
        " WHERE chain = ? AND seq = ? AND due_at IS NOT NULL AND is_parked = 0",
        (moment, *place),
    ).fetchone()
    if row is None:
        return None, False
    # An older version has it still, until it is adopted.
    due_at, delivered_to, is_being_delivered = row
    adopted_at = parse_time(due_at) + ADOPT_AFTER
    return Earlier(due_at=adopted_at, delivered_to=tuple(json.loads(delivered_to))), bool(is_being_delivered)


def _read_delivery(row: _Row) -> Delivery:
    due_at, chain, seq, body, attempts, delivered_to, problem, lease, leased_until, trace = row
    try:
        return Delivery.model_validate(
            {
                "entry": read_entry(chain, seq, body),
                "due_at": due_at,
                "attempts": attempts,
                "delivered_to": json.loads(delivered_to),
                "problem": problem,
                "lease": lease,
                "leased_until": leased_until,
                "traceparent": read_trace(trace),
            }
        )
    except ValueError as error:
        raise MalformedRecord(f"audit entry {chain}/{seq}", str(error)) from error

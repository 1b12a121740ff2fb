"""Deletes the records whose retention has ended: what DynamoDB's TTL does there.

Invariant: only records are deleted, where their messages are, what was last known of rights that nobody has, pairings
of yesterday and pages that no card shows any more; never an audit entry or another ledger. What still awaits a
decision, its end or a review has no end, and is kept. The sealed trail says until when a record is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.access.pairing import KEPT_FOR, PAIRING_PREFIX
from core.clock import format_time
from core.pagers import page_ledger
from core.stores.sqlite.database import Database

_CHAINS: Final = {
    "requests": "REQUEST#",
    "break_glass": "BREAKGLASS#",
    "grants": "GRANT#",
    "sessions": "SESSION#",
    "devices": "DEVICE#",
}
_LEDGERS: Final = {PAIRING_PREFIX: KEPT_FOR, f"{page_ledger.PAGES_LEDGER}#": page_ledger.KEPT_FOR}
"""The ledgers of which there are ever more, and how long after its last change each is kept."""
_PER_TRANSACTION: Final = 200
"""Few enough for a click to wait for."""


def purge(database: Database, now: datetime, retention: timedelta) -> int:
    """Delete the records that are kept no longer. Returns how many. Raises StoreUnavailable."""
    with database.write() as connection:
        # Nothing is known of these rights any more that anybody could need.
        connection.execute("DELETE FROM holdings WHERE kept_until <= ?", (format_time(now),))
        for prefix, kept_for in _LEDGERS.items():
            connection.execute(
                "DELETE FROM ledgers WHERE owner >= ? AND owner < ? AND updated_at <= ?",
                (prefix, f"{prefix}~", format_time(now - kept_for)),
            )
        # An older version delivers, and knows nothing of traces.
        connection.execute(
            "DELETE FROM traces WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE (chain, seq) = (traces.chain, traces.seq))"
        )
    return sum(_purge_table(database, table, now, retention) for table in _CHAINS)


def _purge_table(database: Database, table: str, now: datetime, retention: timedelta) -> int:
    prefix, total = _CHAINS[table], 0
    # No life ends before it began, so younger records need no look at the trail.
    bounds = (format_time(now - retention), prefix, format_time(now), _PER_TRANSACTION)
    while True:
        with database.write() as connection:
            found = connection.execute(
                f"SELECT id FROM {table} AS record WHERE created_at < ? AND ("  # noqa: S608 - a constant of this module
                "   SELECT json_extract(body, '$.kept_until') FROM audit WHERE chain = ? || record.id"
                "   ORDER BY seq DESC LIMIT 1) <= ? LIMIT ?",
                bounds,
            ).fetchall()
            connection.executemany(f"DELETE FROM {table} WHERE id = ?", found)  # noqa: S608 - see above
            connection.executemany("DELETE FROM places WHERE chain = ?", [(f"{prefix}{each}",) for (each,) in found])
        total += len(found)
        if len(found) < _PER_TRANSACTION:
            return total

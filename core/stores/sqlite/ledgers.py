"""Ledgers in SQLite: inside the transaction of the change that they belong to.

Invariant: a ledger is written only over the version that was read; otherwise the whole transaction is undone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, TypeVar

from core.audit.keyring import AuditKeyring
from core.errors import ConcurrentModification
from core.ledger import Ledger
from core.stores.inspection import compare_beside, inspect_ledger
from core.stores.seals import SEAL, SealedLedger, read_sealed_ledger, replace_unread
from core.stores.sqlite.reading import read_body

L = TypeVar("L", bound=Ledger)
SEAL_IN_BODY: Final = "CASE WHEN json_valid(body) THEN json_extract(body, '$.seal') END"
"""The stored seal, of a body that may be damaged."""
VERSION_IN_BODY: Final = "CASE WHEN json_valid(body) THEN json_extract(body, '$.updated_at') END"
"""The same of its version."""


def find_ledgers(connection: sqlite3.Connection, *empty: Ledger) -> dict[str, str]:
    """The stored bodies of those ledgers that exist, by their owner, from one moment."""
    places = ", ".join("?" for _ in empty)
    rows = connection.execute(
        f"SELECT owner, body FROM ledgers WHERE owner IN ({places})",  # noqa: S608 - question marks
        tuple(ledger.owner for ledger in empty),
    )
    return dict(rows.fetchall())


def read_ledger(empty: L, found: dict[str, str], keyring: AuditKeyring) -> L:
    """The ledger as it was found, or an empty one. Raises BrokenSeal, MalformedRecord."""
    body = found.get(empty.owner)
    return empty if body is None else read_sealed_ledger(empty, read_body(f"LEDGER#{empty.owner}", body), keyring)


def replace_raw(connection: sqlite3.Connection, empty: L) -> L:
    """The empty ledger, which may replace the stored one. Raises MalformedRecord."""
    row = connection.execute(
        f"SELECT updated_at, {SEAL_IN_BODY} FROM ledgers WHERE owner = ?",  # noqa: S608 - a constant
        (empty.owner,),
    ).fetchone()
    return replace_unread(empty, *(row or (None, None)))


def write_ledgers(connection: sqlite3.Connection, ledgers: Sequence[SealedLedger]) -> None:
    """Replace each ledger, if it still has the version that was read. Raises ConcurrentModification."""
    for each in ledgers:
        owner, required = each.ledger.owner, each.must_be_stored()
        values = (json.dumps(each.item), each.item["updated_at"], owner)
        if required["updated_at"] is None:
            written = connection.execute(
                "INSERT INTO ledgers (body, updated_at, owner) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values
            )
        else:
            written = connection.execute(
                f"UPDATE ledgers SET body = ?, updated_at = ? "  # noqa: S608 - a constant
                f"WHERE owner = ? AND updated_at = ? AND {SEAL_IN_BODY} IS ?",
                (*values, required["updated_at"], required[SEAL]),
            )
        if written.rowcount != 1:
            raise ConcurrentModification(f"LEDGER#{owner}")


def inspect_stored_ledger(row: tuple[str, str, str], keyring: AuditKeyring) -> Ledger:
    """The ledger of a row, for verification. Raises BrokenSeal, MalformedRecord."""
    owner, updated_at, body = row
    item = read_body(f"LEDGER#{owner}", body)
    ledger = inspect_ledger(owner, item, keyring)
    return compare_beside(ledger, {"updated_at": updated_at}, {"updated_at": item.get("updated_at")})

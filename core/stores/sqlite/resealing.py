"""Seal what is stored in SQLite with the key that seals now.

Invariant: only the seal changes, and only while the rest is as it was read.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from pydantic import JsonValue

from core.access.device import Device
from core.access.grant import Grant
from core.access.holding import Holding
from core.access.session import Session
from core.break_glass import BreakGlassEvent
from core.ledger import Ledger
from core.record import Record
from core.request import Request
from core.stores.commit import StoreSettings
from core.stores.seals import SEAL, has_current_seal, reseal_ledger, reseal_record
from core.stores.sqlite.audit import find_entry
from core.stores.sqlite.database import Database
from core.stores.sqlite.reading import iterate_rows, read_body

_KINDS: Final[dict[str, type[Record]]] = {
    "requests": Request,
    "break_glass": BreakGlassEvent,
    "grants": Grant,
    "sessions": Session,
    "devices": Device,
}
_LEDGERS: Final[tuple[tuple[str, str, type[Ledger]], ...]] = (
    ("ledgers", "owner", Ledger),
    ("holdings", "right_key", Holding),
)


def reseal_all(database: Database, settings: StoreSettings) -> int:
    """Seal every record and ledger with the key that seals now; how many weren't."""
    count = 0
    for table, kind in _KINDS.items():
        for record_id, body in iterate_rows(database, table, ("id",), "body", start=("",)):
            item = read_body(f"{kind.KIND}#{record_id}", body)
            if not has_current_seal(item, settings.keyring):
                with database.read() as connection:
                    seal = reseal_record(kind, record_id, item, settings.keyring, partial(find_entry, connection))
                count += _write(database, table, "id", record_id, body, item | {SEAL: seal})
    return count + sum(_reseal_ledgers(database, settings, *place) for place in _LEDGERS)


def _reseal_ledgers(database: Database, settings: StoreSettings, table: str, key: str, kind: type[Ledger]) -> int:
    count = 0
    rows = iterate_rows(database, table, (key,), "body", start=("",), condition="body IS NOT NULL")
    for owner, body in rows:
        item = read_body(f"{kind.KIND}#{owner}", body)
        if not has_current_seal(item, settings.keyring):
            seal = reseal_ledger(owner, item, settings.keyring, kind)
            count += _write(database, table, key, owner, body, item | {SEAL: seal})
    return count


def _write(database: Database, table: str, key: str, name: str, body: str, item: dict[str, JsonValue]) -> int:
    # One that the bot changed meanwhile has its new seal already.
    with database.write() as connection:
        return connection.execute(
            f"UPDATE {table} SET body = ? WHERE {key} = ? AND body = ?",  # noqa: S608 - constants
            (json.dumps(item), name, body),
        ).rowcount

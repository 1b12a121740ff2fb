"""The panel "Tamper": changes a stored record behind the bot's back, verifies the audit trail, and puts it back.

Invariant: only this playground's own SQLite file is written. What stood there is saved in the folder first, so it can
be put back after a restart, too.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.audit.findings import Finding, Tally
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.clock import Clock, format_time
from core.errors import InvalidInput
from core.stores.base import Stores
from localslack.records import Json
from localslack.refusals import NotOnScreen
from playground.folder import write_privately
from playground.stored_rows import TABLES, RecordTable, Row, StoredRows, body_of
from playground.tamper_changes import ChangeKind, Offered, offer_changes, rewrite_entry

_SHOWN: Final = 4
"""Records of each kind, the latest first."""
_COPIES: Final = 5
"""Earlier versions of one record."""
_MAX_COPIED: Final = 60
"""Records of which copies are kept."""
_MAX_FINDINGS: Final = 30
_KINDS: Final[dict[RecordTable, str]] = {"requests": "REQUEST", "break_glass": "BREAKGLASS", "grants": "GRANT"}
_ELSEWHERE: Final = (
    "The records of this playground are in DynamoDB, where a page can't reach past Countersign. Change an item with "
    "your own tools, then verify here. Without --store, the records are in a file, and you can tamper with it here."
)


class _TamperRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShowRecords(_TamperRequest):
    """List what can be changed."""

    do: Literal["show"]


class ChangeRecord(_TamperRequest):
    """Change a record in the store's file."""

    do: Literal["change"]
    table: RecordTable
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    change: ChangeKind


class VerifyTrail(_TamperRequest):
    """Do what `countersign audit verify` does."""

    do: Literal["verify"]


class PutBack(_TamperRequest):
    """Put back all that was changed here."""

    do: Literal["put_back"]


_Asked: TypeAlias = Annotated[ShowRecords | ChangeRecord | VerifyTrail | PutBack, Field(discriminator="do")]
_REQUEST: Final[TypeAdapter[_Asked]] = TypeAdapter(_Asked)


class TamperedRecord(BaseModel):
    """A record that was changed, and all that stood in the file before."""

    model_config = ConfigDict(frozen=True)

    table: RecordTable
    id: str
    change: ChangeKind
    label: str
    before: str
    after: str
    row: Row
    entries: list[Row]

    def show(self) -> Json:
        """The change as the page shows it."""
        return self.model_dump(exclude={"row", "entries"})


_SAVED: Final = TypeAdapter(list[TamperedRecord])


class Tampering:
    """Safe for threads. `file` is the store's; None when the records aren't in a file."""

    def __init__(
        self,
        file: Path | None,
        saved: Path,
        stores: Stores,
        keyring: AuditKeyring,
        clock: Clock,
        on_change: Callable[[Json], None],
    ) -> None:
        """`saved` is where the originals are kept. Raises InvalidInput when they can't be read."""
        self._rows = StoredRows(file) if file is not None else None
        self._saved = saved
        self._stores = stores
        self._keyring = keyring
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._copies: dict[str, list[Row]] = {}
        self._tampered = _load(saved)

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises NotOnScreen for what isn't there, and pydantic's ValidationError."""
        asked = _REQUEST.validate_python(body)
        if isinstance(asked, VerifyTrail):
            return self._verify()
        with self._lock:
            if isinstance(asked, ChangeRecord):
                self._change(asked)
            elif isinstance(asked, PutBack):
                self._put_back()
            return {**self.show(), "records": self._list_records()}

    def show(self) -> Json:
        """What is tampered with now, for every page."""
        return {
            "problem": _ELSEWHERE if self._rows is None else None,
            "tampered": [each.show() for each in self._tampered],
        }

    def keep_copies(self) -> None:
        """Keep the newest records as they stand, as a backup would, so that they can be rolled back later."""
        if self._rows is None:
            return
        with self._lock:
            for table in TABLES:
                for row in self._rows.newest(table, _SHOWN):
                    self._keep(table, row)

    def _keep(self, table: RecordTable, row: Row) -> None:
        if any(each.id == row["id"] for each in self._tampered):
            return
        kept = self._copies.setdefault(f"{table} {row['id']}", [])
        if not kept or kept[-1]["updated_at"] != row["updated_at"]:
            kept.append(row)
            del kept[:-_COPIES]
        while len(self._copies) > _MAX_COPIED:
            del self._copies[next(iter(self._copies))]

    def _list_records(self) -> list[Json]:
        if self._rows is None:
            return []
        return [self._describe(table, row) for table in TABLES for row in self._rows.newest(table, _SHOWN)]

    def _describe(self, table: RecordTable, row: Row) -> Json:
        body = body_of(row)
        return {
            "table": table,
            "id": row["id"],
            "person": row["person"],
            "profile": row["profile"],
            "status": row["status"],
            "justification": body.get("justification", ""),
            "changes": [
                {"change": each.kind, "label": each.label, "before": each.before, "after": each.after}
                for each in self._offer(table, row)
            ],
        }

    def _offer(self, table: RecordTable, row: Row) -> list[Offered]:
        if self._rows is None:
            return []
        entries = self._rows.entries(_chain(table, row["id"]))
        copies = self._copies.get(f"{table} {row['id']}", [])
        earlier = [each for each in copies if each["updated_at"] < row["updated_at"]]
        return offer_changes(table, row, earlier[-1] if earlier else None, entries[-1] if entries else None)

    def _change(self, asked: ChangeRecord) -> None:
        if self._rows is None:
            raise NotOnScreen(_ELSEWHERE)
        if any(each.id == asked.id and each.table == asked.table for each in self._tampered):
            raise NotOnScreen("This record is changed already. Put it back first.")
        row = self._rows.find(asked.table, asked.id)
        offered = [each for each in self._offer(asked.table, row) if each.kind is asked.change] if row else []
        if row is None or not offered:
            raise NotOnScreen("This change isn't possible any more: the record isn't as it was.")
        chain, (change,) = _chain(asked.table, asked.id), offered
        entries = self._rows.entries(chain)
        said = {"label": change.label, "before": change.before, "after": change.after}
        original = TamperedRecord(table=asked.table, id=asked.id, change=asked.change, **said, row=row, entries=entries)
        self._save([*self._tampered, original])
        if asked.change is ChangeKind.ENTRY:
            self._rows.write_entries([rewrite_entry(entries[-1])])
        else:
            self._rows.write(asked.table, asked.id, change.row)
        if asked.change is ChangeKind.DELETE_ALL:
            self._rows.delete_entries(chain)
        self._on_change(self.show())

    def _put_back(self) -> None:
        rows = self._rows
        if rows is None:
            raise NotOnScreen(_ELSEWHERE)
        for each in self._tampered:
            # A record whose entry was rewritten is genuine: it may have been decided on since.
            if each.change is not ChangeKind.ENTRY:
                rows.write(each.table, each.id, each.row)
            if each.change in {ChangeKind.ENTRY, ChangeKind.DELETE_ALL}:
                rows.write_entries(each.entries)
        self._save([])
        self._on_change(self.show())

    def _save(self, tampered: list[TamperedRecord]) -> None:
        """Before anything is changed, and after everything is back: the file never knows less than it must."""
        write_privately(self._saved, _SAVED.dump_json(tampered, indent=1).decode())
        self._tampered = tampered

    def _verify(self) -> Json:
        began, tally = time.monotonic(), Tally()
        self._stores.refusals.flush()
        found = verify_trail(self._stores, self._keyring, self._clock.now(), tally)
        shown = [*islice(found, _MAX_FINDINGS)]
        more = sum(1 for _ in found)
        return {
            "findings": [*_describe_findings(shown)],
            "more": more,
            "records": tally.records,
            "entries": tally.entries,
            "checkpoints": tally.checkpoints,
            "at": format_time(self._clock.now()),
            "seconds": time.monotonic() - began,
        }


def _describe_findings(found: list[Finding]) -> Iterator[Json]:
    for each in found:
        yield {"chain": each.chain, "kind": each.kind, "text": each.text}


def _chain(table: RecordTable, record_id: str) -> str:
    return f"{_KINDS[table]}#{record_id}"


def _load(path: Path) -> list[TamperedRecord]:
    if not path.exists():
        return []
    try:
        return _SAVED.validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError, json.JSONDecodeError) as error:
        raise InvalidInput("folder", f"{path} can't be read", "Start fresh with --reset.") from error

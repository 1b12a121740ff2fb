"""What a copy of a SQLite store has in its trail: how far it reaches, and whether its end is genuine.

Invariant: only the copy is opened, and it isn't upgraded: it stays what it was copied from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.commands.terminal import count_of
from core.audit.checkpoint import find_last_checkpoint
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time
from core.errors import MalformedRecord
from core.stores.commit import StoreSettings
from core.stores.sqlite.audit import SqliteAudit
from core.stores.sqlite.database import Database


@dataclass(frozen=True, slots=True)
class CopiedTrail:
    """The end of a copied trail: its newest entry, and its last genuine checkpoint; None where there is none."""

    entries: int
    newest: AuditEntry | MalformedRecord | None
    checkpoint: AuditEntry | None
    is_genuine: bool

    @property
    def ends_at(self) -> datetime | None:
        """The time of the newest entry."""
        return self.newest.at if isinstance(self.newest, AuditEntry) else None

    def describe(self) -> Iterator[str]:
        """How far it reaches, in lines."""
        end = f", the newest of {format_time(self.ends_at)}" if self.ends_at is not None else ""
        yield f"it has {count_of(self.entries, 'entry')}{end}"
        if self.checkpoint is not None:
            # Kept elsewhere, it shows later that nobody changed the backup.
            yield f"last checkpoint: {self.checkpoint.seq}:{self.checkpoint.digest}"


def read_copied_trail(path: Path, keyring: AuditKeyring) -> CopiedTrail:
    """Read the end of the trail in this copy. Without a key, nothing is checked against one. Raises StoreError."""
    with closing(Database(str(path), is_upgraded=False)) as database:
        audit = SqliteAudit(database, StoreSettings(keyring=keyring))
        entries, place = audit.count(), audit.find_newest_place()
        newest = audit.get_entries([place])[place] if place is not None else None
        last = find_last_checkpoint(audit, keyring)[1] if keyring.is_keyed else None
    is_genuine = not keyring.is_keyed or newest is None or _is_genuine(newest, keyring)
    return CopiedTrail(entries, newest, last[0] if last is not None else None, is_genuine)


def _is_genuine(entry: AuditEntry | MalformedRecord, keyring: AuditKeyring) -> bool:
    return isinstance(entry, AuditEntry) and keyring.is_genuine(entry)

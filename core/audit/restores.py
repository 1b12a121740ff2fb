"""The entries that say that the store was restored from a backup: from which one, and how far that reached.

Invariant: an entry is in the restored store before that is used. So decisions that were taken back by a restore are
never taken back silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from pydantic import JsonValue

from core.actor import OPERATOR
from core.audit.keyring import AuditKeyring
from core.audit.trail import STORE, AuditAction, AuditEntry, EntryDraft
from core.clock import format_time, parse_time
from core.errors import MalformedRecord
from core.stores.audit import AuditStore

RESTORED: Final = "restored"


@dataclass(frozen=True, slots=True)
class RestoredBackup:
    """A backup as it was restored. `newest` is its last entry; `login` and `host` are who restored it, and where."""

    file: str
    sha256: str
    entries: int
    newest: AuditEntry | None
    findings: int
    login: str
    host: str

    def as_draft(self) -> EntryDraft:
        """What the trail says of it."""
        details: dict[str, JsonValue] = {
            "file": self.file, "sha256": self.sha256, "entries": self.entries, "login": self.login, "host": self.host
        }  # fmt: skip
        if self.newest is not None:
            details |= {
                "as_of": format_time(self.newest.at), "newest_entry": f"{self.newest.chain}/{self.newest.seq}",
                "newest_digest": self.newest.digest,
            }  # fmt: skip
        if self.findings:
            details["findings"] = self.findings
        return EntryDraft(event=AuditAction.STORE_RESTORED, actor=OPERATOR, outcome=RESTORED, details=details)


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore as an entry tells it: when, and as of when the store was; None if the backup had no entry."""

    at: datetime
    as_of: datetime | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Read it."""
        try:
            return cls(entry.at, parse_time(str(entry.details.get("as_of"))))
        except ValueError:
            return cls(entry.at, None)


def find_restores(audit: AuditStore, keyring: AuditKeyring) -> tuple[Restore, ...]:
    """Every restore that this deployment sealed, oldest first. Raises StoreUnavailable."""
    try:
        entries = audit.get_chain(STORE)
    except MalformedRecord:
        # The verification names it.
        return ()
    return tuple(Restore.of(each) for each in entries if keyring.is_genuine(each))

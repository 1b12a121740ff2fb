"""What verification reports: what was done to which chain, and how much was checked.

Invariant: a finding says where the break is, in words that an operator can act on, and quotes no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What was done."""

    EDITED = "edited"
    REMOVED = "removed"
    REORDERED = "reordered"
    APPENDED = "appended"
    BACKDATED = "backdated"
    ROLLED_BACK = "rolled back"
    RECORD_CHANGED = "record changed"
    RECORD_REMOVED = "record removed"
    LEDGER_CHANGED = "ledger changed"
    LEDGER_REMOVED = "ledger removed"
    UNREADABLE = "unreadable"
    UNKNOWN_KEY = "unknown key"
    RETIRED_KEY = "retired key"
    NOT_SIGNED = "not signed"
    NEWER = "newer version"


@dataclass(frozen=True, slots=True)
class Finding:
    """One break: the chain, what was done, and a sentence that says where."""

    chain: str
    kind: FindingKind
    text: str


@dataclass(slots=True)
class Tally:
    """How much was checked. `grants` are among the records; `uncovered` entries are in no checkpoint yet."""

    chains: int = 0
    entries: int = 0
    records: int = 0
    grants: int = 0
    checkpoints: int = 0
    uncovered: int = 0
    unsigned: int = 0

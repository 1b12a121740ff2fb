"""Compare the trail with what was known of it earlier: an export, or checkpoints that a sink received.

Invariant: every earlier entry must still be there, the same to the last letter. Only what was kept elsewhere shows that
the trail, with all its checkpoints, was set back as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from core.audit.export import write_line
from core.audit.findings import Finding, FindingKind
from core.audit.places import find_length, in_batches, read_places
from core.audit.trail import CHECKPOINTS, AuditEntry
from core.errors import InvalidInput, MalformedRecord
from core.stores.audit import AuditStore

_PINNED: Final = re.compile(r"(?P<number>[1-9][0-9]{0,11}):(?P<digest>[0-9a-f]{64})")
_FIX: Final = "Write NUMBER:DIGEST, or name a file with the message that a webhook or SNS received."


@dataclass(frozen=True, slots=True)
class PinnedCheckpoint:
    """A checkpoint as somebody outside knows it."""

    number: int
    digest: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `NUMBER:DIGEST`, an exported line, or what a sink received. Raises InvalidInput."""
        found = _PINNED.fullmatch(text.strip())
        if found is not None:
            return cls(int(found["number"]), found["digest"])
        try:
            item = json.loads(text)
            item = item.get("data", item)
            if item["chain"] == CHECKPOINTS:
                return cls(int(item["seq"]), str(item["digest"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise InvalidInput("checkpoint", f"{text.strip()!r:.60} is not a checkpoint", _FIX)


def check_pinned(audit: AuditStore, pinned: PinnedCheckpoint) -> Iterator[Finding]:
    """Check that the trail still has a checkpoint that somebody outside knows."""
    ((_, entry),) = read_places(audit, CHECKPOINTS, pinned.number, pinned.number)
    if entry is None:
        text = f"checkpoint {pinned.number} is missing, and the last one is {find_length(audit, CHECKPOINTS)}"
        yield Finding(CHECKPOINTS, FindingKind.ROLLED_BACK, text)
    elif isinstance(entry, MalformedRecord):
        yield Finding(CHECKPOINTS, FindingKind.UNREADABLE, str(entry))
    elif entry.digest != pinned.digest:
        yield Finding(CHECKPOINTS, FindingKind.ROLLED_BACK, f"checkpoint {pinned.number} has another digest now")


def compare_with_export(audit: AuditStore, lines: Iterable[str]) -> Iterator[Finding]:
    """Check that each exported entry is still there, the same. The lines are read a hundred at a time.

    Raises InvalidInput for a line that is no exported entry; StoreUnavailable.
    """
    for batch in in_batches(entry for entry in map(_read_line, enumerate(lines, 1)) if entry is not None):
        stored = audit.get_entries(list({(entry.chain, entry.seq) for entry in batch}))
        for entry in batch:
            yield from _compare(entry, stored.get((entry.chain, entry.seq)))


def _compare(exported: AuditEntry, stored: AuditEntry | MalformedRecord | None) -> Iterator[Finding]:
    where = f"entry {exported.seq} ({exported.event})"
    if stored is None:
        yield Finding(exported.chain, FindingKind.REMOVED, f"{where} was exported, and is missing now")
    elif isinstance(stored, MalformedRecord):
        yield Finding(exported.chain, FindingKind.UNREADABLE, str(stored))
    elif write_line(stored) != write_line(exported):
        yield Finding(exported.chain, FindingKind.EDITED, f"{where} is not what was exported")


def _read_line(numbered: tuple[int, str]) -> AuditEntry | None:
    number, line = numbered
    if not line.strip():
        return None
    try:
        item = json.loads(line)
        if isinstance(item, dict):
            return AuditEntry.from_item(item)
    except (ValueError, MalformedRecord):
        pass
    raise InvalidInput("against", f"line {number} is not an exported entry", "Use a file that `audit export` wrote.")

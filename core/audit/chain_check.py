"""Check one chain: each entry's seal, their order, and where the chain ends.

Invariant: pure. Each entry is genuine and follows the one before it, or a finding says where the chain breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from core.audit.findings import Finding, FindingKind
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain has to end: its length and its last digest, according to the record or the refusal head."""

    length: int
    digest: str


_NOT_SIGNED: Final = (FindingKind.NOT_SIGNED, "has no signature, and earlier entries have one")


@dataclass(frozen=True, slots=True)
class SealCheck:
    """What a seal must fulfil: the keys, until when each retired key was in use, and since when entries are signed.

    Entries from before `signed_since` have no signature, and that is no finding.
    """

    keyring: AuditKeyring
    retired: Mapping[str, datetime] = field(default_factory=dict)
    signed_since: datetime | None = None

    def find_problem(self, entry: AuditEntry) -> tuple[FindingKind, str] | None:
        """What is wrong with the seal of an entry, as the kind and the end of a sentence about it."""
        ring = self.keyring
        if ring.judges_by_signature_only:
            return self._find_signature_problem(entry)
        if not ring.knows(entry.key_id):
            return FindingKind.UNKNOWN_KEY, f"was sealed with the key {entry.key_id}"
        if not ring.is_genuine(entry):
            return FindingKind.EDITED, "does not say what was sealed"
        until = self.retired.get(entry.key_id)
        if until is not None and entry.at >= until:
            return (
                FindingKind.RETIRED_KEY,
                f"was sealed with the key {entry.key_id}, which was retired {format_time(until)}",
            )
        return None if entry.signing_key_id is not None or self._is_early(entry) else _NOT_SIGNED

    def is_from_before_signing(self, entry: AuditEntry) -> bool:
        """True when signatures alone are judged, and nothing was signed yet when this entry was made."""
        is_unsigned = entry.signing_key_id is None and not entry.signature
        return self.keyring.judges_by_signature_only and is_unsigned and self._is_early(entry)

    def _is_early(self, entry: AuditEntry) -> bool:
        return self.signed_since is None or entry.at < self.signed_since

    def _find_signature_problem(self, entry: AuditEntry) -> tuple[FindingKind, str] | None:
        if self.keyring.has_genuine_signature(entry):
            return None
        if not entry.signature:
            return None if self.is_from_before_signing(entry) else _NOT_SIGNED
        return FindingKind.EDITED, "does not say what was signed"


@dataclass(slots=True)
class ChainCheck:
    """Checks the entries of one chain, passed in their order, in as many parts as they come.

    `length` and `digest` are where the entries so far end; a check that starts in the middle is given where.
    """

    chain: str
    seals: SealCheck
    length: int = 0
    digest: str = ""

    def check(self, entries: Iterable[AuditEntry]) -> Iterator[Finding]:
        """Check the next entries."""
        for entry in entries:
            where = f"entry {entry.seq} ({entry.event})"
            problem = self.seals.find_problem(entry)
            if entry.chain != self.chain:
                problem = (
                    FindingKind.EDITED,
                    f"does not say what was sealed: it is of {entry.chain:.60}",
                )
            if problem is not None:
                yield Finding(self.chain, problem[0], f"{where} {problem[1]}")
            expected = self.length + 1
            if entry.seq > expected:
                gone = f"entry {expected}" if entry.seq == expected + 1 else f"entries {expected} to {entry.seq - 1}"
                yield Finding(self.chain, FindingKind.REMOVED, f"{gone} should stand before {where}")
            elif entry.seq < expected or entry.previous != self.digest:
                yield Finding(self.chain, FindingKind.REORDERED, f"{where} does not follow the one before it")
            self.digest, self.length = entry.digest, entry.seq

    def check_end(self, head: Head) -> Iterator[Finding]:
        """Check that the chain ends where it has to."""
        missing = head.length - self.length
        if missing > 0:
            yield Finding(self.chain, FindingKind.REMOVED, f"the last {missing} of {head.length} are missing")
        elif missing < 0:
            text = f"it has {self.length} entries, and {head.length} were written"
            yield Finding(self.chain, FindingKind.APPENDED, text)
        elif self.digest != head.digest:
            yield Finding(self.chain, FindingKind.EDITED, "the last entry is not the one that was written last")


def verify_entries(chain: str, entries: Iterable[AuditEntry], head: Head | None, seals: SealCheck) -> Iterator[Finding]:
    """Check one chain against its head. `head` is None if the head no longer exists."""
    check = ChainCheck(chain, seals)
    yield from check.check(entries)
    if head is not None:
        yield from check.check_end(head)

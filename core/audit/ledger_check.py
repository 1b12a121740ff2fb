"""Check that the ledgers are what the trail says: none was removed, emptied, put back to an older one, or changed.

Invariant: a ledger is judged only by genuine entries that are younger than a ledger remembers. What a limit no longer
needs may be gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from core.audit.findings import Finding, FindingKind
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, AuditEntry
from core.clock import format_time
from core.errors import BrokenSeal, MalformedRecord
from core.ledger import Ledger
from core.mfa import CODES_LEDGER, WINDOW, CodeLedger
from core.stores.base import Stores
from core.usage import HORIZON, INVOKER_LEDGER, MAX_USAGES, PROFILE_LEDGER, UsageLedger

_MAX_READS: Final = 3
"""How often ledgers that look wrong are read again: the bot may be moving them at this very moment."""
_CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""How far apart the clocks of two instances may be: within it, the order of their entries is not known."""
_REBUILT: Final = "ledger_rebuilt"
_OF_EVENTS: Final = (f"{INVOKER_LEDGER}#", f"{PROFILE_LEDGER}#")
_ANY: Final = "any"
"""In place of a digest: the content may be any."""
Found = Mapping[str, Ledger | MalformedRecord]


@dataclass(slots=True)
class _Newest:
    """The last content that entries give a ledger: the digests of those whose order is not known, newest first."""

    digests: list[tuple[datetime, str]] = field(default_factory=list)

    def add(self, at: datetime, digest: str) -> None:
        newest = max((moment for moment, _ in self.digests), default=at)
        after = max(newest, at) - _CLOCK_DIFFERENCE
        self.digests = [each for each in [*self.digests, (at, digest)] if each[0] >= after]


@dataclass(slots=True)
class LedgerExpectations:
    """What must be in which ledger, gathered from entries in any order. `now` is the time of the check."""

    now: datetime
    events: dict[str, list[str]] = field(default_factory=dict)
    newest: dict[str, _Newest] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)

    def note(self, entry: AuditEntry) -> None:
        """Add what a genuine entry says."""
        for owner, digest in entry.ledgers.items():
            self.newest.setdefault(owner, _Newest()).add(entry.at, digest)
        if str(entry.event) == _REBUILT:
            # What an operator counted anew is what no entry says; the next change names its content again.
            self.newest.setdefault(str(entry.details.get("ledger")), _Newest()).add(entry.at, _ANY)
        if entry.event is AuditAction.REQUEST_SUBMITTED and _expires_at(entry) > format_time(self.now):
            self.waiting.update(entry.ledgers)
        if entry.at <= self.now - HORIZON:
            return
        if entry.event is AuditAction.BREAK_GLASS_INVOKED and entry.subject is not None and entry.profile is not None:
            # All ids of a person count in one ledger: the entry says in which. Of an older one, the names do.
            by_name = (f"{INVOKER_LEDGER}#{entry.subject}", f"{PROFILE_LEDGER}#{entry.profile}")
            owners = [each for each in entry.ledgers if each.startswith(_OF_EVENTS)] or by_name
            for owner in owners:
                self.events.setdefault(owner, []).append(entry.chain.partition("#")[2])
        if entry.at > self.now - WINDOW and _has_wrong_code(entry):
            self.codes.add(f"{CODES_LEDGER}#{entry.actor}")

    def compare(self, found: Found) -> Iterator[Finding]:
        """The ledgers that are not what the entries say."""
        for owner in sorted({*found, *self.events, *self.newest, *self.codes}):
            ledger = found.get(owner)
            if isinstance(ledger, MalformedRecord):
                kind = FindingKind.LEDGER_CHANGED if isinstance(ledger, BrokenSeal) else FindingKind.UNREADABLE
                yield _finding(owner, kind, ledger.problem)
            elif ledger is None:
                yield from self._explain_missing(owner)
            else:
                problems = "; ".join(self._compare_one(owner, ledger))
                if problems:
                    yield _finding(owner, FindingKind.LEDGER_CHANGED, problems)

    def _explain_missing(self, owner: str) -> Iterator[Finding]:
        if events := self.events.get(owner):
            count = "an event" if len(events) == 1 else f"{len(events)} events"
            text = f"it is missing, and {count} of the last {HORIZON.days} days must be in it"
            yield _finding(owner, FindingKind.LEDGER_REMOVED, text)
        elif owner in self.waiting:
            yield _finding(owner, FindingKind.LEDGER_REMOVED, "it is missing, and a request must be in it")
        elif owner in self.codes:
            text = "it is missing, and wrong codes of this person must be in it"
            yield _finding(owner, FindingKind.LEDGER_REMOVED, text)

    def _compare_one(self, owner: str, ledger: Ledger) -> Iterator[str]:
        yield from ledger.as_read.problems
        if isinstance(ledger, UsageLedger):
            lost = [event for event in self.events.get(owner, ()) if not ledger.has(event)]
            if lost and ledger.count < MAX_USAGES:
                yield f"it does not have the event {', '.join(sorted(lost)[:5])}"
        newest = self.newest.get(owner)
        if newest is None:
            return
        # The codes of a person also move alone, without an entry; so theirs may be later than any entry says.
        last, moved_at = max(at for at, _ in newest.digests), ledger.updated_at
        is_later = isinstance(ledger, CodeLedger) and moved_at is not None and moved_at > last
        possible = {digest for _, digest in newest.digests}
        if not is_later and _ANY not in possible and ledger.as_read.digest not in possible:
            yield "it is not what the last entry that moved it says it became"


def check_ledgers(stores: Stores, keyring: AuditKeyring, now: datetime) -> Iterator[Finding]:
    """The ledgers that are not what the trail says. Raises StoreUnavailable."""
    since, findings = now - HORIZON - _CLOCK_DIFFERENCE, list[Finding]()
    for _ in range(_MAX_READS):
        # Entries first: what moves in between is then only ahead of them, and the next reading sees its entry too.
        expected = LedgerExpectations(now)
        for entry in stores.audit.export(since=since):
            if keyring.is_genuine(entry):
                expected.note(entry)
        findings = list(expected.compare(dict(stores.break_glass.scan_ledgers())))
        if not findings:
            break
    yield from findings


def _finding(owner: str, kind: FindingKind, text: str) -> Finding:
    return Finding(f"LEDGER#{owner}", kind, text)


def _expires_at(entry: AuditEntry) -> str:
    return str(entry.details.get("expires_at", ""))


def _has_wrong_code(entry: AuditEntry) -> bool:
    is_attempt = entry.event in {AuditAction.INVOKE_REFUSED, AuditAction.APPROVE_REFUSED}
    return is_attempt and str(entry.details.get("why", "")).startswith("Wrong code")

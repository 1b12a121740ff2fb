"""Check the holdings: what is known of each right is genuine, names its live grants, and will be looked at in time.

Invariant: nobody who writes to the table can hide a revoke. A finding names each live grant that its right doesn't
list, that is due too late or never, or whose holding was put back to an older one. It is asked what the reconciler is
asked, of any store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from core.access.grant import Grant, GrantId
from core.access.holding import Holding, Urgency
from core.access.right import right_key
from core.access.timing import CLOCK_MARGIN, LEASE, MAX_PAUSE
from core.audit.findings import Finding, FindingKind
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.clock import format_time
from core.errors import BrokenSeal, MalformedRecord, NotFound
from core.stores.access import AccessStore, DueRight
from core.stores.base import Stores

_MAX_READS: Final = 3
"""How often what looks wrong is read again: the bot may be moving it at this very moment."""
_LATE: Final = MAX_PAUSE + LEASE + CLOCK_MARGIN
"""How much later than the end of a grant its right may be due: its target may be failing, another worker have it."""
_PER_PAGE: Final = 1000
_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)
_CHANGES: Final = frozenset({AuditAction.GRANT_GIVEN, AuditAction.GRANT_TAKEN})


def check_holdings(stores: Stores, keyring: AuditKeyring, now: datetime) -> Iterator[Finding]:
    """The holdings that are not what they should be. Raises StoreUnavailable."""
    del keyring  # The store checks the seals.
    findings = {finding.chain: finding for finding in _RightsAsRead.of(stores).compare(now)}
    for _ in range(_MAX_READS - 1):
        if not findings:
            break
        again = {finding.chain: finding for finding in _RightsAsRead.of(stores).compare(now)}
        findings = {chain: finding for chain, finding in again.items() if chain in findings}
    yield from findings.values()


@dataclass(frozen=True, slots=True)
class _RightsAsRead:
    """The holdings, and when each right is due, at one moment."""

    stores: Stores
    holdings: Mapping[str, Holding | MalformedRecord]
    due: Mapping[str, datetime]

    @classmethod
    def of(cls, stores: Stores) -> _RightsAsRead:
        # What is due first: whatever moves meanwhile is then due again later, and a finding is read again.
        due = {right_key(each.right): each.due_at for urgency in Urgency for each in _list_all(stores.access, urgency)}
        return cls(stores, dict(stores.access.scan_holdings()), due)

    def compare(self, now: datetime) -> Iterator[Finding]:
        for key, holding in sorted(self.holdings.items()):
            if isinstance(holding, MalformedRecord):
                kind = FindingKind.LEDGER_CHANGED if isinstance(holding, BrokenSeal) else FindingKind.UNREADABLE
                yield _finding(key, kind, holding.problem)
            elif problems := "; ".join(self._compare_holding(key, holding, now)):
                yield _finding(key, FindingKind.LEDGER_CHANGED, problems)
        for grant in self.stores.access.iterate():
            if grant.is_live:
                yield from self._compare_grant(grant, now)

    def _compare_holding(self, key: str, holding: Holding, now: datetime) -> Iterator[str]:
        yield from holding.as_read.problems
        next_look = holding.next_look_at
        if next_look is None:
            return
        due_at = self.due.get(key)
        if due_at is None or due_at > max(next_look, now + CLOCK_MARGIN):
            # A nudge makes it due at once, never later.
            yield f"it is to be looked at by {format_time(next_look)}, and {_say_due(due_at)}"

    def _compare_grant(self, grant: Grant, now: datetime) -> Iterator[Finding]:
        key = right_key(grant.right)
        holding, due_at, ends = self.holdings.get(key), self.due.get(key), max(grant.ended_at, now)
        if isinstance(holding, MalformedRecord):
            return
        if (due_at is None or due_at > ends + _LATE) and self._is_still_live(grant):
            text = f"{grant.chain} ends {format_time(grant.ended_at)}, and its right {_say_due(due_at)}"
            yield _finding(key, FindingKind.LEDGER_CHANGED, text)
        generation = self._find_generation(grant)
        if generation > (holding.generation if holding is not None else 0):
            text = f"{grant.chain} tells of its step {generation}, " + (
                f"and it was put back to step {holding.generation}" if holding is not None else "and it is missing"
            )
            kind = FindingKind.LEDGER_CHANGED if holding is not None else FindingKind.LEDGER_REMOVED
            yield _finding(key, kind, text)
        if not self._is_listed(grant) and self._is_still_live(grant):
            text = f"{grant.chain} is live, and its right doesn't list it: nobody would end it"
            yield _finding(key, FindingKind.LEDGER_CHANGED, text)

    def _find_generation(self, grant: Grant) -> int:
        """The last step that the grant's chain tells of. A holding is written with each, and counts upwards."""
        try:
            entries = self.stores.audit.get_chain(grant.chain)
        except MalformedRecord:
            return 0
        told = [entry.details.get("generation") for entry in entries if entry.event in _CHANGES]
        return max((each for each in told if isinstance(each, int)), default=0)

    def _is_listed(self, grant: Grant) -> bool:
        try:
            return any(each.id == grant.id for each in self.stores.access.get_right(grant.right).grants)
        except MalformedRecord:
            # It is a finding of its own.
            return True

    def _is_still_live(self, grant: Grant) -> bool:
        try:
            return self.stores.access.get(GrantId(grant.id)).is_live
        except NotFound:
            return False


def _list_all(access: AccessStore, urgency: Urgency) -> Iterator[DueRight]:
    """Every right that is to be looked at as urgently as this, now or later."""
    last: DueRight | None = None
    while page := access.list_due(urgency, _ALWAYS, limit=_PER_PAGE, after=last):
        yield from page
        last = page[-1]


def _say_due(due_at: datetime | None) -> str:
    return "is never due" if due_at is None else f"is due only {format_time(due_at)}"


def _finding(key: str, kind: FindingKind, text: str) -> Finding:
    return Finding(f"{Holding.KIND}#{key}", kind, text)

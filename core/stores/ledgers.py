"""What a store knows of how often somebody broke the glass, and of the codes that somebody tried.

Invariant: the ledgers decide. Every other answer here comes from an index, which may be a moment behind, and is for
display alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.actor import ProfileName, UserId
from core.break_glass import BreakGlassEvent
from core.mfa import CodeLedger
from core.usage import UsageLedger


class LedgerStore(Protocol):
    """The ledgers, and questions about the events that they stand for."""

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, read consistently, in one read."""
        ...

    def get_ledgers_and_codes(
        self, invoker: UserId, profile: ProfileName
    ) -> tuple[UsageLedger, UsageLedger, CodeLedger]:
        """The same, with the ledger of the invoker's codes, in one read."""
        ...

    def put_codes(self, codes: CodeLedger) -> None:
        """Replace the ledger of codes that was read with `codes.updated_at`, with nothing else.

        Raises ConcurrentModification, StoreUnavailable.
        """
        ...

    def find_active_by_invoker_and_profile(
        self, invoker: UserId, profile: ProfileName, now: datetime
    ) -> BreakGlassEvent | None:
        """The event that gives access now. For display: the ledgers, not this, keep events from stacking."""
        ...

    def count_by_invoker_since(self, invoker: UserId, since: datetime) -> int:
        """How many events one person made at or after a moment. For display: see the ledgers."""
        ...

    def count_by_profile_since(self, profile: ProfileName, since: datetime) -> int:
        """How many events one profile had at or after a moment. For display: see the ledgers."""
        ...

    def get_last_by_invoker_and_profile(self, invoker: UserId, profile: ProfileName) -> BreakGlassEvent | None:
        """The newest event of one person for one profile. For display: see the ledgers."""
        ...

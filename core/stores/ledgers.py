"""The ledgers in a store: how often people broke the glass, and which MFA codes they tried.

Invariant: limits are judged on the ledgers alone. A ledger is read consistently, and replaces only the version that
was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeVar

from core.actor import ProfileName, UserId
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.usage import UsageLedger

L = TypeVar("L", bound=Ledger)


class InvokerLedgers(NamedTuple):
    """What a declaration is judged on. `codes` is None if it wasn't asked for."""

    by_invoker: UsageLedger
    by_profile: UsageLedger
    codes: CodeLedger | None
    notes: DirectoryNotes


class LedgerStore(Protocol):
    """How often people broke the glass, and the codes they tried."""

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, read consistently, in one read."""
        ...

    def get_ledgers_and_codes(
        self, invoker: UserId, profile: ProfileName
    ) -> tuple[UsageLedger, UsageLedger, CodeLedger]:
        """The same, with the ledger of the invoker's codes, in one read."""
        ...

    def read_ledgers(self, invoker: UserId, profile: ProfileName, *, codes_of: UserId | None) -> InvokerLedgers:
        """The same, with the notes of changes in the directory and the codes of an id, in one read.

        Notes that can't be read mean that everything changed just now.
        """
        ...

    def get_ledger(self, empty: L) -> L:
        """The stored ledger of its owner, read consistently, or the empty one. Raises BrokenSeal, MalformedRecord."""
        ...

    def get_replaceable(self, empty: L) -> L:
        """The empty ledger, which may replace whatever is stored for its owner now; nothing that is stored is believed.

        Raises MalformedRecord when what is stored has no version that a write could depend on.
        """
        ...

    def iterate_ledger_owners(self) -> Iterator[str]:
        """The owner of every stored ledger, readable or not, in no order: for checks, not for a decision."""
        ...

    def put_ledger(self, ledger: Ledger) -> None:
        """Replace only this ledger, if it still has the version that was read.

        Raises ConcurrentModification, StoreUnavailable.
        """
        ...

    def get_codes(self, person: UserId) -> CodeLedger:
        """The ledger of one person's codes, read consistently."""
        ...

    def scan_ledgers(self) -> Iterator[tuple[str, Ledger | MalformedRecord]]:
        """Every stored ledger by its owner, in no order; for one that can't be trusted, what is wrong with it.

        For verification: `as_read.problems` says what contradicts the ledger beside it. Raises StoreUnavailable.
        """
        ...

    def put_codes(self, codes: CodeLedger) -> None:
        """Replace only the ledger of codes, if it still has the version `codes.updated_at`.

        Raises ConcurrentModification, StoreUnavailable.
        """
        ...

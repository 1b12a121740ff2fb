"""What every store promises about the audit trail.

Invariant: entries are only ever added. `get_chain` sees every entry that was committed before it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry, EntryDraft
from core.errors import MalformedRecord
from core.stores.listing import OnMalformed, log_malformed

Place = tuple[str, int]
"""Where an entry stands: its chain and its number."""


class PlacedDigest(NamedTuple):
    """An entry, by its time, its place and its digest as they are stored. Nothing of it was checked."""

    at: str
    chain: str
    seq: int
    digest: str


class SystemTrail(Protocol):
    """The chains that belong to no record: SYSTEM_CHAINS."""

    def append(self, chain: str, draft: EntryDraft) -> AuditEntry:
        """Seal the draft as the next entry of a chain, with its delivery; return it as stored.

        Two that append at once both succeed, one after the other. A draft that is passed again, because an answer was
        lost, is added once. Raises StoreUnavailable; ValueError for a chain that isn't in SYSTEM_CHAINS.
        """
        ...

    def get_last(self, chain: str) -> AuditEntry | None:
        """The last entry of a chain, read consistently; None if there is none. Raises MalformedRecord."""
        ...


class AuditStore(SystemTrail, Protocol):
    """The audit chains."""

    @property
    def keyring(self) -> AuditKeyring:
        """The keys that seal what is appended here."""
        ...

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first, read consistently."""
        ...

    def get_refusals_head(self, chain: str) -> tuple[int, str]:
        """The length and the last digest of a chain of refused attempts."""
        ...

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Add sealed entries to a chain of refused attempts, and move its head with them.

        Entries that are passed again, because an answer was lost, are added once. Raises ConcurrentModification,
        StoreUnavailable: the first of the entries may then have been added.
        """
        ...

    def iterate_chains(self) -> Iterator[tuple[str, tuple[AuditEntry, ...] | MalformedRecord]]:
        """Every chain with its entries, oldest entry first, or with what is wrong; the chains in no order."""
        ...

    def get_entries(self, places: Sequence[Place]) -> Mapping[Place, AuditEntry | MalformedRecord]:
        """Up to 100 entries by their places, each read consistently, in one read; those that exist."""
        ...

    def list_digests(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[PlacedDigest]:
        """The entries with `since <= at < until` by their digests, oldest first, streamed.

        Entries of one time come in no order. Entries that this version can't read are among them.
        """
        ...

    def export(
        self, *, since: datetime | None = None, until: datetime | None = None, on_malformed: OnMalformed = log_malformed
    ) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed.

        Entries that can't be read are left out; `on_malformed` is called with each.
        """
        ...


class RefusalLog(Protocol):
    """Where refused attempts are noted."""

    def note(self, draft: EntryDraft) -> None:
        """Note an attempt that was refused. Returns at once; neither waits for the store nor raises."""
        ...

    def flush(self) -> None:
        """Wait until all that was noted is in the store."""
        ...

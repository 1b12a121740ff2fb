"""Seal the next entry of a chain that belongs to no record, such as `POLICY` or `CHECKPOINTS`.

Invariant: an entry continues what stands last in its chain, whatever that is. A last entry that somebody damaged stays
a finding of the verification; it can't keep later entries out of the trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from core.audit.trail import SYSTEM_CHAINS, AuditEntry, EntryDraft, seal
from core.clock import TICK, parse_time
from core.stores.commit import StoreSettings

ENTRIES_LOOKED_AT: Final = 10
"""How many entries back a repeated `append` looks for its own: what others added while it waited for its answer."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Where a chain ends: its length, its last digest and the last entry's time. The defaults are an empty chain's."""

    length: int = 0
    digest: str = ""
    at: datetime = _LONG_AGO

    @classmethod
    def of(cls, seq: int, item: Mapping[str, object]) -> Self:
        """The end that this stored entry makes, as far as it can be read."""
        try:
            at = parse_time(str(item.get("at")))
        except ValueError:
            at = _LONG_AGO
        return cls(seq, str(item.get("digest", "")), at)


def check_system_chain(chain: str) -> None:
    """Raises ValueError for any other chain: one of a record grows only with the record."""
    if chain not in SYSTEM_CHAINS:
        raise ValueError(f"{chain!r:.60} is not one of the system chains")


def seal_next(chain: str, draft: EntryDraft, end: ChainEnd, settings: StoreSettings) -> AuditEntry:
    """The draft as the entry after the end of its chain. Its time is later than the last one's."""
    at = settings.clock.now()
    return seal(
        draft,
        settings.keyring,
        chain=chain,
        seq=end.length + 1,
        previous=end.digest,
        at=max(at, end.at + TICK) if end.length else at,
    )

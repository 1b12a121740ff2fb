"""What became of the page of one record: when it was sent, who acknowledged it, when it was taken back.

Invariant: sealed and versioned like every ledger. It gives nobody a right, and no decision reads it: one that can't be
read costs a line on a card, or an extra resolve that the pager drops.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Self

from core.clock import UtcTime
from core.ledger import Ledger
from core.pagers.base import PageAcknowledgement

PAGES_LEDGER: Final = "PAGES"
KEPT_FOR: Final = timedelta(days=400)
"""Longer than any record that its card may still show."""
_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class PageLedger(Ledger):
    """The page of the record with this chain. `pager` is what people call the pager that was used.

    `sent_to` is the `PagerConfig.address` of that pager: none where an older version sent the page.
    """

    pager: str | None = None
    sent_to: str | None = None
    paged_at: UtcTime | None = None
    resolved_at: UtcTime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: UtcTime | None = None

    @classmethod
    def of(cls, chain: str) -> Self:
        """The ledger of a record that nobody was paged for."""
        return cls(owner=f"{PAGES_LEDGER}#{chain}")

    @property
    def is_open(self) -> bool:
        """True from the page until it is taken back."""
        return self.paged_at is not None and self.resolved_at is None

    @property
    def acknowledgement(self) -> PageAcknowledgement | None:
        """Who acknowledged it, if somebody did."""
        if self.acknowledged_by is None or self.acknowledged_at is None:
            return None
        return PageAcknowledgement(self.acknowledged_by, self.acknowledged_at)

    def page(self, pager: str, now: datetime, sent_to: str | None = None) -> Self:
        """People are paged. A page that is open there stays; one that was taken back, or is elsewhere, is a new one."""
        if self.is_open and not self.is_elsewhere(sent_to):
            return self
        cleared = {"resolved_at": None, "acknowledged_by": None, "acknowledged_at": None}
        return self.model_copy(update={"pager": pager, "sent_to": sent_to, "paged_at": now, **cleared})

    def is_elsewhere(self, address: str | None) -> bool:
        """True for a page that is open at another pager than this one."""
        return self.is_open and self.sent_to not in {None, address}

    def resolve(self, now: datetime) -> Self:
        """Nothing is left to do."""
        return self.model_copy(update={"resolved_at": now}) if self.is_open else self

    def acknowledge(self, given: PageAcknowledgement) -> Self:
        """Somebody took it on. The first one counts."""
        if self.paged_at is None or self.acknowledgement is not None:
            return self
        return self.model_copy(update={"acknowledged_by": given.by, "acknowledged_at": given.at})

    def kept_until(self) -> datetime:
        """When no card shows it any more."""
        return (self.paged_at or _LONG_AGO) + KEPT_FOR

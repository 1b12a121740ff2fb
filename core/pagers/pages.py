"""The pages of all records, as the store keeps them.

Invariant: a change is made to the ledger as it is stored, again when somebody else changed it meanwhile. A ledger that
can't be read is replaced by the next page.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from core.errors import ConcurrentModification, MalformedRecord, StoreUnavailable
from core.pagers.page_ledger import PageLedger
from core.stores.ledgers import LedgerStore

MAX_TRIES: Final = 10
MAX_REMEMBERED: Final = 500
_log = logging.getLogger("countersign.pager")


class Pages:
    """Reads and changes pages. Safe for threads and for any number of instances."""

    def __init__(self, ledgers: LedgerStore) -> None:
        self._ledgers = ledgers
        self._opened_here: deque[str] = deque(maxlen=MAX_REMEMBERED)

    @property
    def opened_here(self) -> tuple[str, ...]:
        """The records that this process paged people for lately: a hint where to look for open pages."""
        return tuple(dict.fromkeys(self._opened_here))

    def get(self, chain: str) -> PageLedger:
        """The page of a record, or an empty one: also for one that can't be read. Raises StoreUnavailable."""
        try:
            return self._ledgers.get_ledger(PageLedger.of(chain))
        except MalformedRecord as error:
            _log.warning("the page of %s can't be read: %s", chain, error)
            return PageLedger.of(chain)

    def change(self, chain: str, change: Callable[[PageLedger], PageLedger]) -> PageLedger:
        """What `change` makes of the stored page; nothing is written if it is the same. Raises StoreUnavailable."""
        for _ in range(MAX_TRIES):
            before = self._replaceable(chain)
            after = change(before)
            if after == before:
                return after
            try:
                self._ledgers.put_ledger(after)
            except ConcurrentModification:
                continue
            if after.is_open and not before.is_open:
                self._opened_here.append(chain)
            return after
        raise StoreUnavailable(f"the page of {chain} was changed {MAX_TRIES} times in the meantime")

    def _replaceable(self, chain: str) -> PageLedger:
        empty = PageLedger.of(chain)
        try:
            return self._ledgers.get_ledger(empty)
        except MalformedRecord:
            return self._ledgers.get_replaceable(empty)

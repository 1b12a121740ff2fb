"""End what is overdue, one record after the other.

Invariant: each overdue record is ended once, however many instances do this at the same time, and one that cannot be
ended never keeps the others waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from core.break_glass import BreakGlassEvent
from core.clock import Clock
from core.errors import BrokenChain, ConcurrentModification, NotFound
from core.request import Request
from core.stores.base import Page

R = TypeVar("R", Request, BreakGlassEvent)
_log = logging.getLogger("countersign.expiring")


def expire_overdue(
    read_page: Callable[[str | None], Page[R]], expire: Callable[[R, datetime], R], clock: Clock
) -> tuple[R, ...]:
    """Expire every overdue record of a list that is read page by page; the ones that this call expired.

    Raises StoreUnavailable.
    """
    expired: list[R] = []
    cursor: str | None = None
    while True:
        page = read_page(cursor)
        now = clock.now()
        for record in page.items:
            if not record.is_overdue(now):
                continue
            try:
                expired.append(expire(record, now))
            except (ConcurrentModification, NotFound):
                # Somebody else ended it, or the list was older than the table: either way it is not ours to end.
                continue
            except BrokenChain:
                _log.exception("%s is overdue and cannot be ended", record.chain)
        cursor = page.cursor
        if cursor is None:
            return tuple(expired)

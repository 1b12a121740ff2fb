"""Make the changes that are due by the clock, one record after the other: expire overdue records, send reminders.

Invariant: each record that is due is changed once, however many instances do this at the same time, and one that cannot
be changed never holds up the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from core.break_glass import BreakGlassEvent
from core.clock import Clock, is_trusted
from core.errors import BrokenChain, ConcurrentModification, MalformedRecord, NotFound
from core.request import Request
from core.stores.record_store import Page, iterate_pages

R = TypeVar("R", Request, BreakGlassEvent)
PER_PAGE: Final = 100
"""Few enough to be read in a few milliseconds, between two rests."""
Rest = Callable[[], object]
"""What happens between two pages of a list: in the background a pause, so that people's clicks come first."""
_log = logging.getLogger("countersign.expiring")


def no_rest() -> None:
    """For callers that wait for the end of the list."""


def expire_overdue(
    read_page: Callable[[str | None], Page[R]], expire: Callable[[R, datetime], R], clock: Clock, rest: Rest = no_rest
) -> tuple[R, ...]:
    """Expire every overdue record of a list that is read page by page. Returns those that this call expired.

    Raises StoreUnavailable.
    """

    def expire_if_overdue(record: R, now: datetime) -> R | None:
        return expire(record, now) if record.is_overdue(now) else None

    return change_due(read_page, expire_if_overdue, clock, rest)


def change_due(
    read_page: Callable[[str | None], Page[R]],
    change: Callable[[R, datetime], R | None],
    clock: Clock,
    rest: Rest = no_rest,
) -> tuple[R, ...]:
    """Pass every record of a list to `change`, which returns None if it isn't due.

    Returns those that this call changed: none while the clock is known to be off, because what ends doesn't come back.

    Raises StoreUnavailable.
    """
    changed: list[R] = []
    if not is_trusted(clock):
        return ()
    for page in iterate_pages(read_page):
        now = clock.now()
        for record in page.items:
            try:
                stored = change(record, now)
            except (ConcurrentModification, NotFound):
                # Somebody else changed it, or the list was older than the table. Either way, there is nothing to change
                # here.
                continue
            except (BrokenChain, MalformedRecord):
                _log.exception("%s is due and cannot be changed", record.chain)
                continue
            if stored is not None:
                changed.append(stored)
        if page.cursor is not None:
            rest()
    return tuple(changed)

"""What a clock that was ahead left behind: moments that haven't come yet, and rights put off until long after.

Invariant: a clock that is known to be off corrects nothing. What a wrong clock wrote is never believed for longer than
a right one would have written it, so it delays no revoke by as much as it was off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from core.access.holding import Holding, Operation, Refusal, Urgency
from core.access.right import Right
from core.access.timing import CLOCK_MARGIN, LEASE, LOOK_EVERY, MAX_PAUSE
from core.stores.access import AccessStore, DueRight

_LONGEST_REST: Final = {
    Urgency.EMERGENCY: MAX_PAUSE + LEASE,
    # A live grant is looked at, at the latest after this time, and may have to be revoked then.
    Urgency.REVOKE: LOOK_EVERY + LEASE,
    Urgency.GRANT: MAX_PAUSE + LEASE,
}
_PER_PAGE: Final = 50
_FAR: Final = timedelta(days=3650)
_FIRST: Final = Right(target="a", resource="a", level="a", principal="a")


def correct_ahead(holding: Holding, now: datetime) -> Holding:
    """The holding, with what a clock that was ahead said is yet to come taken as of now.

    A lease from then is over: should its worker still be at it, that is found as of any that was frozen.
    """
    latest = now + CLOCK_MARGIN

    def at_most(moment: datetime | None) -> datetime | None:
        return now if moment is not None and moment > latest else moment

    changes: dict[str, object] = {
        name: at_most(getattr(holding, name))
        for name in ("seen_at", "given_at", "taken_at", "overdue_since", "alerted_at")
    }
    for name in ("operation", "lost", "refused"):
        changes[name] = _correct(getattr(holding, name), at_most)
    if holding.pause is not None and holding.pause.since > latest:
        changes["pause"] = None
    if holding.lease is not None and holding.lease.until > latest + LEASE:
        changes["lease"] = holding.lease.model_copy(update={"until": now})
    corrected = holding.change(**changes)
    return holding if corrected == holding else corrected


def find_put_off(store: AccessStore, now: datetime) -> Iterator[Right]:
    """The rights with something to do that are put off for longer than any is. Raises StoreUnavailable."""
    for urgency, rest in _LONGEST_REST.items():
        after = DueRight(_FIRST, now + rest + CLOCK_MARGIN)
        while page := store.list_due(urgency, now + _FAR, limit=_PER_PAGE, after=after):
            yield from (each.right for each in page)
            after = page[-1]


def _correct(
    noted: Operation | Refusal | None, at_most: Callable[[datetime | None], datetime | None]
) -> Operation | Refusal | None:
    if isinstance(noted, Operation):
        return noted.model_copy(update={"since": at_most(noted.since)})
    return noted.model_copy(update={"at": at_most(noted.at)}) if noted is not None else None

"""Which rights are due, and in which order: what the engines share.

Invariant: a list of due rights is in the order of time, then of the rights' keys, so that a page can go on after any
right, whatever became of it meanwhile. A row that can't be read is logged, and takes no other row's place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import StrEnum

from core.access.grant import Grant, GrantStatus
from core.access.holding import Urgency
from core.access.right import parse_right_key, right_key
from core.clock import format_time, parse_time
from core.errors import InvalidInput
from core.stores.access import DueRight
from core.stores.paging import check_limit

DueRow = tuple[str, ...]
"""A time and the key of a right, as they are stored, and the id of the grant that it is about, if it is about one."""
_log = logging.getLogger("countersign.store")


class Stage(StrEnum):
    """Where a live grant is: held as long as its window lasts, or ended and to be taken."""

    WANTED = "wanted"
    ENDING = "ending"


def find_stage(grant: Grant) -> Stage | None:
    """Where the grant is; None: it is final."""
    if not grant.is_live:
        return None
    return Stage.ENDING if grant.status is GrantStatus.ENDING else Stage.WANTED


def urgency_of_new(grant: Grant) -> Urgency:
    """What the right of a new grant waits for."""
    return Urgency.EMERGENCY if grant.is_emergency else Urgency.GRANT


def to_row(due: DueRight) -> DueRow:
    """The place of a right in a list of what is due."""
    return format_time(due.due_at), right_key(due.right)


def read_due(
    find_rows: Callable[[DueRow | None, int], Sequence[DueRow]], *, limit: int, after: DueRight | None
) -> tuple[DueRight, ...]:
    """The next rights after one. `find_rows` gives as many rows as asked, or fewer if there are no more.

    Raises InvalidInput for a limit that is out of bounds.
    """
    check_limit(limit)
    last: DueRow | None = to_row(after) if after is not None else None
    found: list[DueRight] = []
    while wanted := limit - len(found):
        rows = find_rows(last, wanted)
        for row in rows:
            at, key, *grant = row
            last = at, key
            try:
                found.append(DueRight(parse_right_key(key), parse_time(at), *grant))
            except (InvalidInput, ValueError) as error:
                _log.warning("skipped, in the list of what is due: %s", error)
        if len(rows) < wanted:
            break
    return tuple(found)

"""What is known of a right, anew, from its sealed grants: after somebody damaged or removed what was stored of it.

Invariant: what was given for a grant counts as ours again, and is taken when nobody wants it. What none of them
explains belongs to somebody else: nothing is given or closed before a look; what that shows held is left, and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from core.access.grant import Grant
from core.access.holding import Holding, Observation
from core.access.right import Right
from core.audit.trail import AuditAction


def rebuild(right: Right, grants: Sequence[Grant], given: Sequence[str], now: datetime) -> Holding:
    """The holding of a right of which only this is certain; `given` are grants whose chain says that it was given."""
    opened = [grant.id for grant in grants if _opened_by_us(grant)]
    live = [grant.id for grant in grants if grant.is_live]
    last = next(iter((*opened, *given, *live)), None)
    return Holding.empty(right).change(
        is_ours=bool(opened or given),
        must_look=True,
        generation=_find_generation(0, now),
        last_grant=last,
        next_look_at=now,
    )


def reclaim(holding: Holding, grants: Sequence[Grant], now: datetime) -> Holding:
    """The holding, ours again if a live grant opened by it and it says otherwise: it was put back or removed.

    Nothing of ours is released before its grants have closed.
    """
    mine = next((grant for grant in grants if grant.is_live and _opened_by_us(grant)), None)
    if mine is None or holding.is_touched or holding.is_leased(now):
        return holding
    reclaimed = holding.release().change(
        is_ours=True, must_look=True, generation=_find_generation(holding.generation, now), last_grant=mine.id
    )
    return reclaimed.tell(AuditAction.HOLDING_REBUILT, mine.id, explain(reclaimed))


def explain(holding: Holding) -> dict[str, JsonValue]:
    """What the audit entry says of a holding that was rebuilt."""
    return {"right": str(holding.right), "is_ours": holding.is_ours, "generation": holding.generation}


def is_unseen(holding: Holding) -> bool:
    """True when it was rebuilt, and no look has shown yet what is there."""
    return holding.must_look and (not holding.is_seen or holding.observed is Observation.UNKNOWN)


def _opened_by_us(grant: Grant) -> bool:
    return grant.opened_at is not None and not grant.stood_before


def _find_generation(known: int, now: datetime) -> int:
    """Higher than any before: a step is a commit, and no right has had one in every millisecond since 1970.

    The one that was stored can't be believed, and a target refuses a step that is lower than one it has seen.
    """
    return max(known, int(now.timestamp() * 1000))

"""What is wanted of a right: a pure function of its grants and the time, and of nothing else.

Invariant: a right is wanted while any grant of it is inside its window and has not ended early. Overlap, extension,
retry, crash and break-glass over a live request need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from core.access.grant import Grant


def is_wanted(grants: Sequence[Grant], now: datetime) -> bool:
    """True when the right is to be held now."""
    return bool(find_wanting(grants, now))


def find_wanting(grants: Sequence[Grant], now: datetime) -> tuple[Grant, ...]:
    """The grants that want the right now, the one that lasts longest first."""
    wanting = (grant for grant in grants if grant.is_wanted(now))
    return tuple(sorted(wanting, key=attrgetter("ends_at", "id"), reverse=True))


def wanted_since(grant: Grant) -> datetime:
    """Since when the target may be asked for it: since it was decided, or since its window opened."""
    return max(grant.created_at, grant.starts_at)


def find_next_edge(grants: Sequence[Grant], now: datetime) -> datetime | None:
    """When a window opens or ends next; None if none does."""
    edges = (edge for grant in grants if grant.is_live for edge in (grant.starts_at, grant.ended_at))
    return min((edge for edge in edges if edge > now), default=None)

"""Read the entries of a chain by their places, a hundred at a time.

Invariant: an entry that is damaged or missing hides no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from core.audit.trail import AuditEntry
from core.errors import MalformedRecord
from core.stores.audit import AuditStore, Place

T = TypeVar("T")
BATCH: Final = 100
"""DynamoDB reads a hundred items at once."""


def in_batches(each: Iterable[T], size: int = BATCH) -> Iterator[tuple[T, ...]]:
    """The same things in their order, by the hundred."""
    rest = iter(each)
    return iter(lambda: tuple(islice(rest, size)), ())


def read_places(
    audit: AuditStore, chain: str, first: int, last: int
) -> Iterator[tuple[int, AuditEntry | MalformedRecord | None]]:
    """The entries of a chain from one number to another, each with its number; None where there is none."""
    for numbers in in_batches(range(first, last + 1)):
        places: list[Place] = [(chain, number) for number in numbers]
        found = audit.get_entries(places)
        yield from ((number, found.get((chain, number))) for number in numbers)


def find_length(audit: AuditStore, chain: str) -> int:
    """The number of the last entry of a chain; 0 if there is none. A damaged entry counts."""
    try:
        last = audit.get_last(chain)
    except MalformedRecord:
        return _search_length(audit, chain)
    return last.seq if last is not None else 0


def _search_length(audit: AuditStore, chain: str) -> int:
    """The same, if the last entry can't be read: ever further steps, and then between the last two."""
    known, step = 0, BATCH
    while True:
        found = max(
            (number for number, entry in read_places(audit, chain, known + 1, known + step) if entry is not None),
            default=0,
        )
        if not found:
            return known
        known, step = found, 2 * step

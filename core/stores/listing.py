"""Read records, and pages of them, from the rows that an engine finds.

Invariant: a list is complete. It pages until its limit is reached; a row that cannot be read is reported, and takes no
other row's place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from core.clock import format_time
from core.errors import MalformedRecord
from core.record import Record
from core.stores.paging import Position, check_limit, read_cursor
from core.stores.record_store import Page

R = TypeVar("R", bound=Record)
Raw = TypeVar("Raw")
T = TypeVar("T")
OnMalformed = Callable[[MalformedRecord], None]
"""Called with each row that can't be read, and is left out."""
_log = logging.getLogger("countersign.store")


@dataclass(frozen=True, slots=True)
class StoredRow(Generic[Raw]):
    """A record as the engine found it, not parsed yet."""

    position: Position
    raw: Raw


def log_malformed(error: MalformedRecord) -> None:
    """What is done about a row that can't be read, if the caller doesn't say."""
    _log.warning("skipped: %s", error)


def read_each(raws: Iterable[Raw], read: Callable[[Raw], T], on_malformed: OnMalformed = log_malformed) -> Iterator[T]:
    """The records that `read` makes of these rows. A malformed one is reported and skipped, and hides no others."""
    for raw in raws:
        try:
            found = read(raw)
        except MalformedRecord as error:
            on_malformed(error)
        else:
            yield found


def read_or_explain(raw: Raw, read: Callable[[Raw], T]) -> T | MalformedRecord:
    """What `read` makes of a row, or what is wrong with the row."""
    try:
        return read(raw)
    except MalformedRecord as error:
        return error


def read_page(
    find_rows: Callable[[Position | None, int], Sequence[StoredRow[Raw]]],
    read: Callable[[Raw], R],
    *,
    limit: int,
    cursor: str | None,
    since: datetime | None,
) -> Page[R]:
    """One page of the rows of a list.

    `find_rows` gives the next rows after a position, newest first: as many as asked, or fewer if there are no more.
    `read` makes a record of a row, or raises MalformedRecord. Raises InvalidInput for a bad limit or cursor.
    """
    check_limit(limit)
    position, items, malformed = read_cursor(cursor), list[R](), list[str]()
    if position is not None and since is not None and position.created_at < format_time(since):
        # All further rows are older. DynamoDB would refuse a start position outside of the range of the query.
        return Page(())
    while True:
        wanted = limit - len(items)
        # One row more than the limit shows whether there is a next page.
        rows = find_rows(position, wanted + 1)
        for row in rows[:wanted]:
            position = row.position
            try:
                items.append(read(row.raw))
            except MalformedRecord as error:
                _log.warning("skipped: %s", error)
                # A key's prefix, if it has one, ends with #.
                malformed.append(row.position.id.rpartition("#")[2])
        has_more = len(rows) > wanted
        if not has_more or len(items) == limit:
            next_cursor = position.to_cursor() if has_more and position is not None else None
            return Page(tuple(items), next_cursor, tuple(malformed))

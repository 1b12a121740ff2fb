"""What both kinds of lists share: reading a store's pages through, and cutting rows into what Slack shows.

Invariant: no more of the store is read than is shown, but for one row, which tells whether there are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from bot.views.block_kit import Block
from bot.views.home import MAX_ROWS, HomeSection
from bot.views.pagination import PER_PAGE
from core.record import Record
from core.stores.record_store import Page, iterate_pages

AnyRecord = TypeVar("AnyRecord", bound=Record)
Row = TypeVar("Row")


def iterate_records(read: Callable[[str | None], Page[AnyRecord]]) -> Iterator[AnyRecord]:
    """All records of a store's list, page after page; `read` takes the cursor of a page, None for the first."""
    return (record for page in iterate_pages(read) for record in page.items)


def cut_page(rows: Iterator[Row], number: int) -> tuple[list[Row], bool]:
    """The rows of one page in Slack, counted from 1, and whether there are more behind it."""
    start = (number - 1) * PER_PAGE
    found = list(islice(rows, start, start + PER_PAGE + 1))
    return found[:PER_PAGE], len(found) > PER_PAGE


def home_section(
    title: str, rows: Sequence[Row], nothing: str, *, draw: Callable[[Row], Sequence[Block]], command: str
) -> HomeSection:
    """The first rows in somebody's Home tab; the command that lists all of them, where there are more."""
    more = command if len(rows) > MAX_ROWS else None
    return HomeSection(title, [draw(row) for row in rows[:MAX_ROWS]], nothing, more)

"""What all lists share: reading a store's pages through, cutting rows into what Slack shows, and what access they gave.

Invariant: no more of the store is read than is shown, but for one row, which tells whether there are others. Access is
read for all rows at once, after their records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Generic, TypeVar

from bot.views.home import HomeRow, HomeSection
from bot.views.home_state import SectionKey
from bot.views.pagination import PER_PAGE
from core.access.grant import grant_id_for
from core.access.session import Session
from core.access.summary import AccessSummary, summarize_each
from core.break_glass import BreakGlassEvent
from core.record import Record
from core.request import Request
from core.stores.access import AccessStore
from core.stores.record_store import Page, iterate_pages
from core.stores.sessions import SessionStore
from core.targets.aws_names import ASSUME

Source = Request | BreakGlassEvent
"""What gives access: its chain is the `source` of its grants."""
MAX_READ: Final = 100
"""How many records one read takes."""
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


@dataclass(frozen=True, slots=True)
class HomeList(Generic[Row]):
    """All that a section of the Home tab could show, up to MAX_COUNTED; `draw` reads what else its rows need.

    `draw` may raise StoreError. It is asked only for the rows that are shown.
    """

    key: SectionKey
    rows: Sequence[Row]
    draw: Callable[[Sequence[Row]], Sequence[HomeRow]]

    def section(self, shown: slice) -> HomeSection:
        """These rows as they are shown."""
        rows = self.rows[shown]
        return HomeSection(self.key, self.draw(rows) if rows else (), len(self.rows))


def read_sessions(store: SessionStore, accesses: Iterable[AccessSummary]) -> Mapping[str, tuple[Session, ...]]:
    """The sessions of this access, by its source. Only roles have any, and they cost a read each. Raises StoreError."""
    return {
        access.source: tuple(
            session
            for each in access.rights
            if each.right.level == ASSUME
            for session in store.list_of_grant(grant_id_for(access.source, each.right)).sessions
        )
        for access in accesses
    }


def read_access(store: AccessStore, records: Collection[Source], now: datetime) -> Mapping[str, AccessSummary]:
    """The access that these decisions gave, by their chains; those without access are left out. Raises StoreError."""
    ids = [grant_id_for(each.chain, right) for each in records for right in each.rights]
    found = [grant for start in range(0, len(ids), MAX_READ) for grant in store.get_each(ids[start : start + MAX_READ])]
    return {access.source: access for access in summarize_each(found, now)}

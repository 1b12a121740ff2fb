"""What the stores of both kinds of record have in common: lists, page by page, and deletion.

Invariant: an engine provides one page; every list is built from pages here, so lists are the same on every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

from core.actor import ProfileName
from core.audit.trail import EntryDraft
from core.errors import MalformedRecord
from core.record import Record

R = TypeVar("R", bound=Record)
Status_contra = TypeVar("Status_contra", bound=StrEnum, contravariant=True)
DEFAULT_LIMIT: Final = 100
MAX_PER_PAGE: Final = 1000
DEFAULT_RETENTION: Final = timedelta(days=90)
_FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list, newest first.

    `cursor` asks for the next page; None: there is none. `malformed` names the items that could not be read as records:
    they are reported here and in the log, and hide no others.
    """

    items: tuple[R, ...]
    cursor: str | None = None
    malformed: tuple[str, ...] = ()


class RecordStore(Protocol[R, Status_contra]):
    """What the stores of both kinds of record have in common.

    An engine provides `list_page`; every other list is built from it here, so lists are the same on every engine.
    """

    def delete(self, record: R, entry: EntryDraft) -> None:
        """Remove the record as it was read; its audit chain stays and ends with this entry. Raises like `update`."""
        ...

    def iterate(self) -> Iterator[R]:
        """Every record, in no order: for verification and export, not for a decision. Logs and skips malformed ones."""
        ...

    def iterate_ids(self) -> Iterator[str]:
        """The id of every record, in no order, whether the record can be read or not."""
        ...

    def find_many(self, record_ids: Sequence[str]) -> Mapping[str, R | MalformedRecord]:
        """Up to 100 records by their ids, each read consistently, in one read; those that exist.

        For verification: what is wrong with a record is in its place, and hides no others. Raises StoreUnavailable.
        """
        ...

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[R]:
        """The records whose attribute has this value, newest first; `since` leaves out those created before it.

        Raises InvalidInput for a limit that is out of bounds or a cursor that is not one; StoreUnavailable.
        """
        ...

    def list_by_status(
        self,
        status: Status_contra,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[R]:
        """The records with one status, newest first."""
        return self.list_page("status", status, limit=limit, cursor=cursor, since=since)

    def list_by_profile(
        self,
        profile: ProfileName,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        since: datetime | None = None,
    ) -> Page[R]:
        """One profile's records, newest first."""
        return self.list_page("profile", profile, limit=limit, cursor=cursor, since=since)


def iterate_newest_first(
    store: RecordStore[R, Status_contra],
    attribute: str,
    value: str,
    since: datetime | None,
    *,
    page_size: int = DEFAULT_LIMIT,
) -> Iterator[R]:
    """A whole list, read page by page; each page is twice as long as the one before it, up to the maximum."""
    sizes = (min(page_size * 2**number, MAX_PER_PAGE) for number in count())

    def read_page(cursor: str | None) -> Page[R]:
        return store.list_page(attribute, value, limit=next(sizes), cursor=cursor, since=since)

    return (record for page in iterate_pages(read_page) for record in page.items)


def iterate_pages(read_page: Callable[[str | None], Page[R]]) -> Iterator[Page[R]]:
    """The pages of a list, each read when it is asked for; `read_page` takes the cursor of a page."""
    cursor: str | None = None
    while True:
        page = read_page(cursor)
        yield page
        if (cursor := page.cursor) is None:
            return

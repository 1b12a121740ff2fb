"""What is asked of a pager: page people about a record, take the page back, and say who acknowledged it.

Invariant: a page is known by its key, the id of the record that it is about. Sent twice, it pages once. A resolve for
a key that nobody was paged for does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.policy.pager_config import AnyPagerConfig


class Severity(StrEnum):
    """How loud a page is. PagerDuty's words; people set there what each does."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class PagerAlert:
    """One page. `summary` has no text that people typed; `details` has it only where the policy says so.

    `link` is the address of the record's card, if it is known.
    """

    key: str
    summary: str
    severity: Severity
    at: datetime
    kind: str
    profile: str | None = None
    link: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageAcknowledgement:
    """Who acknowledged a page, as the pager calls them, and when."""

    by: str
    at: datetime


class Pager(Protocol):
    """A pager. Safe for threads."""

    @property
    def name(self) -> str:
        """What people call it, such as PagerDuty."""
        ...

    @property
    def reads_back(self) -> bool:
        """True when it can say who acknowledged a page."""
        ...

    def trigger(self, page: PagerAlert) -> None:
        """Page people, once for each key that is open. Raises DeliveryFailed."""
        ...

    def resolve(self, key: str) -> None:
        """Take the page back: nothing is left to do. Raises DeliveryFailed."""
        ...

    def find_acknowledged(self, keys: Collection[str]) -> Mapping[str, PageAcknowledgement]:
        """Those of the open pages with these keys that somebody acknowledged. Raises DeliveryFailed."""
        ...

    def check(self) -> str:
        """Look whether it could page, without paging anybody; what was found. Raises DeliveryFailed."""
        ...

    def close(self) -> None:
        """Close what is open. Idempotent."""
        ...


PagerOpener = Callable[[AnyPagerConfig], Pager]
"""Opens a pager of a kind that Countersign doesn't have itself, such as `demo` in the playground."""

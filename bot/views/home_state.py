"""Which part of the Home tab a person looks at: the filters, the sections behind them, and how a view keeps the choice.

Invariant: the choice is in the view and in the values of its buttons, never in this process. What can't be read is the
overview.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SHOW: Final = "home:show"
"""What the action_ids begin with that show another part or another page."""
SHOW_ACTIONS: Final = re.compile(rf"{SHOW}:[a-z_]+")
MAX_PAGES: Final = 99
_PAGE: Final = re.compile(r"[1-9][0-9]?")


class HomeFilter(StrEnum):
    """What a person can choose to see, by the word that buttons carry."""

    ALL = "all"
    MINE = "mine"
    DECIDE = "decide"
    LIVE = "live"
    REVIEW = "review"

    @property
    def label(self) -> str:
        """What its button says."""
        return _LABELS[self]


class SectionKey(StrEnum):
    """The sections, in the order in which they are shown: what can't wait comes first."""

    EVENTS = "events"
    DECIDE = "decide"
    REVIEW = "review"
    ACCESS = "access"
    OWN_EVENTS = "own_events"
    REQUESTS = "requests"
    DEVICES = "devices"

    @property
    def heading(self) -> str:
        """What it is called."""
        return _SECTIONS[self][0]

    @property
    def nothing(self) -> str:
        """What is said when it is empty."""
        return _SECTIONS[self][1]

    @property
    def filters(self) -> tuple[HomeFilter, ...]:
        """The filters that show it; the first one is where all of it can be seen."""
        return _SECTIONS[self][2]


@dataclass(frozen=True, slots=True)
class HomeState:
    """The part that is shown, and its page, counted from 1."""

    shown: HomeFilter = HomeFilter.ALL
    page: int = 1

    def write(self) -> str:
        """For the view's `private_metadata`."""
        return json.dumps({"show": self.shown.value, "page": self.page})

    def as_value(self) -> str:
        """For the value of a button."""
        return f"{self.shown.value}:{self.page}"


OVERVIEW: Final = HomeState()


def read_home_state(written: str | None) -> HomeState:
    """What `write` wrote; the overview for anything else."""
    try:
        found = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return HomeState()
    if not isinstance(found, dict):
        return HomeState()
    return read_show_button(f"{found.get('show')}:{found.get('page')}")


def read_show_button(value: str | None) -> HomeState:
    """Where a button leads; the overview for a value that is none of ours."""
    shown, _, page = (value or "").partition(":")
    if shown not in set(HomeFilter) or not _PAGE.fullmatch(page):
        return HomeState()
    return HomeState(HomeFilter(shown), int(page))


_LABELS: Final = {
    HomeFilter.ALL: "All",
    HomeFilter.MINE: "Mine",
    HomeFilter.DECIDE: "To decide",
    HomeFilter.LIVE: "Live",
    HomeFilter.REVIEW: "To review",
}
_SECTIONS: Final[dict[SectionKey, tuple[str, str, tuple[HomeFilter, ...]]]] = {
    SectionKey.EVENTS: (
        "Active break-glass events",
        "There are no active break-glass events you can act on.",
        (HomeFilter.LIVE,),
    ),
    SectionKey.DECIDE: (
        "Waiting for your decision",
        "Nothing is waiting for your decision.",
        (HomeFilter.DECIDE,),
    ),
    SectionKey.REVIEW: ("Waiting for your review", "Nothing is waiting for your review.", (HomeFilter.REVIEW,)),
    SectionKey.ACCESS: (
        "Your access",
        "You have no active access from requests.",
        (HomeFilter.LIVE, HomeFilter.MINE),
    ),
    SectionKey.OWN_EVENTS: (
        "Your break-glass events that others have to review",
        "None of your break-glass events is waiting for a review.",
        (HomeFilter.MINE, HomeFilter.REVIEW),
    ),
    SectionKey.REQUESTS: ("Your requests", "You have no other requests.", (HomeFilter.MINE,)),
    SectionKey.DEVICES: ("Your devices", "No terminal is paired with your account.", ()),
}

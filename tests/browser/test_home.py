"""The Home tab in the page: what waits for a person, page by page, and the outcome where they pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from bot.views.home import ROWS_PER_PAGE
from core.actor import ProfileName, UserId
from tests.builders import a_draft, a_request

if TYPE_CHECKING:
    from core.request import Request
    from tests.browser.screens import Screens

LEFT: Final = 0
RIGHT: Final = 1


def test_home_decides_page_by_page_and_says_so_at_the_row(screens: Screens) -> None:
    asked = [_ask(screens, number) for number in range(ROWS_PER_PAGE + 1)]
    home = screens.pane(RIGHT)
    home.get_by_role("button", name="Countersign").click()
    home.get_by_role("button", name=f"To decide ({len(asked)})").click()
    home.get_by_role("button", name="Older").click()
    expect(home.get_by_text("Page 2 of 2")).to_be_visible()
    home.get_by_role("button", name="Approve", exact=True).click()

    expect(home.get_by_text("Approved.", exact=False)).to_be_visible()
    expect(home.get_by_role("button", name=f"● To decide ({ROWS_PER_PAGE})")).to_be_visible()
    assert screens.stored(asked[0]).approver is not None


def _ask(screens: Screens, number: int) -> Request:
    """One of many open requests, which no rule of the playground would let one person make."""
    clock, stores = screens.playground.clock, screens.playground.stores
    why = f"Deploy the fix for INC-{number}"
    return stores.requests.create(
        a_request(requester=UserId("U0MIRA"), profile=ProfileName("prod"), justification=why, now=clock.now()),
        a_draft(),
    )

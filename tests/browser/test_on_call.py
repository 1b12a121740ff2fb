"""The panel "On call" and the tour's night shift: paged, escalated, approved on call, and handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from core.request import RequestStatus
from tests.browser.screens import LEFT, RIGHT, Screens
from tests.browser.test_accessibility import find_objections
from tests.browser.test_looks import MISPLACED

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser
ASK = "/access checkout 1h INC-14: payments hang"


def _panel(screens: Screens) -> Locator:
    return screens.page.get_by_role("region", name="On call", exact=True)


def test_tour_plays_a_night_shift(welcome: Screens) -> None:
    tour, panel = welcome.page.get_by_role("region", name="Guided tour"), _panel(welcome)
    heading = tour.get_by_role("heading")
    for _ in range(7):
        tour.get_by_role("button", name="Skip").click()
    expect(heading).to_have_text("Request access at night")
    tour.get_by_role("button", name="Write it for Mira").click()
    expect(welcome.composer(LEFT)).to_be_focused()
    welcome.page.keyboard.press("Enter")
    expect(heading).to_have_text("Nobody answers")
    expect(panel.get_by_role("region", name="Pager", exact=True)).to_contain_text("Pages Sam Osei")
    panel.get_by_role("button", name="Acknowledge").click()
    expect(welcome.card(LEFT, "INC-14")).to_contain_text("Acknowledged by Sam Osei")

    tour.get_by_role("button", name="Move the clock by 10 minutes").click()
    expect(heading).to_have_text("Approve on call")
    tour.get_by_role("button", name="Show me Aiko's button").click()
    expect(welcome.card(RIGHT, "INC-14").get_by_role("button", name="Approve", exact=True)).to_be_focused()
    welcome.page.keyboard.press("Enter")
    expect(heading).to_have_text("Hand over")
    expect(panel.get_by_role("region", name="Pager", exact=True)).to_contain_text("resolved")
    (request,) = welcome.playground.stores.requests.iterate()
    assert (request.status, request.approver) == (RequestStatus.APPROVED, "U0AIKO")

    tour.get_by_role("button", name="Move the clock to the hand-over").click()
    expect(panel.get_by_role("region", name="Schedule primary")).to_contain_text("Sam Osei may still approve")
    tour.get_by_role("button", name="Write it for Sam").click()
    expect(welcome.composer(LEFT)).to_be_focused()
    welcome.page.keyboard.press("Enter")
    expect(heading).to_have_text("Tamper with a record")
    expect(welcome.messages(LEFT, "on-call:primary").first).to_be_visible()
    assert [*welcome.playground.stores.break_glass.iterate()] == []


def test_panel_fits_and_is_heard_while_unreachable(screens: Screens) -> None:
    screens.write(LEFT, ASK)
    screens.page.get_by_role("button", name="On call").click()
    panel = _panel(screens)
    expect(panel.get_by_role("button", name="Acknowledge")).to_be_visible()
    panel.get_by_role("switch", name="Unreachable").click()
    expect(panel).to_contain_text("The schedules don't answer.")
    for scheme, widths in (("light", (320, 1024, 1440)), ("dark", (390,))):
        screens.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width in widths:
            screens.page.set_viewport_size({"width": width, "height": 800})
            assert screens.page.evaluate(MISPLACED) == []
        assert not find_objections(screens, ".on-call"), "\n".join(find_objections(screens, ".on-call"))

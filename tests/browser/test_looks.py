"""How it looks: nothing sticks out on a phone, dark is dark, and motion stays away where it is not wanted.

The screenshots are left in .cache/screenshots, for whoever wants to see them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, expect

from playground.playground import Playground
from tests.browser.conftest import Motion
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser
SHOTS: Final = Path(__file__).parents[2] / ".cache" / "screenshots"
STICKING_OUT: Final = """() => [...document.querySelectorAll("#app *")].filter((each) => {
  const box = each.getBoundingClientRect();
  return box.width > 1 && box.height > 1 && box.right > innerWidth + 1 && !each.closest(".json, [inert]")
    && getComputedStyle(each).visibility === "visible";
}).map((each) => each.outerHTML.slice(0, 120))"""


def _shoot(screens: Screens, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    screens.page.screenshot(path=SHOTS / f"{name}.png")
    assert screens.page.evaluate(STICKING_OUT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1600])
def test_nothing_sticks_out_at_any_width(welcome: Screens, width: int, scheme: str) -> None:
    welcome.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    welcome.ask("/access prod-db 2h " + "Deploy a fix with a very_long_word" * 8)
    welcome.page.set_viewport_size({"width": width, "height": 800})
    _shoot(welcome, f"{scheme}-{width}-channel")
    welcome.page.get_by_role("button", name="Close the tour").click()
    welcome.page.get_by_role("button", name="Under the hood").click()
    _shoot(welcome, f"{scheme}-{width}-hood")
    welcome.page.get_by_role("complementary").get_by_role("button", name="Close").click()
    welcome.write(LEFT, "/access")
    expect(welcome.dialog("Request access")).to_be_visible()
    _shoot(welcome, f"{scheme}-{width}-form")


def test_dark_is_dark_by_the_system_and_by_choice(screens: Screens) -> None:
    def brightness() -> float:
        colour = screens.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3

    screens.page.emulate_media(color_scheme="dark")
    expect(screens.page.get_by_role("button", name="Light colours")).to_be_visible()
    assert brightness() < 60
    screens.page.get_by_role("button", name="Light colours").click()
    assert brightness() > 190
    # What was chosen stays, whatever the system says.
    screens.page.reload()
    expect(screens.pane(LEFT)).to_be_visible()
    assert brightness() > 190


def test_on_a_phone_one_person_is_shown_and_the_other_is_a_tap_away(screens: Screens) -> None:
    screens.ask()
    screens.page.set_viewport_size({"width": 390, "height": 844})
    expect(screens.card(LEFT)).to_be_visible()
    expect(screens.page.get_by_role("button", name="Jon Bauer", exact=True)).to_be_visible()
    screens.page.get_by_role("button", name="Jon Bauer", exact=True).click()
    approver = screens.page.get_by_role("region", name="Slack as Jon Bauer sees it")
    approver.get_by_role("button", name="Approve", exact=True).click()
    expect(approver.get_by_role("article").get_by_role("img", name="✅").first).to_be_visible()
    (request,) = screens.playground.stores.requests.iterate()
    assert request.approver == "U0JON"


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_nothing_moves_where_motion_is_not_wanted(
    open_context: Callable[[Motion], BrowserContext], playground: Playground, motion: Motion
) -> None:
    screens = Screens(open_context(motion).new_page(), playground)
    screens.open()
    tour = screens.page.get_by_role("region", name="Guided tour")
    seconds = float(tour.evaluate("tour => getComputedStyle(tour).animationDuration").removesuffix("s"))
    assert (seconds > 0.01) == (motion == "no-preference")


def test_two_pages_show_two_people_and_both_see_it_happen(screens: Screens) -> None:
    other = Screens(screens.page.context.new_page(), screens.playground)
    other.open("U0AIKO")
    screens.ask()
    expect(other.card(0).get_by_role("button", name="Approve")).to_be_visible()
    other.press(0, "Approve")
    for index in (LEFT, RIGHT):
        expect(screens.card(index)).to_contain_text("Approved")
    other.page.close()

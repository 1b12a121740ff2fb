"""How it looks: nothing sticks out on a phone, dark is dark, and motion stays away where it is not wanted.

The screenshots are left in .cache/screenshots, for anybody who wants to see them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, expect

from core.targets.base import OperationKey
from playground.demo_page import PERMISSIONS
from playground.playground import Playground
from tests.browser.conftest import Motion
from tests.browser.page_problems import PageProblems
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser
FONTS: Final = Path(__file__).parents[2] / "playground" / "web" / "css"
SHOTS: Final = Path(__file__).parents[2] / ".cache" / "screenshots"
MISPLACED: Final = """() => document.fonts.ready.then(() => [...document.querySelectorAll("#app *")].filter((each) => {
  const box = each.getBoundingClientRect();
  const style = getComputedStyle(each);
  const isShown = box.width > 1 && box.height > 1 && style.visibility === "visible" && !each.closest(".json, [inert]");
  const sticksOut = box.right > innerWidth + 1 || box.left < -1;
  const isOverfull = style.overflowX === "visible" && each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1;
  return isShown && (sticksOut || isOverfull);
}).map((each) => each.outerHTML.slice(0, 120)))"""
"""What reaches beyond the window, or lies over its neighbour because its own box is too narrow for it."""
LOADED_FONTS: Final = """() => document.fonts.ready.then(
  () => [...document.fonts].filter((each) => each.status === "loaded").map((each) => each.family))"""
ROOMY_PX: Final = 1181
"""From here on the page has room for a panel beside the panes: `roomy` in main.js."""
TEXT: Final = "/access prod 2h " + "Deploy a fix with a very_long_word" * 8


def _shoot(screens: Screens, name: str) -> None:
    misplaced = screens.page.evaluate(MISPLACED)
    SHOTS.mkdir(parents=True, exist_ok=True)
    screens.page.screenshot(path=SHOTS / f"{name}.png")
    assert misplaced == []


def _shoot_every_surface(welcome: Screens, width: int, name: str) -> None:
    welcome.ask(TEXT)
    welcome.page.set_viewport_size({"width": width, "height": 800})
    _shoot(welcome, f"{name}-channel")
    welcome.page.get_by_role("button", name="Close the tour").click()
    welcome.page.get_by_role("button", name="Under the hood").click()
    _shoot(welcome, f"{name}-hood")
    welcome.page.get_by_role("complementary").get_by_role("button", name="Close").click()
    welcome.write(LEFT, "/access")
    expect(welcome.dialog("Request access")).to_be_visible()
    _shoot(welcome, f"{name}-form")
    welcome.page.keyboard.press("Escape")
    expect(welcome.dialog("Request access")).to_be_hidden()
    channels = welcome.pane(LEFT).get_by_role("button", name="Channels")
    if channels.is_visible():
        channels.click()
    welcome.pane(LEFT).get_by_role("button", name="Countersign").click()
    expect(welcome.pane(LEFT).get_by_role("button", name="Request access")).to_be_visible()
    _shoot(welcome, f"{name}-home")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1600])
def test_nothing_sticks_out_at_any_width(welcome: Screens, width: int, scheme: str) -> None:
    welcome.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    _shoot_every_surface(welcome, width, f"{scheme}-{width}")
    assert welcome.page.evaluate(LOADED_FONTS) == ["Inter"]


@pytest.fixture(params=["blocked", "wide"])
def other_font(request: pytest.FixtureRequest, context: BrowserContext, page_problems: PageProblems) -> str:
    """A font that isn't ours: the machine's own, as ours is blocked, or one that is surely as wide as Verdana."""
    if request.param == "blocked":
        context.route("**/*.woff2", lambda route: route.abort())
        page_problems.expect(r"Failed to load resource: net::ERR_FAILED \(.*\.woff2\)")
    else:
        styles = (FONTS / "fonts.css").read_text(encoding="utf-8").replace("src:", "size-adjust: 120%; src:")
        context.route("**/fonts.css", lambda route: route.fulfill(content_type="text/css", body=styles))
    return str(request.param)


@pytest.mark.parametrize("width", [320, 821])
def test_nothing_sticks_out_in_another_font(other_font: str, welcome: Screens, width: int) -> None:
    _shoot_every_surface(welcome, width, f"{other_font}-{width}")
    assert welcome.page.evaluate(LOADED_FONTS) == ([] if other_font == "blocked" else ["Inter"])


def test_every_emoji_on_a_card_is_a_picture_that_loads(screens: Screens) -> None:
    screens.ask()
    screens.press(RIGHT, "Approve")
    expect(screens.card(LEFT)).to_contain_text("Approved")
    screens.write(LEFT, "Deployed :tada: 🚀 ⚠")
    expect(screens.messages(RIGHT, "Deployed").get_by_role("img")).to_have_count(3)
    pictures = screens.page.locator("img.emoji")
    expect(screens.card(LEFT).get_by_role("img", name="✅")).to_be_visible()
    pictures.evaluate_all("each => Promise.all(each.map((picture) => picture.decode()))")
    characters = screens.page.evaluate(
        r"() => document.getElementById('app').innerText.match(/\p{Emoji_Presentation}/gu) ?? []"
    )
    assert characters == []


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


def test_phone_shows_one_person_and_the_other_is_a_tap_away(screens: Screens) -> None:
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


def test_conversation_keeps_room_where_the_page_is_zoomed_in(welcome: Screens) -> None:
    # 1440 x 850 at 200 %, with the tour open; and the narrowest that must do.
    for width, height in ((720, 425), (320, 560)):
        welcome.page.set_viewport_size({"width": width, "height": height})
        room = welcome.pane(LEFT).get_by_role("log").bounding_box()
        assert room is not None
        assert room["height"] >= 120
        welcome.composer(LEFT).scroll_into_view_if_needed()
        expect(welcome.composer(LEFT)).to_be_in_viewport()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1024, 1440])
def test_panel_of_aws_fits_at_any_width(welcome: Screens, width: int, scheme: str) -> None:
    welcome.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    welcome.page.set_viewport_size({"width": width, "height": 800})
    aws = welcome.playground.aws
    for name in ("U0MIRA", "somebody.with.a.long.address@elsewhere.example"):
        aws.add_by_hand(PERMISSIONS[0].of(name))
    aws.give(PERMISSIONS[1].of("U0SAM"), welcome.playground.clock.now(), OperationKey("0123456789abcdef", 1))
    aws.take(PERMISSIONS[0].of("U0MIRA"), OperationKey("0123456789abcdef", 2))
    aws.switch_outage(is_out=True)
    if width < ROOMY_PX:
        # The page closes the panel a moment after it became narrow, so that it doesn't cover the panes.
        expect(welcome.aws).to_be_hidden()
        welcome.page.get_by_role("button", name="AWS (pretend)").click()
    expect(welcome.account("Staging")).to_contain_text("being added")
    _shoot(welcome, f"{scheme}-{width}-aws")
    welcome.aws.get_by_text("Act as somebody else").click()
    _shoot(welcome, f"{scheme}-{width}-aws-by-hand")

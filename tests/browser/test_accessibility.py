"""axe-core finds nothing to object to, on any screen that the page has, light and dark, wide and narrow."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from core.targets.base import OperationKey
from playground.demo_page import PERMISSIONS
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser
NARROW = {"width": 390, "height": 844}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def find_objections(screens: Screens, within: str | None = None) -> list[str]:
    """What axe-core objects to on the page as it is now, or within a part of it."""
    found = Axe().run(screens.page, context=within, options=RULES)
    return [
        f"{rule['id']}: {node['html'][:140]} {[each['message'] for each in node['any']]}"
        for rule in found.response["violations"]
        for node in rule["nodes"]
    ]


@pytest.fixture(params=["light", "dark"])
def shown(request: pytest.FixtureRequest, welcome: Screens) -> Screens:
    welcome.page.emulate_media(color_scheme=request.param)
    return welcome


def test_page_with_the_tour_and_cards(shown: Screens) -> None:
    shown.ask()
    assert not find_objections(shown), "\n".join(find_objections(shown))
    shown.press(RIGHT, "Approve")
    expect(shown.card(LEFT)).to_contain_text("Approved")
    shown.pane(LEFT).get_by_role("button", name="Terminal", exact=True).click()
    terminal = shown.page.get_by_role("region", name="Terminal of Mira Lindqvist")
    terminal.get_by_role("textbox").fill("ls")
    terminal.get_by_role("textbox").press("Enter")
    expect(terminal).to_contain_text("exit code 127")
    shown.page.get_by_role("button", name="Under the hood").click()
    expect(shown.page.get_by_role("complementary")).to_contain_text("request approved")
    assert not find_objections(shown), "\n".join(find_objections(shown))


def test_forms_with_mistakes_and_open_lists(shown: Screens) -> None:
    shown.write(LEFT, "/access")
    form = shown.dialog("Request access")
    form.get_by_role("button", name="Request").click()
    expect(form.get_by_text("Please complete this required field.").first).to_be_visible()
    assert not find_objections(shown), "\n".join(find_objections(shown))
    form.get_by_role("combobox", name="What do you need?").click()
    expect(form.get_by_role("listbox")).to_be_visible()
    assert not find_objections(shown), "\n".join(find_objections(shown))


def test_home_panels_and_menus(shown: Screens) -> None:
    shown.ask()
    shown.pane(LEFT).get_by_role("button", name="Countersign").click()
    expect(shown.pane(LEFT).get_by_role("button", name="Request access")).to_be_visible()
    shown.card(RIGHT).get_by_role("button", name="More actions").click()
    assert not find_objections(shown), "\n".join(find_objections(shown))
    shown.page.keyboard.press("Escape")
    for tool in ("Move it forward", "Race"):
        shown.page.get_by_role("button", name=tool).click()
        expect(shown.page.get_by_role("dialog")).to_be_visible()
        assert not find_objections(shown), "\n".join(find_objections(shown))
        shown.page.keyboard.press("Escape")


def test_panel_of_aws_in_an_outage(shown: Screens) -> None:
    aws = shown.playground.aws
    aws.add_by_hand(PERMISSIONS[0].of("U0MIRA"))
    aws.give(PERMISSIONS[1].of("U0SAM"), shown.playground.clock.now(), OperationKey("0123456789abcdef", 1))
    aws.switch_outage(is_out=True)
    shown.aws.get_by_text("Act as somebody else").click()
    expect(shown.account("Staging")).to_contain_text("being added")
    assert not find_objections(shown), "\n".join(find_objections(shown))


def test_narrow_screen(shown: Screens) -> None:
    shown.ask()
    shown.page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    assert not find_objections(shown), "\n".join(find_objections(shown))
    shown.pane(0).get_by_role("button", name="Channels").click()
    expect(shown.page.get_by_role("navigation").first).to_be_visible()
    assert not find_objections(shown), "\n".join(find_objections(shown))

"""The panel "AWS (pretend)": who holds what, as it changes, on whatever store the decisions are kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.screens import Screens

pytestmark = pytest.mark.browser


def aws(screens: Screens) -> Locator:
    return screens.page.get_by_role("region", name="AWS (pretend)")


def account(screens: Screens, name: str = "Production") -> Locator:
    return aws(screens).get_by_role("region", name=f"{name} account")


def test_somebody_else_gives_and_takes_by_hand(screens: Screens) -> None:
    expect(account(screens)).to_contain_text("Nobody has access")
    panel = aws(screens)
    panel.get_by_text("Act as somebody else in AWS").click()
    panel.get_by_label("Person").select_option("Sam Osei")
    panel.get_by_label("Permission").select_option("Staging: PowerUserAccess")
    panel.get_by_role("button", name="Give it by hand").click()

    held = account(screens, "Staging").get_by_role("listitem")
    expect(held).to_contain_text("Sam Osei")
    expect(held).to_contain_text("given by somebody else")
    expect(panel.get_by_role("status")).to_have_text("AWS: Sam Osei got PowerUserAccess in Staging, by somebody else")
    expect(screens.page.get_by_role("button", name="AWS (pretend): 1 assignment")).to_be_visible()

    held.get_by_role("button", name="Remove PowerUserAccess from Sam Osei by hand").click()
    expect(account(screens, "Staging")).to_contain_text("Nobody has access")


def test_outage_is_a_switch_that_other_pages_see(screens: Screens) -> None:
    other = Screens(screens.page.context.new_page(), screens.playground)
    other.open()
    switch = aws(screens).get_by_role("switch", name="Outage")
    switch.focus()
    screens.page.keyboard.press("Space")
    expect(switch).to_be_checked()
    for each in (screens, other):
        expect(aws(each)).to_contain_text("AWS doesn't answer")
    other.page.close()
    screens.page.reload()
    expect(aws(screens).get_by_role("switch", name="Outage")).to_be_checked()

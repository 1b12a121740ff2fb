"""Keyboard only: request by command and by form, approve, change person, and always have a visible focus."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from core.request import RequestStatus
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser


def _focused_name(screens: Screens) -> str:
    name: str = screens.page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
    )
    return name


def _tab_to(screens: Screens, name: str, most: int = 60) -> None:
    for _ in range(most):
        if re.fullmatch(name, _focused_name(screens)):
            return
        screens.page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {name}")


def test_request_is_asked_for_and_approved_without_a_mouse(screens: Screens) -> None:
    keyboard = screens.page.keyboard
    keyboard.press("F6")
    while not screens.composer(LEFT).evaluate("field => field === document.activeElement"):
        keyboard.press("F6")
    keyboard.type("/a")
    expect(screens.page.get_by_role("option", name="/access")).to_have_attribute("aria-selected", "true")
    keyboard.press("Tab")
    expect(screens.composer(LEFT)).to_have_value("/access ")
    keyboard.type("prod 1h Deploy the fix for INC-12")
    keyboard.press("Enter")
    expect(screens.card(RIGHT).get_by_role("button", name="Approve")).to_be_visible()

    keyboard.press("F6")
    expect(screens.composer(RIGHT)).to_be_focused()
    for _ in range(20):
        if _focused_name(screens) == "Approve":
            break
        keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    expect(screens.card(RIGHT)).to_contain_text("Approved")
    # The button is gone; whoever pressed it is still at its card.
    expect(screens.card(RIGHT)).to_be_focused()
    (request,) = screens.playground.stores.requests.iterate()
    assert (request.status, request.approver) == (RequestStatus.APPROVED, "U0JON")


def test_form_is_filled_in_without_a_mouse_and_keeps_focus(screens: Screens) -> None:
    keyboard = screens.page.keyboard
    screens.composer(LEFT).focus()
    keyboard.type("/access")
    keyboard.press("Enter")
    form = screens.dialog("Request access")
    expect(form.get_by_role("combobox", name="What do you need?")).to_be_focused()
    keyboard.type("st")
    keyboard.press("Enter")
    expect(form.get_by_role("list", name="Chosen")).to_contain_text("staging")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.type("Try the new index on real rows")
    for _ in range(8):
        keyboard.press("Tab")
        assert form.evaluate("form => form.contains(document.activeElement)")
    form.get_by_role("button", name="Request").focus()
    keyboard.press("Enter")
    expect(form).to_be_hidden()
    assert [request.profile for request in screens.playground.stores.requests.iterate()] == ["staging"]


def test_person_is_changed_and_menu_used_without_a_mouse(screens: Screens) -> None:
    keyboard = screens.page.keyboard
    screens.ask()
    screens.pane(RIGHT).get_by_role("button", name=re.compile("^You are ")).focus()
    keyboard.press("Enter")
    expect(screens.page.get_by_role("menuitemradio", name=re.compile("Jon"))).to_be_focused()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(screens.pane(RIGHT)).to_have_accessible_name("Slack as Aiko Tanaka sees it")

    screens.card(RIGHT).get_by_role("button", name="More actions").focus()
    keyboard.press("ArrowDown")
    expect(screens.page.get_by_role("menuitem", name="Approve with a comment…")).to_be_focused()
    keyboard.press("Escape")
    expect(screens.card(RIGHT).get_by_role("button", name="More actions")).to_be_focused()


def test_line_that_is_no_command_is_kept_and_explained(screens: Screens) -> None:
    screens.write(LEFT, "/acess prod")
    expect(screens.pane(LEFT).get_by_role("alert")).to_contain_text("/acess isn't a command here")
    expect(screens.composer(LEFT)).to_have_value("/acess prod")


def test_tab_leads_through_the_whole_page(screens: Screens) -> None:
    _tab_to(screens, "Dark colours")
    _tab_to(screens, re.escape("You are Mira Lindqvist. Be somebody else"))
    _tab_to(screens, re.escape("You are Jon Bauer. Be somebody else"))

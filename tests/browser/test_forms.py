"""Forms: mistakes are shown in their fields, what was typed stays, and what is sent reaches the right people."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import expect

from core.request import RequestStatus
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser
WHY_NOT = "Please wait for the window on Thursday"


def test_mistake_is_shown_in_its_field_and_input_stays(screens: Screens) -> None:
    screens.write(LEFT, "/access")
    form = screens.dialog("Request access")
    why = form.get_by_role("textbox", name="Why?")
    why.fill("too short")
    form.get_by_role("button", name="Request").click()

    expect(why).to_have_attribute("aria-invalid", "true")
    expect(why).to_have_accessible_description("Please enter at least 10 characters. Approvers and auditors see this.")
    profile = form.get_by_role("combobox", name="What do you need?")
    expect(profile).to_have_accessible_description(re.compile("^Please complete this required field."))
    expect(profile).to_be_focused()
    expect(why).to_have_value("too short")
    assert list(screens.playground.stores.requests.iterate()) == []

    profile.click()
    form.get_by_role("option", name="staging").click()
    expect(form.get_by_role("list", name="Chosen")).to_contain_text("staging")
    form.get_by_role("combobox", name="For how long?").click()
    form.get_by_role("option", name="8h").click()
    why.fill("Try the new index on real rows")
    form.get_by_role("button", name="Request").click()
    expect(form).to_be_hidden()
    (request,) = screens.playground.stores.requests.iterate()
    assert (request.profile, request.justification) == ("staging", "Try the new index on real rows")


def test_form_covers_only_the_tab_it_was_opened_in(screens: Screens) -> None:
    other = Screens(screens.page.context.new_page(), screens.playground)
    other.open("U0MIRA")
    screens.write(LEFT, "/access")
    expect(screens.dialog("Request access")).to_be_visible()
    other.write(LEFT, "Are you there?")
    expect(screens.messages(RIGHT, "Are you there?")).to_be_visible()
    expect(other.dialog("Request access")).to_be_hidden()
    # A reload is the same tab.
    screens.page.reload()
    expect(screens.dialog("Request access")).to_be_visible()
    other.page.close()


def test_denying_needs_a_reason_which_the_requester_reads(screens: Screens) -> None:
    request = screens.ask()
    screens.press(RIGHT, "Deny…")
    form = screens.dialog("Deny request")
    form.get_by_role("button", name="Deny").click()
    expect(form.get_by_role("textbox", name="Why are you denying this request?")).to_have_accessible_description(
        "Please complete this required field."
    )
    form.get_by_role("textbox", name="Why are you denying this request?").fill(WHY_NOT)
    form.get_by_role("button", name="Deny").click()

    expect(screens.card(LEFT)).to_contain_text("Denied")
    expect(screens.card(LEFT)).to_contain_text(WHY_NOT)
    assert screens.stored(request).status is RequestStatus.DENIED
    # The requester learns of it in the conversation with the bot, which says that there is something new.
    app = screens.pane(LEFT).get_by_role("button", name="Countersign")
    expect(app).to_have_accessible_name("Countersign , 1 new")
    app.click()
    expect(screens.messages(LEFT, WHY_NOT)).to_be_visible()
    expect(app).to_have_accessible_name("Countersign")


def test_escape_closes_a_form_and_gives_the_keyboard_back(screens: Screens) -> None:
    screens.write(LEFT, "/access")
    form = screens.dialog("Request access")
    expect(form.get_by_role("combobox", name="What do you need?")).to_be_focused()
    # The list is closed first, and the form stays.
    screens.page.keyboard.press("Enter")
    expect(form.get_by_role("listbox")).to_be_visible()
    screens.page.keyboard.press("Escape")
    expect(form.get_by_role("listbox")).to_be_hidden()
    expect(form).to_be_visible()
    screens.page.keyboard.press("Escape")
    expect(form).to_be_hidden()
    expect(screens.composer(LEFT)).to_be_focused()


_WATCH_INERT: Final = """() => {
    window.hadFocus = [];
    const look = () => window.hadFocus.push(document.activeElement.closest("[role=dialog]") !== null);
    new MutationObserver(look).observe(document.body, { attributeFilter: ["inert"], subtree: true });
}"""
"""Notes, whenever something is covered or uncovered and before the browser paints, whether a dialog has the focus."""


def test_form_has_the_focus_before_what_it_covers_loses_it(screens: Screens) -> None:
    screens.page.evaluate(_WATCH_INERT)
    screens.write(LEFT, "/access")
    expect(screens.dialog("Request access")).to_be_visible()
    assert screens.page.evaluate("() => window.hadFocus[0]") is True


def test_guest_is_refused_in_words(screens: Screens) -> None:
    screens.be(RIGHT, "Gia Moreau")
    screens.write(RIGHT, "/access prod 1h Let me in please, just once")
    expect(screens.messages(RIGHT, "Only visible to you")).to_contain_text("Nothing was changed")
    assert list(screens.playground.stores.requests.iterate()) == []


def test_approval_form_shows_the_request_as_it_is_recorded(screens: Screens) -> None:
    request = screens.ask()
    screens.card(RIGHT).get_by_role("button", name="More actions").click()
    screens.page.get_by_role("menuitem", name="Approve with a comment…").click()
    form = screens.dialog("Approve request")
    for fact in ("Mira Lindqvist", "prod", "1h", "Deploy the fix for INC-12", request.id):
        expect(form).to_contain_text(fact)
    assert screens.stored(request).status is RequestStatus.PENDING

    form.get_by_role("textbox", name="Comment for the requester").fill("Go ahead")
    form.get_by_role("button", name="Approve").click()
    expect(screens.dialog("Countersign")).to_contain_text("Approved.")
    assert screens.stored(request).approver_comment == "Go ahead"

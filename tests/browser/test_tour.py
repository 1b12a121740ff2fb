"""The guided tour: from a request, by access that opens and closes, to break-glass; dismissed, it stays away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, expect

from core.break_glass import EventStatus
from core.request import RequestStatus
from localslack.records import SlackMessage
from playground.folder import Folder
from playground.playground import open_playground
from tests.browser.screens import LEFT, RIGHT, Screens

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.page_problems import PageProblems

pytestmark = pytest.mark.browser


def test_tour_leads_from_a_request_to_access_and_break_glass(welcome: Screens) -> None:
    screens = welcome
    tour = screens.page.get_by_role("region", name="Guided tour")

    tour.get_by_role("button", name="Write it for her").click()
    expect(screens.composer(LEFT)).to_be_focused()
    screens.page.keyboard.press("Enter")
    expect(tour.get_by_role("heading")).to_have_text("Approve it")
    expect(screens.card(RIGHT).get_by_role("button", name="Approve")).to_be_visible()

    tour.get_by_role("button", name="Show me Jon's button").click()
    expect(screens.card(RIGHT).get_by_role("button", name="Approve")).to_be_focused()
    screens.page.keyboard.press("Enter")

    for index in (LEFT, RIGHT):
        expect(screens.card(index)).to_contain_text("Approved")
    (request,) = screens.playground.stores.requests.iterate()
    assert (request.status, request.approver) == (RequestStatus.APPROVED, "U0JON")

    expect(tour.get_by_role("heading")).to_have_text("Use it, and give it back")
    expect(screens.account()).to_contain_text("Mira Lindqvist")
    expect(screens.card(LEFT).get_by_role("button", name="I'm done")).to_be_visible()
    tour.get_by_role("button", name="Show me Mira's button").click()
    expect(screens.card(LEFT).get_by_role("button", name="I'm done")).to_be_focused()
    screens.page.keyboard.press("Enter")
    expect(screens.account()).to_contain_text("Nobody has an assignment")

    expect(tour.get_by_role("heading")).to_have_text("Let two approvers race")
    tour.get_by_role("button", name="Open the race").click()
    expect(screens.dialog("Press Approve as both at once")).to_be_visible()
    screens.page.keyboard.press("Escape")
    tour.get_by_role("button", name="Skip").click()

    expect(tour.get_by_role("heading")).to_have_text("Break the glass")
    tour.get_by_role("button", name="Write it for Sam").click()
    expect(screens.composer(LEFT)).to_be_focused()
    screens.page.keyboard.press("Enter")
    expect(screens.messages(LEFT, "Break-glass: prod").last).to_be_visible()
    expect(screens.messages(RIGHT, "Break-glass: prod").last).to_be_visible()
    expect(screens.account()).to_contain_text("Sam Osei")
    (event,) = screens.playground.stores.break_glass.iterate()
    assert (event.status, event.invoker) == (EventStatus.ACTIVE, "U0SAM")

    expect(tour.get_by_role("heading")).to_have_text("Have it reviewed")
    tour.get_by_role("button", name="Show me Sam's button").click()
    expect(screens.card(LEFT, "Break-glass: prod").get_by_role("button", name="Close…")).to_be_focused()
    for heading in (
        "Have it reviewed",
        "Move the clock",
        "Request access at night",
        "Nobody answers",
        "Approve on call",
        "Hand over",
        "Tamper with a record",
    ):
        expect(tour.get_by_role("heading")).to_have_text(heading)
        tour.get_by_role("button", name="Skip").click()

    expect(tour.get_by_role("heading")).to_have_text("Pair a terminal")
    tour.get_by_role("button", name="Open her terminal").click()
    terminal = screens.page.get_by_role("region", name="Terminal of Mira Lindqvist")
    expect(terminal.get_by_role("textbox")).to_be_focused()
    expect(terminal.get_by_role("textbox")).to_have_value("countersign login")


def test_tour_goes_on_after_a_denial(welcome: Screens) -> None:
    screens = welcome
    tour = screens.page.get_by_role("region", name="Guided tour")
    screens.ask()
    expect(tour.get_by_role("button", name="Show me Jon's button")).to_be_visible()
    screens.press(RIGHT, "Deny…")
    form = screens.dialog("Deny request")
    form.get_by_role("textbox").first.fill("Which ticket is it?")
    form.get_by_role("button", name="Deny").click()
    expect(tour).to_contain_text("Nothing waits for approval now.")
    tour.get_by_role("button", name="Write a new request").click()
    expect(screens.composer(LEFT)).to_be_focused()
    screens.page.keyboard.press("Enter")
    expect(tour.get_by_role("button", name="Show me Jon's button")).to_be_visible()
    assert len(list(screens.playground.stores.requests.iterate())) == 2


def test_dismissed_tour_stays_away_until_it_is_asked_for(screens: Screens) -> None:
    tour = screens.page.get_by_role("region", name="Guided tour")
    expect(tour).to_be_hidden()
    screens.page.reload()
    expect(screens.pane(LEFT)).to_be_visible()
    expect(tour).to_be_hidden()
    screens.page.get_by_role("button", name="Tour", exact=True).click()
    expect(tour).to_be_visible()


def test_open_page_begins_anew_after_a_reset(
    context: BrowserContext, tmp_path: Path, page_problems: PageProblems
) -> None:
    page_problems.expect(r"Failed to load resource: net::.*/page/(stream|acts/last)")
    page = context.new_page()
    with Folder(tmp_path / "reset") as folder, open_playground(folder, port=0) as first:
        screens = Screens(page, first)
        screens.open()
        screens.ask()
        page.get_by_role("button", name="Close the tour").click()
        port = int(first.slack.url.rpartition(":")[2])
    with Folder(tmp_path / "reset", reset=True) as folder, open_playground(folder, port=port):
        expect(page.get_by_role("region", name="Guided tour")).to_contain_text("Request access")
        expect(screens.messages(LEFT, "Deploy the fix")).to_have_count(0)
        page.close()


def test_everything_survives_a_restart_and_the_open_page_goes_on(
    context: BrowserContext, folder: Folder, page_problems: PageProblems
) -> None:
    # Chromium says so of each try, for as long as nothing answers.
    page_problems.expect(r"Failed to load resource: net::.*/page/(stream|acts/last)")
    with open_playground(folder, port=0) as first:
        screens = Screens(context.new_page(), first)
        screens.open()
        request = screens.ask()
        port = int(first.slack.url.rpartition(":")[2])
        page = screens.page
    expect(page.get_by_text("Not connected")).to_be_visible()

    with open_playground(folder, port=port) as second:
        slack = second.slack
        slack.workspace.post_message(
            SlackMessage(ts=slack.workspace.new_ts(), channel="C0ACCESS", user="U0SAM", text="Said while you were away")
        )
        screens = Screens(page, second)
        expect(page.get_by_text("Not connected")).to_be_hidden()
        expect(screens.messages(LEFT, "Said while you were away")).to_be_visible()
        screens.press(RIGHT, "Approve")
        expect(screens.card(LEFT)).to_contain_text("Approved")
        assert screens.stored(request).status is RequestStatus.APPROVED
        page.close()

"""The clock: moving it forward makes deadlines due, on both screens at once."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.request import RequestStatus
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser


def test_request_expires_when_the_clock_passes_its_deadline(screens: Screens) -> None:
    request = screens.ask()
    screens.page.get_by_role("button", name="Move it forward").click()
    panel = screens.dialog("Move the clock forward")
    panel.get_by_role("button", name="prod, Mira Lindqvist: request expires").click()

    for index in (LEFT, RIGHT):
        expect(screens.card(index)).to_contain_text("Expired")
        expect(screens.card(index).get_by_role("button", name="Approve")).to_have_count(0)
    expect(panel).to_contain_text("ahead of yours")
    assert screens.stored(request).status is RequestStatus.EXPIRED
    assert screens.playground.clock.now() > request.expires_at


def test_details_show_who_ended_it_and_the_sealed_history(screens: Screens) -> None:
    screens.ask()
    screens.page.get_by_role("button", name="Move it forward").click()
    screens.dialog("Move the clock forward").get_by_role("button", name="+ 1 day").click()
    expect(screens.card(LEFT)).to_contain_text("Expired")
    screens.page.keyboard.press("Escape")

    screens.page.get_by_role("button", name="Under the hood").click()
    hood = screens.page.get_by_role("complementary", name="Under the hood")
    expect(hood.get_by_role("listitem").filter(has_text="request expired")).to_contain_text("the clock")
    hood.get_by_role("button", name="The action before").click()
    expect(hood).to_contain_text("/access prod 1h Deploy the fix for INC-12")
    expect(hood).to_contain_text("Acknowledged, HTTP 200")
    expect(hood).to_contain_text("chat.postMessage")
    hood.get_by_text("Payload").click()
    expect(hood).to_contain_text('"command": "/access"')


def test_clock_stays_where_it_was_moved_to(screens: Screens) -> None:
    before = screens.playground.clock.ahead
    screens.page.get_by_role("button", name="Move it forward").click()
    screens.dialog("Move the clock forward").get_by_role("button", name="+ 1 hour").click()
    expect(screens.dialog("Move the clock forward")).to_contain_text("1 h ahead of yours")
    assert (screens.playground.clock.ahead - before).total_seconds() == 3600
    screens.page.reload()
    screens.page.get_by_role("button", name="Move it forward").click()
    expect(screens.dialog("Move the clock forward")).to_contain_text("1 h ahead of yours")

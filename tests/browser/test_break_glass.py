"""The whole story of a broken glass in the browser, on both stores: declared, seen, closed or run out, reviewed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.break_glass import BreakGlassEvent, EventId, EventStatus
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser

WHY = "INC-13: the database does not answer"


@pytest.fixture
def store(each_store: str | None) -> str | None:
    return each_store


def break_the_glass(screens: Screens) -> BreakGlassEvent:
    """Sam, on call, declares it in the channel; Jon watches."""
    screens.be(LEFT, "Sam")
    screens.write(LEFT, f"/breakglass prod incident 1h {WHY}")
    for index in (LEFT, RIGHT):
        expect(screens.card(index, WHY)).to_contain_text("Break-glass: prod")
    (event,) = screens.playground.stores.break_glass.iterate()
    return event


def stored(screens: Screens, event: BreakGlassEvent) -> BreakGlassEvent:
    return screens.playground.stores.break_glass.get(EventId(event.id))


def test_event_is_declared_closed_and_reviewed_by_somebody_else(screens: Screens) -> None:
    event = break_the_glass(screens)
    closing = screens.open_form(LEFT, "Close…", WHY, "Close break-glass")
    closing.get_by_role("textbox").fill("The replica took over")
    closing.get_by_role("button", name="Close", exact=True).last.click()
    expect(screens.card(RIGHT, WHY)).to_contain_text("The replica took over")
    expect(screens.card(RIGHT, WHY)).to_contain_text("Needs a review")

    review = screens.open_form(RIGHT, "Review…", WHY, "Review break-glass")
    review.get_by_role("combobox").click()
    screens.page.get_by_role("option", name="Justified").first.click()
    review.get_by_role("textbox").first.fill("The runbook was followed; INC-13 has the details.")
    review.get_by_role("button", name="Submit review").click()
    for index in (LEFT, RIGHT):
        expect(screens.card(index, WHY)).to_contain_text("Reviewed: justified")

    told = stored(screens, event).review
    assert told is not None
    assert told.reviewer == "U0JON"


def test_clock_ends_it_and_asks_its_invoker_before(screens: Screens) -> None:
    event = break_the_glass(screens)
    screens.page.get_by_role("button", name="Move it forward").click()
    screens.dialog("Move the clock forward").get_by_role("button", name="+ 1 day").click()

    expect(screens.card(RIGHT, WHY)).to_contain_text("Expired")
    assert stored(screens, event).status is EventStatus.EXPIRED


def test_second_event_is_refused_and_security_is_notified(screens: Screens) -> None:
    break_the_glass(screens)
    screens.write(LEFT, f"/breakglass prod incident 1h {WHY}, once more")

    expect(screens.messages(LEFT, "Nothing was changed").last).to_contain_text("Only visible to you")
    screens.pane(RIGHT).get_by_role("button", name="incidents").first.click()
    expect(screens.messages(RIGHT, "was refused").last).to_be_visible()
    assert len(list(screens.playground.stores.break_glass.iterate())) == 1

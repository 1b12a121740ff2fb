"""The panel "AWS (pretend)": decisions open and close access that can be seen, whatever fails meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, expect

from playground.evidence import Evidence
from playground.playground import open_playground
from tests.browser.screens import LEFT, OF_PROD_DB, RIGHT, Screens

if TYPE_CHECKING:
    from playground.folder import Folder
    from tests.browser.page_problems import PageProblems

pytestmark = pytest.mark.browser
EMPTY = "Nobody has an assignment"
WHY = "INC-13: the database does not answer"


class TestOnEachStore:
    """What the store has to carry."""

    @pytest.fixture
    def store(self, each_store: str | None) -> str | None:
        return each_store

    def test_approval_opens_it_and_who_is_done_gives_it_back(self, screens: Screens) -> None:
        expect(screens.account()).to_contain_text(EMPTY)
        screens.ask()
        screens.press(RIGHT, "Approve")
        expect(screens.account().get_by_role("listitem")).to_contain_text("Mira Lindqvist")
        expect(screens.account()).to_contain_text("AdministratorAccess")
        for index in (LEFT, RIGHT):
            expect(screens.card(index)).to_contain_text("Open until")
        (deadline,) = Evidence(screens.playground.stores).deadlines(screens.playground.clock.now())
        assert deadline["kind"] == "access"

        screens.press(LEFT, "I'm done")
        expect(screens.account()).to_contain_text(EMPTY)
        for index in (LEFT, RIGHT):
            expect(screens.card(index)).to_contain_text("Closed")
            expect(screens.card(index)).to_contain_text("can live until")
        expect(screens.card(LEFT).get_by_role("button", name="I'm done")).to_have_count(0)
        assert Evidence(screens.playground.stores).deadlines(screens.playground.clock.now()) == []

    def test_glass_opens_it_at_once_and_closing_closes_it(self, screens: Screens) -> None:
        screens.be(LEFT, "Sam")
        screens.write(LEFT, f"/breakglass prod incident 1h {WHY}")
        expect(screens.account().get_by_role("listitem")).to_contain_text("Sam Osei")
        expect(screens.card(RIGHT, WHY)).to_contain_text("Open until")

        screens.press(LEFT, "Close…", WHY)
        closing = screens.dialog("Close break-glass")
        closing.get_by_role("textbox").fill("The replica took over")
        closing.get_by_role("button", name="Close", exact=True).last.click()
        expect(screens.account()).to_contain_text(EMPTY)

    def test_it_outlives_a_restart_and_ends_with_its_time(
        self, context: BrowserContext, folder: Folder, store: str | None, page_problems: PageProblems
    ) -> None:
        # Chromium says so of each try, for as long as nothing answers.
        page_problems.expect(r"Failed to load resource: net::.*/page/(stream|acts/last)")
        with open_playground(folder, store=store, port=0) as first:
            screens = Screens(context.new_page(), first)
            screens.open()
            screens.ask()
            screens.press(RIGHT, "Approve")
            expect(screens.account()).to_contain_text("Mira Lindqvist")
            port = int(first.slack.url.rpartition(":")[2])
        expect(screens.page.get_by_text("Not connected")).to_be_visible()

        with open_playground(folder, store=store, port=port) as second:
            screens = Screens(screens.page, second)
            expect(screens.page.get_by_text("Not connected")).to_be_hidden()
            expect(screens.account()).to_contain_text("Mira Lindqvist")
            screens.move_clock("1 hour")
            expect(screens.account()).to_contain_text(EMPTY)
            expect(screens.card(RIGHT)).to_contain_text("Closed")
            screens.page.close()

    def test_outage_holds_it_up_and_then_it_is_done(self, screens: Screens) -> None:
        outage = screens.aws.get_by_role("switch", name="Outage")
        outage.click()
        expect(screens.aws).to_contain_text("AWS doesn't answer")
        screens.ask()
        screens.press(RIGHT, "Approve")
        expect(screens.card(LEFT)).to_contain_text("Opening")
        expect(screens.account()).to_contain_text(EMPTY)
        outage.click()
        screens.move_clock("10 minutes")
        expect(screens.account()).to_contain_text("Mira Lindqvist")
        expect(screens.card(LEFT)).to_contain_text("Open until")

        outage.click()
        expect(screens.aws).to_contain_text("AWS doesn't answer")
        screens.press(LEFT, "I'm done")
        expect(screens.card(RIGHT)).to_contain_text("Closing")
        expect(screens.account()).to_contain_text("Mira Lindqvist")
        outage.click()
        screens.move_clock("10 minutes")
        expect(screens.account()).to_contain_text(EMPTY)
        expect(screens.card(RIGHT)).to_contain_text("Closed")


def test_glass_in_an_outage_says_what_to_do_instead(screens: Screens) -> None:
    screens.aws.get_by_role("switch", name="Outage").click()
    expect(screens.aws).to_contain_text("AWS doesn't answer")
    screens.be(LEFT, "Sam")
    screens.write(LEFT, f"/breakglass prod incident 1h {WHY}")
    expect(screens.card(LEFT, WHY)).to_contain_text("Opening")
    screens.move_clock("10 minutes")
    expect(screens.card(LEFT, WHY)).to_contain_text("takes longer than usual")
    screens.pane(LEFT).get_by_role("button", name="Countersign").click()
    screens.pane(LEFT).get_by_role("button", name="Messages").click()
    told = screens.messages(LEFT, "isn't open yet").last
    expect(told).to_contain_text("Ask Aiko, who can give access in AWS by hand")


def test_profile_without_access_opens_nothing(screens: Screens) -> None:
    screens.open(OF_PROD_DB)
    screens.ask("/access prod-db 1h Deploy the fix for INC-12")
    for name in ("Jon", "Aiko"):
        screens.be(RIGHT, name)
        screens.press(RIGHT, "Approve")
    expect(screens.card(LEFT)).to_contain_text("Approved")
    expect(screens.card(LEFT).get_by_role("button", name="I'm done")).to_have_count(0)
    assert screens.playground.aws.state.happened == ()


def test_what_somebody_else_gave_stays(screens: Screens) -> None:
    panel = screens.aws
    panel.get_by_text("Act as somebody else in AWS").click()
    panel.get_by_label("Person").select_option("Mira Lindqvist")
    panel.get_by_label("Permission").select_option("Production: AdministratorAccess")
    panel.get_by_role("button", name="Give it by hand").click()
    expect(screens.account()).to_contain_text("given by somebody else")

    screens.ask()
    screens.press(RIGHT, "Approve")
    expect(screens.card(LEFT)).to_contain_text("had this access already")
    screens.press(LEFT, "I'm done")
    expect(screens.card(LEFT)).to_contain_text("from elsewhere. It stays.")
    expect(screens.account()).to_contain_text("Mira Lindqvist")


def test_somebody_else_gives_and_takes_by_hand(screens: Screens) -> None:
    panel = screens.aws
    panel.get_by_text("Act as somebody else in AWS").click()
    panel.get_by_label("Person").select_option("Sam Osei")
    panel.get_by_label("Permission").select_option("Staging: PowerUserAccess")
    panel.get_by_role("button", name="Give it by hand").click()
    held = screens.account("Staging").get_by_role("listitem")
    expect(held).to_contain_text("Sam Osei")
    expect(panel.get_by_role("status")).to_have_text("AWS: Sam Osei got PowerUserAccess in Staging, by somebody else")
    expect(screens.page.get_by_role("button", name="AWS (pretend): 1 assignment")).to_be_visible()

    held.get_by_role("button", name="Remove PowerUserAccess from Sam Osei by hand").focus()
    screens.page.keyboard.press("Enter")
    expect(screens.account("Staging")).to_contain_text(EMPTY)
    expect(panel.get_by_role("region", name="Who holds what")).to_be_focused()


def test_outage_is_a_switch_that_other_pages_see(screens: Screens) -> None:
    other = Screens(screens.page.context.new_page(), screens.playground)
    other.open()
    switch = screens.aws.get_by_role("switch", name="Outage")
    switch.focus()
    screens.page.keyboard.press("Space")
    expect(switch).to_be_checked()
    for each in (screens, other):
        expect(each.aws).to_contain_text("AWS doesn't answer")
    other.page.close()
    screens.page.reload()
    expect(screens.aws.get_by_role("switch", name="Outage")).to_be_checked()


def test_panel_gives_way_where_there_is_no_room(screens: Screens) -> None:
    tool = screens.page.get_by_role("button", name="AWS (pretend)")
    expect(screens.aws).to_be_visible()
    screens.page.set_viewport_size({"width": 390, "height": 844})
    expect(screens.aws).to_be_hidden()
    tool.click()
    expect(screens.aws).to_be_visible()
    screens.aws.get_by_role("button", name="Close").click()
    expect(screens.aws).to_be_hidden()

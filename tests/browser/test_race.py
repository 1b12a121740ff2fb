"""Two approvers at the same moment: one decides, the other learns who was first, and the page shows which was which."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.audit.trail import AuditAction
from core.request import RequestStatus
from tests.browser.screens import LEFT, RIGHT, Screens

pytestmark = pytest.mark.browser


def test_approve_by_both_at_once_has_one_winner_on_the_page(screens: Screens) -> None:
    request = screens.ask()
    screens.page.get_by_role("button", name="Race").click()
    panel = screens.dialog("Press Approve as both at once")
    panel.get_by_role("button", name="Press Approve as both at once").click()

    lanes = panel.get_by_role("listitem")
    expect(lanes).to_have_count(2)
    stored = screens.stored(request)
    winner, loser = ("Jon Bauer", "Aiko Tanaka") if stored.approver == "U0JON" else ("Aiko Tanaka", "Jon Bauer")
    expect(lanes.nth(0)).to_contain_text(f"{winner} approved it")
    expect(lanes.nth(1)).to_contain_text(f"{loser} came second")
    expect(lanes.nth(1)).to_contain_text(f"This was already approved by @{winner}")
    expect(lanes.nth(0)).to_contain_text("reads Approved")

    assert stored.status is RequestStatus.APPROVED
    chain = [entry.event for entry in screens.playground.stores.audit.get_chain(stored.chain)]
    assert chain.count(AuditAction.REQUEST_APPROVED) == 1
    for index in (LEFT, RIGHT):
        expect(screens.card(index)).to_contain_text("Approved")


def test_second_approver_reads_who_was_first(screens: Screens) -> None:
    screens.open("U0AIKO,U0JON")
    screens.playground.slack.run_command("U0MIRA", "C0ACCESS", "/access", "prod 1h Deploy the fix for INC-12")
    expect(screens.card(RIGHT).get_by_role("button", name="Approve")).to_be_visible()
    screens.page.get_by_role("button", name="Race").click()
    screens.page.get_by_role("dialog").get_by_role("button", name="Press Approve as both at once").click()
    expect(screens.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(2)
    screens.page.keyboard.press("Escape")

    (request,) = screens.playground.stores.requests.iterate()
    loser, winner = (LEFT, "Jon Bauer") if request.approver == "U0JON" else (RIGHT, "Aiko Tanaka")
    expect(screens.messages(loser, "Only visible to you").last).to_contain_text(f"already approved by @{winner}")


def test_race_panel_offers_to_request_first_when_nothing_waits(screens: Screens) -> None:
    screens.page.get_by_role("button", name="Race").click()
    panel = screens.dialog("Press Approve as both at once")
    expect(panel).to_contain_text("Nothing waits for approval")
    tally = {"races": 100, "wins": {"U0JON": 48, "U0AIKO": 52}, "once": 100, "twice": 0, "undecided": 0, "learnt": 100}
    verified = {"count": 100, "median_seconds": 0.03, "entries": 299, "findings": []}
    screens.playground.slack.backend.journal.publish("races", {"races": {**tally, **verified}})
    expect(panel).to_contain_text("100 of 100 races: exactly one decision")
    expect(panel).to_contain_text("The trail verifies: 299 entries, no tampering found")
    panel.get_by_role("button", name="Request prod as Mira").click()
    expect(panel.get_by_role("button", name="Press Approve as both at once")).to_be_visible()

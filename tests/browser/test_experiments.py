"""The experiments beside the panes: each changes something real, and what people read is on the same page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.screens import LEFT, RIGHT
from tests.browser.test_accessibility import find_objections

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.screens import Screens

pytestmark = pytest.mark.browser


def _open(screens: Screens, tab: str) -> Locator:
    screens.page.get_by_role("button", name=re.compile("^Experiments")).click()
    panel = screens.page.get_by_role("region", name="Experiments")
    panel.get_by_role("tab", name="Tamper").focus()
    while panel.get_by_role("tab", name=tab).get_attribute("aria-selected") != "true":
        screens.page.keyboard.press("ArrowRight")
    return panel


def test_tampered_record_is_refused_found_and_put_back(screens: Screens) -> None:
    request = screens.ask()
    panel = _open(screens, "Tamper")
    panel.get_by_label("How long").check()
    panel.get_by_role("button", name="Change it in the file").click()
    panel.get_by_role("button", name="Press Approve as Jon").click()
    expect(panel).to_contain_text("Jon reads")
    expect(panel).to_contain_text("nobody can decide on it")
    expect(panel).to_contain_text("#incidents reads")
    panel.get_by_role("button", name="Verify the audit trail").click()
    expect(panel.get_by_role("region", name="What the verification found")).to_contain_text("1 finding")
    assert find_objections(screens) == []

    panel.get_by_role("button", name="Put it back").click()
    panel.get_by_role("button", name="Verify the audit trail").click()
    expect(panel).to_contain_text("no tampering found")
    panel.get_by_role("button", name="Close").click()
    assert screens.stored(request) == request


# Its threads end with SystemExit, which Python reports to nobody but pytest.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_killed_bot_goes_on_with_what_it_had_stored(screens: Screens) -> None:
    request = screens.ask()
    panel = _open(screens, "Chaos")
    panel.get_by_role("button", name="Kill it at the next decision").click()
    screens.press(RIGHT, "Approve")
    expect(screens.pane(RIGHT)).to_contain_text("Countersign couldn't be reached")
    expect(panel).to_contain_text("killed")
    assert screens.stored(request).approver == "U0JON"
    expect(screens.card(LEFT)).to_contain_text("Waiting for approval")
    slack = panel.get_by_role("group", name="Slack")
    slack.get_by_role("button", name="Rate limited").click()
    expect(panel).to_contain_text("Slack answers 429")
    assert find_objections(screens) == []

    panel.get_by_role("button", name="Everything back to normal").click()
    expect(slack.get_by_role("button", name="Normal")).to_have_attribute("aria-pressed", "true")
    expect(screens.page.get_by_role("button", name=re.compile("^Experiments"))).not_to_contain_text("1")
    expect(screens.card(LEFT)).to_contain_text("Approved")


def test_policy_is_checked_explained_and_comes_into_force(screens: Screens) -> None:
    panel = _open(screens, "Policy")
    text = panel.get_by_role("textbox", name="policy.yml")
    expect(panel).to_contain_text("No mistakes")
    shipped = text.input_value()
    text.fill(shipped.replace("max_duration: 4h", "max_duration: for ever", 1))
    mistake = panel.get_by_role("button", name="approval[0].max_duration")
    expect(mistake).to_contain_text(re.compile(r"line \d+, column 5"))
    assert find_objections(screens) == []
    mistake.press("Enter")
    expect(text).to_be_focused()

    text.fill(shipped.replace("max_duration: 4h", "max_duration: 30m", 1))
    expect(panel).to_contain_text("No mistakes")
    panel.get_by_role("button", name="Explain").click()
    expect(panel.get_by_role("region", name="Explain a decision")).to_contain_text("Refused")
    panel.get_by_role("button", name="Save", exact=True).click()
    expect(panel).to_contain_text("it is the saved file")
    screens.open("U0MIRA:C0INCIDENTS")
    expect(screens.pane(LEFT)).to_contain_text("The policy changed")

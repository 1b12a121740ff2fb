"""The experiments beside the panes: each changes something real, and what people read is on the same page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

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

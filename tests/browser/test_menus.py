"""A menu of many profiles: found by a word of its description, and the form follows what is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from playground.folder import Folder
from tests.browser.screens import LEFT, Screens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser
MANY = "".join(f"  team-{number}: {{channel: C0ACCESS, description: Team no. {number}}}\n" for number in range(150))
RULE = "  - {name: teams, profiles: ['team-*'], approvers: [S0SRE], max_duration: 45m}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with Folder(tmp_path / "playground") as folder:
        text = folder.policy.read_text().replace("\nprofiles:\n", f"\nprofiles:\n{MANY}")
        folder.policy.write_text(text.replace("\napproval:\n", f"\napproval:\n{RULE}"))
        yield folder


def test_profile_is_found_among_150_and_durations_follow(screens: Screens) -> None:
    keyboard = screens.page.keyboard
    screens.write(LEFT, "/access fix the login of INC-14")
    form = screens.dialog("Request access")
    profile = form.get_by_role("combobox", name="What do you need?")
    expect(profile).to_be_focused()
    keyboard.type("no. 149")
    expect(form.get_by_role("option")).to_have_count(1)
    keyboard.press("Enter")
    expect(form.get_by_role("list", name="Chosen")).to_contain_text("team-149")
    duration = form.get_by_role("combobox", name="For how long?")
    expect(duration).to_have_text("45m")
    duration.click()
    expect(form.get_by_role("option")).to_have_text(["15m", "30m", "45m"])
    keyboard.press("Escape")
    expect(form.get_by_role("textbox", name="Why?")).to_have_value("fix the login of INC-14")
    form.get_by_role("button", name="Request", exact=True).click()

    expect(form).to_be_hidden()
    (request,) = [each for each in screens.playground.stores.requests.iterate() if each.profile == "team-149"]
    assert request.justification == "fix the login of INC-14"

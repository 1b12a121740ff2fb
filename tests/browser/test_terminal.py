"""A terminal beside Slack: pair it, request, approve, use credentials, and see them stop working with the access."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from core.access.session import SessionStatus
from tests.browser.screens import LEFT, RIGHT, Screens

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
"""Each command starts a Python of its own, on a machine that is busy with other tests."""


def terminal(screens: Screens, name: str = "Mira") -> Locator:
    return screens.page.get_by_role("region", name=re.compile(f"^Terminal of {name}"))


def open_terminal(screens: Screens, index: int = LEFT) -> None:
    screens.pane(index).get_by_role("button", name="Terminal", exact=True).click()


def run(screens: Screens, line: str) -> None:
    expect(terminal(screens).get_by_role("button", name="Stop")).to_be_hidden(timeout=PATIENCE_MS)
    box, runs = terminal(screens).get_by_role("textbox"), terminal(screens).locator(".run")
    before = runs.count()
    box.fill(line)
    box.press("Enter")
    # Otherwise the run before it could be taken for this one.
    expect(runs).to_have_count(before + 1, timeout=PATIENCE_MS)


def last(screens: Screens, text: str | re.Pattern[str]) -> None:
    """What the newest command wrote."""
    expect(terminal(screens).locator(".run").last).to_contain_text(text, timeout=PATIENCE_MS)


def test_credentials_of_a_terminal_end_with_the_access(screens: Screens) -> None:
    open_terminal(screens)
    expect(terminal(screens).get_by_role("textbox")).to_be_focused()
    run(screens, "rm -rf /")
    last(screens, "Only countersign runs here")
    run(screens, "countersign login")
    last(screens, "Waiting for you to confirm")
    terminal(screens).get_by_role("textbox").press("Control+c")
    last(screens, "exit code 130")

    run(screens, "countersign login")
    last(screens, re.compile("/access pair [A-Z]{4}-[A-Z]{4}"))
    *_, line = re.findall("/access pair [A-Z]{4}-[A-Z]{4}", terminal(screens).inner_text())
    screens.write(LEFT, line)
    form = screens.dialog("Pair a terminal")
    form.get_by_role("radio", name="Yes, I started it").check()
    form.get_by_role("button", name="Confirm").click()
    done = screens.dialog("Countersign")
    expect(done).to_contain_text("mira-laptop is being paired")
    done.get_by_role("button", name="Close").last.click()
    last(screens, "Paired as")

    run(screens, 'countersign request prod-admin 10m "INC-12: look at the buckets" --wait')
    expect(screens.card(RIGHT, "look at the buckets").get_by_role("button", name="Approve")).to_be_visible()
    screens.press(RIGHT, "Approve", "look at the buckets")
    last(screens, "is open until")
    run(screens, "countersign exec prod-admin -- aws s3 ls")
    last(screens, "customer-invoices-111122223333")

    screens.move_clock("10 minutes")
    run(screens, "countersign exec prod-admin -- aws s3 ls")
    last(screens, "An error occurred (AccessDenied) when calling the ListBuckets operation")
    last(screens, "no session policy allows")
    (session,) = screens.playground.stores.sessions.list_by_status(SessionStatus.EXPIRED).items
    used = {event.source_identity for event in screens.playground.cloud.events}
    assert used == {session.source_identity}
    expect(screens.aws.get_by_role("region", name="Calls of AWS")).to_contain_text(session.source_identity)

    # Another page shows the same terminal.
    screens.page.reload()
    open_terminal(screens)
    last(screens, "no session policy allows")

"""`python -m tools.picture`: makes docs/playground.png, the README's picture, from a running playground.

Invariant: nothing on the picture is drawn: the requests are made, approved and recorded by the real bot.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright

from playground.folder import Folder
from playground.people import ACCESS, AIKO, MIRA
from playground.playground import Playground, open_playground

PICTURE: Final = Path(__file__).parents[1] / "docs" / "playground.png"
_SIZE: Final = ViewportSize(width=1620, height=900)
_SHARPNESS: Final = 1.5
"""Pixels for each point: sharp on most screens, at half a megabyte."""


def main() -> None:
    """Make the picture. Needs Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        Folder(Path(folder)) as home,
        open_playground(home, port=0) as playground,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport=_SIZE,
            device_scale_factor=_SHARPNESS,
            locale="en-GB",
            reduced_motion="reduce",
            color_scheme="light",
        )
        page.goto(playground.url)
        _play(playground, page)
        page.screenshot(path=PICTURE)
        browser.close()


def _play(playground: Playground, page: Page) -> None:
    slack = playground.slack
    slack.run_command(MIRA, ACCESS, "/access", "prod-db 2h Look at the slow query of INC-14")
    slack.wait_until(lambda: slack.messages(ACCESS))
    card = slack.messages(ACCESS)[-1]
    (request,) = playground.stores.requests.iterate()
    slack.press(AIKO, card, "request:approve", request.id)
    page.get_by_role("button", name="Close the tour").click()
    page.locator("#pane-0-composer").fill("/access prod 1h Deploy the fix for INC-12")
    page.locator("#pane-0-composer").press("Enter")
    page.get_by_role("article").filter(has_text="INC-12").last.wait_for()
    page.get_by_role("region", name="Slack as Jon Bauer sees it").get_by_role(
        "button", name="Approve", exact=True
    ).last.click()
    page.get_by_role("complementary").get_by_text("request approved").first.wait_for()
    slack.wait_until(lambda: "Open until" in str(slack.messages(ACCESS)))
    page.get_by_role("region", name="AWS (pretend)").get_by_text("AdministratorAccess").first.wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()

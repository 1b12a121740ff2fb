"""The report in Chromium: axe-core finds nothing, light, dark and narrow; print is light, and shows what scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from bot.commands.report_files import write_html
from core.report.spooled_rows import SpooledRows
from tests.browser.test_accessibility import NARROW, RULES
from tests.report_sample import a_report

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser
PAPER = "rgb(255, 255, 255)"


def _objections(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES)
    return [f"{rule['id']}: {node['html'][:140]}" for rule in found.response["violations"] for node in rule["nodes"]]


def _background(page: Page) -> object:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_report_can_be_read_by_everybody(context: BrowserContext, tmp_path: Path) -> None:
    place, page = tmp_path / "report.html", context.new_page()
    with SpooledRows() as book:
        write_html(str(place), a_report(book, "Deploy the fix " * 20), 100)
    page.goto(place.as_uri())
    assert page.locator("svg[role=img] rect.part").count() >= 4
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert (_background(page) == PAPER) is (scheme == "light")
        assert not _objections(page), "\n".join(_objections(page))
    page.emulate_media(media="print", color_scheme="dark")
    assert _background(page) == PAPER
    overflow = "[...document.querySelectorAll('.scroll')].every(each => getComputedStyle(each).overflow === 'visible')"
    assert page.evaluate(overflow) is True
    page.emulate_media(media="screen", color_scheme="light")
    page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") is True
    assert not _objections(page), "\n".join(_objections(page))

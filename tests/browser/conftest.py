"""The page in Chromium, with a playground of its own for each test.

Invariant: a page that logs an error, throws, or asks anybody but its own server for anything fails its test.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from playground.folder import Folder
from playground.playground import open_playground
from tests.browser.screens import Screens
from tests.harness.chromium import find_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from playground.playground import Playground

PATIENCE_MS = 15_000
"""A busy machine is not a broken one."""


# As long as a module and no longer: a running Playwright looks to other tests like a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with Folder(tmp_path / "playground") as folder:
        yield folder


@pytest.fixture
def store() -> str | None:
    """Where the playground keeps what was decided; None is its own SQLite file."""
    return None


@pytest.fixture
def playground(folder: Folder, store: str | None) -> Iterator[Playground]:
    with open_playground(folder, store=store, port=0) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": 1360, "height": 850}, locale="en-GB", timezone_id="Europe/Berlin", reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def welcome(context: BrowserContext, playground: Playground) -> Iterator[Screens]:
    """Mira's and Jon's screens side by side, as a newcomer sees them."""
    wrong: list[str] = []
    page = context.new_page()
    _watch(page, wrong)
    screens = Screens(page, playground)
    screens.open()
    yield screens
    page.close()
    assert wrong == []


@pytest.fixture
def screens(welcome: Screens) -> Screens:
    """The same without the tour."""
    welcome.page.get_by_role("button", name="Close the tour").click()
    return welcome


def _watch(page: Page, wrong: list[str]) -> None:
    page.on("pageerror", lambda error: wrong.append(f"threw: {error}"))
    page.on("console", lambda said: wrong.append(f"logged: {said.text}") if said.type in {"error", "warning"} else None)
    page.on(
        "request",
        lambda asked: (
            wrong.append(f"asked: {asked.url}") if urlsplit(asked.url).hostname not in {"127.0.0.1", None} else None
        ),
    )

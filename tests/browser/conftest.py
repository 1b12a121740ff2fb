"""The page in Chromium, with a playground of its own for each test.

Invariant: a page that logs an error, throws, or asks anybody but its own server for anything fails its test.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect, sync_playwright

from playground.folder import Folder
from playground.playground import open_playground
from tests.browser.page_problems import PageProblems
from tests.browser.screens import Screens
from tests.harness.aws import REGION, dynamodb_client
from tests.harness.chromium import find_chromium
from tests.harness.patience import be_patient
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext

    from playground.playground import Playground

Motion = Literal["reduce", "no-preference"]
PATIENCE_MS = 30_000
"""A busy machine is not a broken one."""


# As long as a module and no longer: a running Playwright looks to other tests like a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()


# Of a module, so that a bot that serves a whole module has it too.
@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with Folder(tmp_path / "playground") as folder:
        yield folder


@pytest.fixture
def store() -> str | None:
    """Where the playground keeps what was decided; None is its own SQLite file."""
    return None


@pytest.fixture(params=["sqlite", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def each_store(request: pytest.FixtureRequest) -> str | None:
    """Each of the stores, for tests whose `store` it is."""
    if request.param == "sqlite":
        return None
    request.getfixturevalue("aws_environment")
    url, prefix = request.getfixturevalue("dynamodb_local_url"), request.getfixturevalue("table_prefix")
    with dynamodb_client(url) as client:
        make_tables(client, prefix)
    return f"dynamodb://{REGION}/{prefix}?endpoint_url={url}"


@pytest.fixture
def playground(folder: Folder, store: str | None) -> Iterator[Playground]:
    with open_playground(folder, store=store, port=0) as running:
        yield running


@pytest.fixture
def page_problems() -> Iterator[PageProblems]:
    """What went wrong on the pages of a test, which fails with what it did not expect."""
    problems = PageProblems()
    yield problems
    assert problems.unexpected() == []


@pytest.fixture
def open_context(browser: Browser, page_problems: PageProblems) -> Iterator[Callable[[Motion], BrowserContext]]:
    """Opens a browser window of its own for a person who wants motion, or does not. Its pages are watched."""
    with ExitStack() as opened:

        def open_one(motion: Motion) -> BrowserContext:
            context = browser.new_context(
                viewport={"width": 1440, "height": 850},
                locale="en-GB",
                timezone_id="Europe/Berlin",
                reduced_motion=motion,
            )
            opened.enter_context(closing(context))
            context.set_default_timeout(PATIENCE_MS)
            page_problems.watch(context)
            return context

        yield open_one


@pytest.fixture
def context(open_context: Callable[[Motion], BrowserContext]) -> BrowserContext:
    return open_context("reduce")


@pytest.fixture
def welcome(context: BrowserContext, playground: Playground) -> Iterator[Screens]:
    """Mira's and Jon's screens side by side, as a newcomer sees them."""
    screens = Screens(context.new_page(), playground)
    screens.open()
    yield screens
    # Before the playground stops: access may still be closing, and the page would ask about it.
    screens.page.close()


@pytest.fixture
def screens(welcome: Screens) -> Screens:
    """The same without the tour."""
    welcome.page.get_by_role("button", name="Close the tour").click()
    return welcome

"""Every sentence that people read, held in one reviewed file: a change of wording is seen as such.

`make texts` rewrites texts.txt. Read its diff before you commit it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import bot
import bot.interactions.commands
import bot.views
from bot.settings import deployment, slack
from bot.settings import terminal as terminal_settings
from core.errors import CountersignError
from core.stores import open_stores
from tests.texts.command_line import command_line
from tests.texts.deliveries import deliveries
from tests.texts.errors import ROOTS, SAMPLES, errors
from tests.texts.pager import pager
from tests.texts.policy import policy_mistakes
from tests.texts.report import report
from tests.texts.schedules import schedules
from tests.texts.settings import setting_errors
from tests.texts.slack_access import slack_access
from tests.texts.slack_asking import slack_asking
from tests.texts.slack_devices import slack_devices
from tests.texts.slack_forms import slack_forms
from tests.texts.slack_messages import slack_messages
from tests.texts.slack_replies import slack_replies
from tests.texts.targets import targets
from tests.texts.terminal import terminal
from tests.texts.writing import write_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType, FunctionType, ModuleType

SNAPSHOT: Final = Path(__file__).with_name("texts.txt")
UPDATE: Final = "COUNTERSIGN_UPDATE_TEXTS"
PACKAGES: Final = (bot.views, bot.interactions.commands)
"""Where every public function makes a text, or reads one back, and so is called for the page."""


@dataclass
class Page:
    """The page as it is written now, and what was called and raised on the way."""

    text: str = ""
    called: set[CodeType] = field(default_factory=set)
    raised_in_settings: set[tuple[str, int]] = field(default_factory=set)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, moto_url: str) -> Page:
    """The page. Writing it takes seconds, so it is written once."""
    page = Page()

    def note(frame: FrameType, _event: str, _argument: object) -> None:
        page.called.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with closing(open_stores(f"sqlite:///{tmp_path_factory.mktemp('empty')}/countersign.db")) as stores:
            texts = [
                *slack_messages(stores),
                *slack_access(),
                *slack_asking(),
                *slack_devices(),
                *slack_forms(),
                *slack_replies(),
                *errors(),
                *report(),
            ]
    finally:
        sys.setprofile(before)
    texts += [*setting_errors(page.raised_in_settings), *policy_mistakes(), *pager(), *deliveries(), *targets()]
    texts += schedules()
    texts += command_line(tmp_path_factory.mktemp("operator"), moto_url)
    texts += terminal(tmp_path_factory.mktemp("person"))
    page.text = write_page(texts)
    if os.environ.get(UPDATE) == "1":
        SNAPSHOT.write_text(page.text, encoding="utf-8")
    return page


def test_every_text_reads_as_it_was_reviewed(page: Page) -> None:
    reviewed = SNAPSHOT.read_text(encoding="utf-8")
    assert page.text.splitlines() == reviewed.splitlines(), f"If you meant to change it: {UPDATE}=1, and read the diff."


def test_every_public_function_of_a_view_is_on_the_page(page: Page) -> None:
    missing = [name for name, function in _public_functions() if function.__code__ not in page.called]
    assert missing == []


def test_every_error_class_is_on_the_page() -> None:
    for module in pkgutil.walk_packages(bot.__path__, "bot."):
        importlib.import_module(module.name)
    ours = {each for each in _subclasses(CountersignError) if each.__module__.startswith(("core.", "bot."))}
    assert ours - set(ROOTS) == {type(each) for each in SAMPLES.values()}


def test_every_refusal_of_a_setting_is_on_the_page(page: Page) -> None:
    missing = []
    for module in (deployment, slack, terminal_settings):
        tree, name = ast.parse(inspect.getsource(module)), str(module.__file__)
        for each in ast.walk(tree):
            if isinstance(each, ast.Raise):
                lines = {(name, line) for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}
                missing += [] if page.raised_in_settings & lines else [(name, each.lineno)]
    assert missing == []


def _public_functions() -> Iterator[tuple[str, FunctionType]]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module: ModuleType = importlib.import_module(found.name)
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    yield f"{module.__name__}.{name}", function


def _subclasses(kind: type[CountersignError]) -> Iterator[type[CountersignError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)

"""What the documents name is there: headings behind links, tests behind promises, settings and commands."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from bot.cli import countersign
from bot.settings import ApiSettings, Settings, SlackSettings
from bot.settings.terminal import TerminalSettings
from bot.settings.variables import variables_of

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for name in ("deploy", "docs") for page in sorted((ROOT / name).rglob("*.md"))),
]
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([\w./-]*\.md)?#([\w-]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TEST = re.compile(r"`(test_\w+)`")
SETTING = re.compile(r"\bCOUNTERSIGN_[A-Z_]+[A-Z]\b")
COMMAND = re.compile(r"(?:`|^ *|^\$ ?|\$ |exec countersign |-- )countersign ((?:[a-z-]+ ?)+)", re.MULTILINE)
LINE = re.compile(r"(?:`|^ *|\$ ?)countersign ([^\n`|;&#]+)", re.MULTILINE)
OPTION = re.compile(r"--[a-z][a-z-]*")


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = HEADING.findall(FENCE.sub("", _read(page)))
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_heading(page: Path) -> None:
    links = [(page.parent / path if path else page, anchor) for path, anchor in LINK.findall(_read(page))]

    assert [each for each in links if each[1] not in _anchors(each[0])] == []


def test_every_test_behind_a_promise_exists() -> None:
    tests = "\n".join(_read(each) for each in (ROOT / "tests").rglob("test_*.py"))
    named = set(TEST.findall(_read(ROOT / "docs" / "security.md")))

    assert len(named) > 40
    assert {each for each in named if f"def {each}(" not in tests} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_on_the_page_exists(page: Path) -> None:
    unknown = []
    for words in COMMAND.findall(_read(page)):
        group: click.Command = countersign
        for word in words.split():
            if not isinstance(group, click.Group) or word.startswith("-"):
                break
            found = group.get_command(click.Context(group), word)
            if found is None:
                # `countersign request prod 1h` is short for `request new`.
                unknown += [words] if group.name != "request" else []
                break
            group = found

    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_option_on_the_page_exists(page: Path) -> None:
    unknown = []
    for line in LINE.findall(_read(page)):
        words = line.split(" -- ")[0].split()
        known = {name for command in _commands(words) for each in command.params for name in each.opts}
        unknown += [(line, each) for each in OPTION.findall(" ".join(words)) if each not in known | {"--help"}]

    assert unknown == []


def _commands(words: list[str]) -> list[click.Command]:
    """The command that a line names, with those above it, whose options may come before its name."""
    found: list[click.Command] = [countersign]
    for word in words:
        group = found[-1]
        below = group.get_command(click.Context(group), word) if isinstance(group, click.Group) else None
        if below is not None:
            found.append(below)
    last = found[-1]
    # `countersign request prod 1h` is short for `request new`.
    new = last.get_command(click.Context(last), "new") if isinstance(last, click.Group) else None
    return [*found, new] if new is not None else found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_setting_on_the_page_exists(page: Path) -> None:
    known = set(variables_of(Settings, SlackSettings, ApiSettings, TerminalSettings))
    named = {each.removesuffix("_FILE") for each in SETTING.findall(_read(page))}

    assert named - known == set()

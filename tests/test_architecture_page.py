"""The map for people who change Countersign: every path that it names exists, and every room is on it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "bot", "localslack", "playground")
PAGE = ROOT / "docs" / "architecture.md"
PAGES = [PAGE, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
LINKING = [*PAGES[1:], *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]
PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+)?|[\w-]+\.(?:md|py|toml|yml|lock))`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
NAMED_BY_EXAMPLE = frozenset({"bot/commands/NAME.py", "policy.yml", "dist/", "dist/countersign.cdx.json"})
"""What a reader or a build is going to make."""


def _paths(page: Path) -> list[str]:
    """What the page names in code style, as seen from the root."""
    return [each for each in PATH.findall(page.read_text(encoding="utf-8")) if each not in NAMED_BY_EXAMPLE]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_on_the_page_exists(page: Path) -> None:
    assert [each for each in _paths(page) if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_on_the_page_leads_to_a_file(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))

    assert [each for each in links if not (page.parent / each).exists()] == []


def test_every_room_of_core_and_bot_is_on_the_page() -> None:
    named = set(_paths(PAGE))
    rooms = {
        f"{package}/{each.name}{'' if each.is_file() else '/'}"
        for package in ("core", "bot")
        for each in (ROOT / package).iterdir()
        if each.suffix == ".py" or (each / "__init__.py").is_file()
    }

    assert rooms - named - {"core/__init__.py", "bot/__init__.py"} == set()
    assert {f"{package}/" for package in PACKAGES} <= named


def test_every_module_that_starts_threads_is_on_the_page() -> None:
    named = set(_paths(PAGE))
    starters = {
        str(source.relative_to(ROOT))
        for package in PACKAGES
        for source in (ROOT / package).rglob("*.py")
        if _starts_threads(source)
    }

    assert starters
    assert starters - named == set()


def _starts_threads(source: Path) -> bool:
    calls = (
        node.func for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    )
    names = {
        each.attr if isinstance(each, ast.Attribute) else each.id if isinstance(each, ast.Name) else ""
        for each in calls
    }
    return not names.isdisjoint({"Thread", "ThreadPoolExecutor", "Timer", "Process"})

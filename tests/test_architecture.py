"""The project's rules that no linter checks: names, lengths, docstrings, rooms, and where a command is parsed."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("core", "bot", "localslack", "playground")
SOURCES: Final = {
    source.relative_to(ROOT).as_posix(): source.read_text()
    for package in PACKAGES
    for source in sorted((ROOT / package).rglob("*.py"))
}
TREES: Final = {name: ast.parse(text) for name, text in SOURCES.items()}
LONGEST_MODULE: Final = 300
LONGEST_FUNCTION: Final = 40
MAX_ROOMS: Final = 16
STAND_TWICE: Final = {"Clock", "SystemClock"}
"""The local Slack is a package of its own, which imports nothing of ours: it brings its own clock."""


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_class_name_stands_once() -> None:
    places = defaultdict(list)
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert set(twice) == STAND_TWICE, twice
    assert all([where.startswith("localslack/") for where in twice[name]] == [False, True] for name in STAND_TWICE)


def test_a_module_is_read_in_one_sitting() -> None:
    assert {name: lines for name, text in SOURCES.items() if (lines := len(text.splitlines())) > LONGEST_MODULE} == {}


def test_a_function_is_seen_as_a_whole() -> None:
    lengths = {
        f"{name}:{function.lineno} {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for name, tree in TREES.items()
        for function in _functions(tree)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_a_module_says_what_always_holds_in_it() -> None:
    docstrings = {name: ast.get_docstring(tree) or "" for name, tree in TREES.items()}
    assert [name for name, text in docstrings.items() if not text] == []
    silent = [name for name, text in docstrings.items() if "Invariant:" not in text]
    assert [name for name in silent if not name.endswith("/__init__.py")] == []


def test_the_bot_has_few_rooms() -> None:
    below = (Path(name).relative_to("bot").parts[0].removesuffix(".py") for name in SOURCES if name.startswith("bot/"))
    assert len(set(below) - {"__init__"}) <= MAX_ROOMS


@pytest.mark.parametrize("parser", ["parse_access", "parse_break_glass"])
def test_a_command_is_parsed_once_where_it_comes_in(parser: str) -> None:
    uses = [
        (name, function)
        for name, tree in TREES.items()
        for function in _functions(tree)
        if any(isinstance(node, ast.Name) and node.id == parser for node in ast.walk(function))
    ]
    assert [(name.startswith("bot/interactions/"), function.name) for name, function in uses] == [(True, "on_command")]
    (_, on_command) = uses[0]
    # No part of it runs on another thread or again: what is handed on, a lambda or a function, only gets the result.
    later = [node for node in ast.walk(on_command) if isinstance(node, ast.Lambda | ast.FunctionDef)][1:]
    inside = [each for node in later for each in ast.walk(node)]
    assert sum(isinstance(node, ast.Name) and node.id == parser for node in ast.walk(on_command)) == 1
    assert not any(isinstance(node, ast.Name) and node.id == parser for node in inside)
    assert not any(isinstance(node, ast.Constant) and node.value == "text" for node in inside)

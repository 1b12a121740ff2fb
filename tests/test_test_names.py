"""A test's name says what holds in so few words that a line of pytest's report has room for it."""

from __future__ import annotations

import ast
from pathlib import Path

MAX_NAME_LENGTH = 60
TESTS = Path(__file__).parent


def test_name_of_a_test_is_at_most_60_characters() -> None:
    too_long = [
        f"{path.relative_to(TESTS)}:{node.lineno} {node.name}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and len(node.name) > MAX_NAME_LENGTH
    ]
    assert not too_long

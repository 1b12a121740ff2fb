"""Every emoji that Countersign writes has its picture on the page, so that no machine shows an empty box instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import bot
import playground.page

BOT = Path(bot.__file__).parent
WEB = Path(playground.page.__file__).with_name("web")
PICTURES = {path.stem: path for path in (WEB / "vendor" / "emoji").glob("*")}
KNOWN = dict(re.findall(r'([a-z_]+): "([^"]+)",?', (WEB / "js" / "emoji.js").read_text(encoding="utf-8")))
ALIASES = dict(re.findall(r'"([+-]1)": "(\w+)"', (WEB / "js" / "emoji.js").read_text(encoding="utf-8")))
# What Unicode shows as a picture, as far as the fonts of a system do not have it as a letter.
CHARACTERS = re.compile("[\u231a-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
ROOMS = ("views", "notifications", "interactions", "slack")


def _texts(path: Path) -> Iterator[str]:
    """Every text in a module, with `{}` for what is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _written(path: Path) -> set[str]:
    """The emoji in a module, by name or as they are."""
    texts = list(_texts(path))
    names = (re.findall(r"(?<!arn):([a-z][a-z0-9_+-]*|[+-]1):", text) for text in texts)
    return {*chain.from_iterable(names), *chain.from_iterable(CHARACTERS.findall(text) for text in texts)}


MODULES = sorted(path for room in ROOMS for path in (BOT / room).rglob("*.py"))


def test_the_views_write_emoji_by_name() -> None:
    assert {"rotating_light", "white_check_mark", "hourglass_flowing_sand"} <= set().union(*map(_written, MODULES))


def test_what_the_views_write_has_a_picture() -> None:
    known = KNOWN.keys() | {character.replace("\ufe0f", "") for character in KNOWN.values()}
    missing = {str(path.relative_to(BOT)): _written(path) - known for path in MODULES}
    assert {path: names for path, names in missing.items() if names} == {}


def test_emoji_with_a_picture_are_those_that_the_page_knows() -> None:
    assert {path.name for path in PICTURES.values()} == {f"{name}.svg" for name in KNOWN}
    assert set(ALIASES.values()) <= KNOWN.keys()


@pytest.mark.parametrize("path", sorted(PICTURES.values()), ids=lambda path: path.stem)
def test_a_picture_draws_and_does_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    drawn = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}  # noqa: S314 - a file of ours
    assert drawn <= {
        "svg",
        "g",
        "path",
        "circle",
        "ellipse",
        "rect",
        "defs",
        "linearGradient",
        "radialGradient",
        "stop",
    }
    assert not re.search(r"\bhref|\bstyle|\bon\w+=|data:", text)

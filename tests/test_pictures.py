"""The pictures and the story in the documents: small, complete, and what the product says now."""

from __future__ import annotations

import re
from pathlib import Path

from tools.pictures import IMAGES, MAX_BYTES
from tools.story_text import BEGIN, DOCUMENT, END, tell_story

DOCS = Path(__file__).parents[1] / "docs"


def test_every_picture_is_small_and_in_light_and_dark() -> None:
    pictures = {path.name: path.stat().st_size for path in IMAGES.glob("*.webp")}
    assert {name for name, size in pictures.items() if size > MAX_BYTES} == set()
    assert {name.replace("-light.", "-dark.") for name in pictures if "-light." in name} == {
        name for name in pictures if "-dark." in name
    }


def test_every_picture_is_shown_and_every_shown_one_exists() -> None:
    named = set(re.findall(r"images/([\w-]+\.webp)", "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))))
    assert named == {path.name for path in IMAGES.glob("*.webp")}


def test_story_in_the_document_is_the_one_that_is_played() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    story = text.partition(BEGIN)[2].partition(END)[0]
    assert _comparable(story) == _comparable(tell_story())


def test_story_in_the_readme_is_a_part_of_it() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- A part of the story in docs/playground.md -->\n```text\n")[2].partition("```")[0]
    whole = " ".join(_comparable(DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]))

    told = [" ".join(_comparable(each)).strip() for each in shown.strip().split("\n\n")]
    assert len(told) > 4
    assert [each for each in told if each not in whole] == []


def _comparable(story: str) -> list[str]:
    """Who is first differs, and ids and counts with it."""
    story = re.sub(r"#[0-9a-f]{16}", "#ID", story.replace("Jon", "NAME").replace("Aiko", "NAME"))
    story = re.sub(r"vote of U0\w+", "vote of ID", re.sub(r"first in \d+, NAME in \d+", "first", story))
    # Names have different lengths, and so break lines elsewhere.
    return re.sub(r"\s+", " ", story).split(". ")

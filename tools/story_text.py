"""The story of `countersign playground --story` as text, for the documents.

Invariant: it's what the command printed, without the two tables of ids and seals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from bot.cli import countersign

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "playground.md"
BEGIN: Final = "<!-- The story, written by `make pictures` -->\n```text\n"
END: Final = "```\n<!-- End of the story -->\n"
_TABLES: Final = frozenset({"The records", "The audit trail"})


def write_story() -> None:
    """Write the story into the document, between its marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}{tell_story()}{END}{after}", encoding="utf-8")


def tell_story() -> str:
    """The story, played now."""
    lines = CliRunner().invoke(countersign, ["playground", "--story"], catch_exceptions=False).stdout.splitlines()
    return "\n".join(shorten(lines)).strip() + "\n"


def shorten(lines: Iterable[str]) -> Iterator[str]:
    """The lines without the tables, each of which is under its title."""
    is_in_table = False
    for line in lines:
        if line and not line.startswith(" "):
            is_in_table = line in _TABLES
        if not is_in_table:
            yield line

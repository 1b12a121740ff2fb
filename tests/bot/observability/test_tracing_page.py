"""The page about traces says what is in them: each span with its attributes, each attribute with its values."""

from __future__ import annotations

import re
from pathlib import Path

from bot.observability.tracing import ERROR, INTERACTION, SPANS

PAGE = (Path(__file__).parents[3] / "docs" / "tracing.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Spans and their attributes")[2].partition("## Privacy")[0]
OF_DECISION = "those of `decision` but the interaction"


def rows(header: str) -> list[list[str]]:
    """The rows of the table with this header."""
    lines = SECTION.partition(header)[2].splitlines()[2:]
    table = lines[: next((number for number, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_table_has_each_span_with_its_attributes() -> None:
    said = {}
    for span, _, attributes in rows("| span | kind | attributes |"):
        named = set(re.findall(r"`((?:countersign|db|http)\.[\w.]+)`", attributes))
        if OF_DECISION in attributes:
            named |= SPANS["decision"] - {INTERACTION}
        said[span.strip("`").removesuffix(" NAME")] = frozenset(named)
    assert said == dict(SPANS)


def test_table_has_each_attribute_with_its_values() -> None:
    said = {name for cell, _ in rows("| attribute | values |") for name in re.findall(r"`([\w.]+)`", cell)}
    of_a_standard = {"db.system.name", "http.response.status_code"}
    assert said == {ERROR} | {name for names in SPANS.values() for name in names} - of_a_standard

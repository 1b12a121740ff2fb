"""The page escapes everything, loads nothing, and can be read in both themes; a file holds no formula."""

from __future__ import annotations

import re
import sqlite3
from html.parser import HTMLParser
from itertools import product
from typing import TYPE_CHECKING

import pytest

from bot.commands.report_files import write_html
from bot.views.report.cells import Cells, neutralise
from bot.views.report.page import write_page
from bot.views.report.style import DARK, LIGHT, TONES
from core.audit.findings import Finding, FindingKind, Tally
from core.report.chart import Chart
from core.report.report import Integrity, Verification
from core.report.spooled_rows import SpooledRows
from core.report.tables import CellKind, Column
from tests.report_sample import CLEAN, UTC, a_report

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "<script>alert('1')</script> \"&amp;\" `x` <img src=//evil.example>"


def page_of(**how: object) -> str:
    with SpooledRows() as book:
        return "".join(write_page(a_report(book, **how)))  # type: ignore[arg-type]


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_what_people_wrote_never_becomes_markup() -> None:
    plain, nasty = _Tags(page_of(text="why")).tags, _Tags(page_of(text=NASTY)).tags
    # Only our own sentences know backticks.
    assert [tag for tag, _ in nasty if tag != "code"] == [tag for tag, _ in plain if tag != "code"]
    assert not {"script", "img"} & {tag for tag, _ in nasty}


def test_page_loads_nothing_and_runs_nothing() -> None:
    page = page_of()
    tags = _Tags(page).tags
    assert not [tag for tag, _ in tags if tag in {"script", "link", "img", "iframe", "object", "form"}]
    assert not [name for _, names in tags for name in names if name.startswith("on") or name in {"src", "style"}]
    assert all(names["href"].startswith("#") for tag, names in tags if tag == "a" and names["href"])
    policy = next(names["content"] for tag, names in tags if names.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"url\(|@import|https?:", page)


def test_each_table_has_a_caption_and_headers() -> None:
    page = page_of()
    tags = [tag for tag, _ in _Tags(page).tags]
    assert tags.count("caption") == tags.count("table") > 5
    assert all(names.get("scope") in {"col", "row"} for tag, names in _Tags(page).tags if tag == "th")
    pictures = [names for tag, names in _Tags(page).tags if tag == "svg" and names.get("role") == "img"]
    known = {names.get("id") for _, names in _Tags(page).tags}
    assert pictures
    assert all(known.issuperset((names["aria-labelledby"] or "?").split()) for names in pictures)


@pytest.mark.parametrize(
    ("integrity", "unusable", "verdict"),
    [
        (Integrity(CLEAN), 0, "verified against the audit trail"),
        (Integrity(CLEAN), 1, "changed, or is damaged"),
        (Integrity(), 0, "not verified as a whole"),
        (
            Integrity(Verification(Tally(), 1, (Finding("A", FindingKind.EDITED, "b"),))),
            0,
            "changed, or is damaged",
        ),
    ],
)
def test_verdict_is_no_better_than_what_was_checked(integrity: Integrity, unusable: int, verdict: str) -> None:
    assert verdict in page_of(integrity=integrity, unusable=unusable).partition("</h2>")[0].rpartition("<h2")[2]


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_contrast_is_enough_in_both_themes(theme: dict[str, str]) -> None:
    for text, ground in product(("text", "quiet", "link"), ("page", "panel")):
        assert _contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    for tone in TONES:
        assert _contrast(theme[tone], theme["panel"]) >= 3, tone
        assert _contrast(theme["inside"], theme[tone]) >= 4.5, tone


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u00a0=1",
        "\uff1d1",
        "\uff20x",
        "\u3000=1",
        "\ufeff=1",
        " \u200b-1",
    ],
)
def test_formula_in_a_file_is_only_text(text: str) -> None:
    assert neutralise(text) in {f"'{text}", f"'{text[0]}'{text[1:]}"}
    column = Column("why", "Why", CellKind.TEXT)
    assert list(Cells(UTC).csv(column, text)) == [neutralise(text)]
    person = Column("person", "Who", CellKind.PEOPLE)
    assert list(Cells(UTC, {"U0MIRA": text}).csv(person, "U0MIRA"))[1].startswith("'")


@pytest.mark.parametrize("separator", [";", "\t", "\r\n"])
def test_other_separator_makes_no_formula_either(separator: str) -> None:
    assert neutralise(f"Deploy{separator} =1;a=b{separator}c") == f"Deploy{separator}' =1;a=b{separator}c"


@pytest.mark.parametrize("text", ["Deploy the fix", "a=1", "", "2026-01-15T10:00:00Z", "3600"])
def test_other_text_in_a_file_stays_as_it_is(text: str) -> None:
    assert neutralise(text) == text


def test_chart_without_anything_says_so() -> None:
    assert "nothing to show" in Chart("a", "Requests", "week", ("1 Jul",), ()).describe()


def test_file_stays_as_it_was_when_writing_fails(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    place.write_text("an older one")
    with SpooledRows() as book:
        report = a_report(book)
    # The book is closed: its rows can't be read any more.
    with pytest.raises(sqlite3.ProgrammingError):
        write_html(str(place), report, 100)
    assert place.read_text() == "an older one"
    assert list(tmp_path.iterdir()) == [place]

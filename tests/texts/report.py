"""The report for an access review: its page without the markup, and the head of its files.

Invariant: what is written down is what a browser shows, in the order in which it shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from bot.views.report.cells import Cells, csv_columns
from bot.views.report.page import write_page
from bot.views.report.png import draw_png
from bot.views.report.statement import describe_integrity
from core.audit.findings import Finding, FindingKind, Tally
from core.report.report import Integrity, Verification
from core.report.spooled_rows import SpooledRows
from core.report.tables import Column, Value
from tests.report_sample import UTC, a_report
from tests.texts.writing import Text

_SURFACE = "Report: report.html"
_BROKEN = Finding("REQUEST#00000000000000a1", FindingKind.REMOVED, "entry 2 should stand before entry 3")


def report() -> Iterator[Text]:
    """A page with something of everything, and what it says of other trails."""
    with SpooledRows() as book:
        made = a_report(book, "Deploy the fix for INC-12")
        yield Text(_SURFACE, "the page", _read("".join(write_page(made))))
        for table in made.tables:
            columns = ",".join(name for column in table.columns for name in csv_columns(column))
            rows = [",".join(_write(table.columns, row)) for row in table.rows(-1)]
            yield Text(_SURFACE, f"{table.name}.csv", "\n".join([columns, *rows]))
        # The picture of the monthly summary shows the same.
        draw_png(made.charts()[0])
    found = Verification(Tally(entries=3, chains=1, records=1), 1, (_BROKEN,))
    for title, integrity, unusable in (("with findings", Integrity(found), 1), ("not verified", Integrity(), 0)):
        with SpooledRows() as book:
            statement = describe_integrity(a_report(book, "why", integrity, unusable))
            yield Text(_SURFACE, title, "\n".join([statement.verdict, *statement.lines]))


def _write(columns: tuple[Column, ...], row: tuple[Value, ...]) -> Iterator[str]:
    for column, value in zip(columns, row, strict=True):
        yield from Cells(UTC).csv(column, value)


def _read(page: str) -> str:
    """What a browser shows of the page, a line for each element that begins one."""
    body = page.partition("<body>")[2]
    body = re.sub(r"<(svg).*?</\1>", lambda drawn: _described(drawn[0]), body, flags=re.DOTALL)
    lines = re.sub(r"</(p|li|h\d|dd|tr|caption|dt|div|figcaption)>", "\n", body)
    cells = re.sub(r"</t[dh]>", " | ", lines)
    text = unescape(re.sub(r"<[^>]*>", "", cells))
    return "\n".join(line for line in (re.sub(r"\s+", " ", each).strip() for each in text.split("\n")) if line)


def _described(drawn: str) -> str:
    said = re.search(r"<desc[^>]*>(.*?)</desc>", drawn)
    return f"[chart: {said[1]}]\n" if said is not None else ""

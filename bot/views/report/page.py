"""The report as one HTML page that needs nothing else: no script, no font, no network.

Invariant: pure, and in pieces, so that memory doesn't grow with the tables. Everything that isn't ours is escaped, and
the page's own policy lets a browser load nothing and run nothing. Each chart has its numbers in a table beside it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from itertools import islice
from typing import Final

from bot.views.report import svg
from bot.views.report.cells import Cells
from bot.views.report.statement import describe_facts, describe_integrity, describe_scope
from bot.views.report.style import write_style
from core.report.chart import Chart
from core.report.report import AccessReport
from core.report.tables import CellKind, ReportTable

MAX_ROWS: Final = 2_000
"""How many rows of a table the page shows by default: browsers and printers get slow with more."""
TITLE: Final = "Access report"


def write_page(report: AccessReport, max_rows: int = MAX_ROWS) -> Iterator[str]:
    """The page, in pieces."""
    cells, style = Cells(report.period.zone, report.names.known), write_style()
    period = (
        f"{report.period.local(report.period.since):%Y-%m-%d} to {report.period.local(report.period.until):%Y-%m-%d}"
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>{TITLE}, {escape(period)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    yield from _head(report)
    yield "<main>\n"
    yield from _summary(report)
    yield from _charts(report)
    for table in report.tables:
        yield from _table(table, cells, max_rows)
    yield "</main>\n</body>\n</html>\n"


def _head(report: AccessReport) -> Iterator[str]:
    yield f"<header>\n<h1>{TITLE}</h1>\n"
    yield from (f"<p>{_marked(line)}</p>\n" for line in describe_scope(report))
    yield '</header>\n<nav aria-label="Contents"><ul>\n<li><a href="#integrity">Integrity</a></li>\n'
    yield '<li><a href="#figures">Figures</a></li>\n'
    yield from (f'<li><a href="#{escape(each.name)}">{escape(each.title)}</a></li>\n' for each in report.tables)
    yield "</ul></nav>\n"


def _summary(report: AccessReport) -> Iterator[str]:
    yield '<dl class="facts">\n'
    for name, value, more in describe_facts(report):
        small = f"<small>{escape(more)}</small>" if more else ""
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{small}</dd></div>\n"
    yield "</dl>\n"
    statement = describe_integrity(report)
    yield f'<section class="panel {statement.mood}" aria-labelledby="integrity">\n'
    yield f'<h2 id="integrity">Integrity: {escape(statement.verdict)}</h2>\n<ul>\n'
    yield from (f"<li>{_marked(line)}</li>\n" for line in statement.lines)
    yield "</ul>\n</section>\n"


def _charts(report: AccessReport) -> Iterator[str]:
    yield '<section aria-labelledby="figures">\n<h2 id="figures">Figures</h2>\n<div class="charts">\n'
    for chart in report.charts():
        yield f'<figure aria-labelledby="{escape(chart.key)}-title">\n'
        yield f'<h3 id="{escape(chart.key)}-title">{escape(chart.title)}</h3>\n'
        if chart.is_empty:
            yield '<p class="quiet">Nothing to show in this period.</p>\n'
        else:
            yield from svg.draw(chart)
            yield from _legend(chart)
            yield from _numbers(chart)
        if chart.note:
            yield f'<figcaption class="quiet">{escape(chart.note)}</figcaption>\n'
        yield "</figure>\n"
    yield "</div>\n</section>\n"


def _legend(chart: Chart) -> Iterator[str]:
    if len(chart.series) > 1:
        square = '<svg viewBox="0 0 12 12" aria-hidden="true"><rect class="{}" width="12" height="12" rx="2"/></svg>'
        items = "".join(f"<li>{square.format(each.tone)}{escape(each.name)}</li>" for each in chart.series)
        yield f'<ul class="legend">{items}</ul>\n'


def _numbers(chart: Chart) -> Iterator[str]:
    """The same as the picture, for everybody who would rather read numbers; without the categories that have none."""
    has_total = len(chart.series) > 1
    heads = [*(each.name for each in chart.series), *(["total"] if has_total else [])]
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(chart.title)}, in numbers"><table>'
    yield f"<caption>{escape(chart.title)}, in numbers</caption><thead><tr>"
    yield f'<th scope="col">{escape(chart.noun)}</th>'
    yield "".join(f'<th scope="col" class="number">{escape(each)}</th>' for each in heads)
    yield "</tr></thead><tbody>\n"
    for position, name in enumerate(chart.categories):
        total = chart.total_of(position)
        if total:
            values = [*(each.values[position] for each in chart.series), *([total] if has_total else [])]
            cells = "".join(f'<td class="number">{each:,}</td>' for each in values)
            yield f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>\n'
    yield "</tbody></table></div>\n"


def _table(table: ReportTable, cells: Cells, max_rows: int) -> Iterator[str]:
    name, title = escape(table.name), escape(table.title)
    yield f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title} ({table.count:,})</h2>\n'
    yield f'<p class="quiet">{_marked(table.about)}</p>\n'
    if not table.count:
        yield "<p>None.</p>\n</section>\n"
        return
    if table.count > max_rows:
        yield (
            f'<p class="panel warn">This page shows the newest {max_rows:,} of {table.count:,}. '
            f"With <code>--csv FOLDER</code>, all of them are in <code>{name}.csv</code>.</p>\n"
        )
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{title}">\n<table>\n'
    yield f"<caption>{title}, newest first</caption>\n<thead><tr>"
    for column in table.columns:
        number = ' class="number"' if column.kind is CellKind.NUMBER else ""
        yield f'<th scope="col"{number}>{escape(column.title)}</th>'
    yield "</tr></thead>\n<tbody>\n"
    for row in islice(table.rows(max_rows), max_rows):
        shown = "".join(cells.html(column, value) for column, value in zip(table.columns, row, strict=True))
        yield f"<tr>{shown}</tr>\n"
    yield "</tbody>\n</table>\n</div>\n</section>\n"


def _marked(text: str) -> str:
    """Our own sentence: what stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))

"""Charts as inline SVG: columns along time, and bars with long names.

Invariant: pure, and without any style of its own: colours are classes, so the page decides about light, dark and print.
The picture has a name and a description, and every text in it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from core.report.chart import Chart, ChartLayout

_WIDTH: Final = 720
_HEIGHT: Final = 240
_LEFT: Final = 44
_BOTTOM: Final = 30
_TOP: Final = 14
_BAR: Final = 22
_BAR_GAP: Final = 10
_NAME_WIDTH: Final = 190
_NAME_LENGTH: Final = 28
_LABELS: Final = 9
"""How many labels fit below the columns."""
_FIT: Final = 18
"""How wide, or high, a part has to be for its number to fit in."""
_STEPS: Final = (1, 2, 5)


def draw(chart: Chart) -> Iterator[str]:
    """The chart as an <svg> element, in pieces."""
    height = _HEIGHT if chart.layout is ChartLayout.COLUMNS else _TOP + len(chart.categories) * (_BAR + _BAR_GAP)
    key = escape(chart.key)
    yield (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{key}-name {key}-said">'
        f'<title id="{key}-name">{escape(chart.title)}</title><desc id="{key}-said">{escape(chart.describe())}</desc>'
    )
    yield from _columns(chart) if chart.layout is ChartLayout.COLUMNS else _bars(chart)
    yield "</svg>"


def _columns(chart: Chart) -> Iterator[str]:
    bottom, highest = _HEIGHT - _BOTTOM, round_up(chart.highest)
    scale = (bottom - _TOP) / highest
    for value in ticks(highest):
        y = bottom - value * scale
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="axis" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>'
    step = (_WIDTH - _LEFT) / len(chart.categories)
    width = min(step * 0.72, 56)
    every = -(-len(chart.categories) // _LABELS)
    for position, name in enumerate(chart.categories):
        x, y = _LEFT + step * position + (step - width) / 2, float(bottom)
        for series in chart.series:
            value = series.values[position]
            if value:
                part = value * scale
                y -= part
                yield _part(series.tone, x, y, width, part)
                if part >= _FIT and width >= _FIT + len(f"{value:,}"):
                    yield _number(x + width / 2, y + part / 2 + 4, value)
        if position % every == 0:
            middle = x + width / 2
            yield f'<text class="axis" x="{middle:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(name)}</text>'
    yield f'<line class="base" x1="{_LEFT}" x2="{_WIDTH}" y1="{bottom}" y2="{bottom}"/>'


def _bars(chart: Chart) -> Iterator[str]:
    scale = (_WIDTH - _NAME_WIDTH - _LEFT) / max(chart.highest, 1)
    for position, name in enumerate(chart.categories):
        y, x = _TOP + position * (_BAR + _BAR_GAP), float(_NAME_WIDTH)
        shown = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"
        yield f'<text class="name" x="{_NAME_WIDTH - 10}" y="{y + 16}" text-anchor="end">{escape(shown)}</text>'
        for series in chart.series:
            value = series.values[position]
            if value:
                part = value * scale
                yield _part(series.tone, x, y, part, _BAR)
                if part >= _FIT + 4 * len(f"{value:,}"):
                    yield _number(x + part / 2, y + 16, value)
                x += part
        yield f'<text class="axis" x="{x + 8:.1f}" y="{y + 16}">{chart.total_of(position):,}</text>'


def _part(tone: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="part {tone}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _number(x: float, y: float, value: int) -> str:
    return f'<text class="inside" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{value:,}</text>'


def round_up(highest: int) -> int:
    """The end of the axis: a round number that isn't lower."""
    if highest <= _STEPS[-1]:
        return max(highest, 1)
    power = int(10 ** (len(str(highest)) - 1))
    for size in (power // 10 or 1, power // 5 or 1, power // 2 or 1, power):
        if -(-highest // size) <= 10:  # noqa: PLR2004 - at most ten lines
            return -(-highest // size) * size
    return power * 10


def ticks(highest: int) -> Iterator[int]:
    """The numbers on the axis."""
    count = next((each for each in (5, 4, 3) if highest % each == 0), 1) if highest > _STEPS[-1] else highest
    yield from (highest * each // count for each in range(1, count + 1))

"""A chart of columns as a PNG picture, for Slack, which shows no SVG.

Invariant: pure, and the same chart gives the same bytes. The colours are those of the page's light theme, on white:
Slack shows a picture as it is, in either of its own themes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from bot.views.report.pixels import Color, Picture, width_of
from bot.views.report.style import LIGHT
from bot.views.report.svg import round_up, ticks
from core.report.chart import Chart

_WIDTH: Final = 960
_HEIGHT: Final = 420
_LEFT: Final = 70
_RIGHT: Final = 24
_TOP: Final = 84
_BOTTOM: Final = 48
_SHARE: Final = 0.6
"""How much of its step a column takes."""
_MAX_COLUMN: Final = 90
_MIN_NUMBERED: Final = 20
_SQUARE: Final = 14


def _color(name: str) -> Color:
    text = LIGHT[name]
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def draw_png(chart: Chart) -> bytes:
    """The chart with its title, its legend and its axes."""
    picture = Picture(_WIDTH, _HEIGHT, _color("page"))
    picture.write(_LEFT, 16, chart.title, _color("text"), 3)
    _draw_legend(picture, chart)
    bottom, highest = _HEIGHT - _BOTTOM, round_up(chart.highest)
    scale = (bottom - _TOP) / highest
    for value in ticks(highest):
        y = bottom - round(value * scale)
        picture.fill(_LEFT, y, _WIDTH - _LEFT - _RIGHT, 1, _color("line"))
        text = f"{value:,}"
        picture.write(_LEFT - 12 - width_of(text), y - 7, text, _color("quiet"))
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(chart.categories), 1)
    width = min(round(step * _SHARE), _MAX_COLUMN)
    for position, name in enumerate(chart.categories):
        left = _LEFT + round(step * position + (step - width) / 2)
        _draw_column(picture, chart, position, left, width, bottom, scale)
        picture.write(left + (width - width_of(name)) // 2, bottom + 14, name, _color("quiet"))
    picture.fill(_LEFT, bottom, _WIDTH - _LEFT - _RIGHT, 2, _color("quiet"))
    return picture.to_png()


def _draw_legend(picture: Picture, chart: Chart) -> None:
    x = _LEFT
    for series in chart.series:
        picture.fill(x, 52, _SQUARE, _SQUARE, _color(series.tone))
        picture.write(x + _SQUARE + 6, 52, series.name, _color("text"))
        x += _SQUARE + 6 + width_of(series.name) + 20


def _draw_column(
    picture: Picture, chart: Chart, position: int, left: int, width: int, bottom: int, scale: float
) -> None:
    values = [series.values[position] for series in chart.series]
    # The edges are rounded, not the heights: so the column is as high as its sum.
    edges = [bottom - round(sum(values[:count]) * scale) for count in range(len(values) + 1)]
    for series, value, (low, high) in zip(chart.series, values, pairwise(edges), strict=True):
        if not value:
            continue
        picture.fill(left, high, width, low - high - (1 if low - high > 1 else 0), _color(series.tone))
        text = f"{value:,}"
        if low - high >= _MIN_NUMBERED and width_of(text) < width:
            picture.write(left + (width - width_of(text)) // 2, (low + high) // 2 - 7, text, _color("inside"))

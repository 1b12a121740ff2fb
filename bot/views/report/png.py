"""A chart of columns as a PNG picture, for Slack, which shows no SVG.

Invariant: pure, and the same chart gives the same bytes. The colours are those of the page's light theme, on white:
Slack shows a picture as it is, in either of its own themes. Pillow draws, and brings the font.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from bot.views.report.style import LIGHT
from bot.views.report.svg import round_up, ticks
from core.report.chart import Chart

_WIDTH: Final = 1440
_HEIGHT: Final = 640
_LEFT: Final = 90
_RIGHT: Final = 30
_TOP: Final = 130
_BOTTOM: Final = 70
_SHARE: Final = 0.6
"""How much of its step a column takes."""
_MAX_COLUMN: Final = 140
_MIN_NUMBERED: Final = 30
_SQUARE: Final = 22
_GAP: Final = 2
"""Between two parts of a column."""
_TITLE_SIZE: Final = 36
_TEXT_SIZE: Final = 24


@dataclass(frozen=True, slots=True)
class _Canvas:
    draw: ImageDraw.ImageDraw
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont

    def fill(self, left: int, top: int, width: int, height: int, tone: str) -> None:
        if width > 0 and height > 0:
            self.draw.rectangle((left, top, left + width - 1, top + height - 1), fill=LIGHT[tone])

    def write(self, x: int, y: int, text: str, tone: str, anchor: str) -> None:
        self.draw.text((x, y), text, fill=LIGHT[tone], font=self.font, anchor=anchor)

    def width_of(self, text: str) -> int:
        return round(self.draw.textlength(text, font=self.font))


def draw_png(chart: Chart) -> bytes:
    """The chart with its title, its legend and its axes."""
    image = Image.new("RGB", (_WIDTH, _HEIGHT), LIGHT["page"])
    draw = ImageDraw.Draw(image)
    title = ImageFont.load_default(_TITLE_SIZE)
    draw.text((_LEFT, 44), chart.title, fill=LIGHT["text"], font=title, anchor="lm")
    canvas = _Canvas(draw, ImageFont.load_default(_TEXT_SIZE))
    _draw_legend(canvas, chart)
    bottom, highest = _HEIGHT - _BOTTOM, round_up(chart.highest)
    scale = (bottom - _TOP) / highest
    for value in ticks(highest):
        y = bottom - round(value * scale)
        canvas.fill(_LEFT, y, _WIDTH - _LEFT - _RIGHT, 2, "line")
        canvas.write(_LEFT - 16, y, f"{value:,}", "quiet", "rm")
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(chart.categories), 1)
    width = min(round(step * _SHARE), _MAX_COLUMN)
    for position, name in enumerate(chart.categories):
        left = _LEFT + round(step * position + (step - width) / 2)
        _draw_column(canvas, chart, position, left, width, scale)
        canvas.write(left + width // 2, bottom + 32, name, "quiet", "mm")
    canvas.fill(_LEFT, bottom, _WIDTH - _LEFT - _RIGHT, 3, "quiet")
    written = BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _draw_legend(canvas: _Canvas, chart: Chart) -> None:
    x = _LEFT
    for series in chart.series:
        canvas.fill(x, 80, _SQUARE, _SQUARE, series.tone)
        canvas.write(x + _SQUARE + 10, 80 + _SQUARE // 2, series.name, "text", "lm")
        x += _SQUARE + 10 + canvas.width_of(series.name) + 34


def _draw_column(canvas: _Canvas, chart: Chart, position: int, left: int, width: int, scale: float) -> None:
    bottom, values = _HEIGHT - _BOTTOM, [series.values[position] for series in chart.series]
    # The edges are rounded, not the heights: so the column is as high as its sum.
    edges = [bottom - round(sum(values[:count]) * scale) for count in range(len(values) + 1)]
    for series, value, (low, high) in zip(chart.series, values, pairwise(edges), strict=True):
        canvas.fill(left, high, width, max(low - high - _GAP, 1) if value else 0, series.tone)
        text = f"{value:,}"
        if value and low - high >= _MIN_NUMBERED and canvas.width_of(text) < width:
            canvas.write(left + width // 2, (low + high) // 2, text, "inside", "mm")

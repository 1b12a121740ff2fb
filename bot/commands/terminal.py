"""Text in a terminal: a little colour, marks, aligned columns, and counts with their nouns; or JSON for programs.

Invariant: with and without colour, the text is the same. JSON is one document, and nothing else is on standard output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Literal, Protocol

import click

from core.clock import require_utc
from core.errors import InvalidInput

Mood = Literal["good", "bad", "quiet", "strong"]
Cell = str | tuple[str, Mood]
"""A text, or a text with a mood."""


def _choose_color(context: click.Context, _: click.Parameter, chosen: bool | None) -> None:  # noqa: FBT001 - click's own
    # Subcommands inherit it from their group.
    context.color = context.color if chosen is None else chosen


color_option = click.option(
    "--color/--no-color", default=None, is_eager=True, expose_value=False, callback=_choose_color,
    help="Print colours, or none. Default: on a terminal, unless NO_COLOR is set.",
)  # fmt: skip
FILE: Final = click.Path(readable=False)
"""A name of a file or a folder, which a shell completes. Whether it can be used is for the command to say."""
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output, for scripts.")


class Output(Protocol):
    """What is asked of an output."""

    def isatty(self) -> bool:
        """Whether somebody looks at it."""
        ...


def has_color(stream: Output | None) -> bool:
    """Whether colours are wanted there: --color or --no-color, else NO_COLOR, else FORCE_COLOR, else on a terminal.

    https://no-color.org and https://force-color.org: a variable that is set and not empty counts.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.color is not None:
        return context.color
    if os.environ.get("NO_COLOR"):
        return False
    is_terminal = stream is not None and stream.isatty()
    return bool(os.environ.get("FORCE_COLOR")) or (is_terminal and os.environ.get("TERM") != "dumb")


def write_json(document: Mapping[str, object]) -> None:
    """Write one line of JSON."""
    click.echo(json.dumps(document, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Ink:
    """What this terminal can show: colours, and the marks ✓, ✗ and ·."""

    is_colored: bool
    met: str
    unmet: str
    noted: str = "·"

    @classmethod
    def of_stdout(cls) -> Ink:
        """Colour where `has_color` says so; plain marks where the encoding lacks the others."""
        is_colored = has_color(sys.stdout)
        try:
            "✓✗·—".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return cls(is_colored, "+", "-", ".")
        return cls(is_colored, "✓", "✗", "·")

    def paint(self, text: str, mood: Mood) -> str:
        """The text, coloured if this terminal shows colours."""
        if not self.is_colored:
            return text
        match mood:
            case "good":
                return click.style(text, fg="green")
            case "bad":
                return click.style(text, fg="red")
            case "quiet":
                return click.style(text, dim=True)
            case "strong":
                return click.style(text, bold=True)

    def say(self, line: str = "") -> None:
        """Write one line to standard output."""
        click.echo(line, color=self.is_colored)

    def columns(self, rows: Sequence[Sequence[Cell]], *, indent: int = 3, gap: int = 2) -> Iterator[str]:
        """The rows as lines with aligned columns. The last column is not padded."""
        widths = [max(len(_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            last = len(row) - 1
            cells = (
                self._cell(cell, 0 if position == last else width)
                for position, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield f"{' ' * indent}{(' ' * gap).join(cells)}".rstrip()

    def _cell(self, cell: Cell, width: int) -> str:
        text = _text(cell).ljust(width)
        return text if isinstance(cell, str) else self.paint(text, cell[1])


def count_of(number: int, noun: str) -> str:
    """The number with its noun in the right form: `1 entry`, `2 entries`, `1,000 records`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def read_moment(option: str, text: str | None) -> datetime | None:
    """The moment that an option names: a time with its zone, or a day, which begins in UTC. Raises InvalidInput."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-15"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return require_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            option,
            f"{text!r:.60} is neither a date nor a time with a time zone",
            "Write 2026-01-15 or 2026-01-15T10:00:00Z.",
        ) from error


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]

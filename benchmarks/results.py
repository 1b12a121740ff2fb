"""What a benchmark found, and the file that keeps it.

Invariant: a section of RESULTS.md is written whole, by the command that it names; sections that were not measured now
stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.engine import describe_machine

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
_PREAMBLE: Final = """\
# Results

Written by `make bench`; what each measures, and why, stands in [README.md](README.md). Times are given as ratios
to the bare engine in the same run, so they can be compared between machines; "median (quartiles)".
"""
_MARK: Final = re.compile(r"^<!-- ([a-z-]+) -->$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure."""

    is_quick: bool = False

    def pick(self, full: int, quick: int) -> int:
        """One number or the other."""
        return quick if self.is_quick else full


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Rows under headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __str__(self) -> str:
        widths = [max(len(cell) for cell in column) for column in zip(self.headings, *self.rows, strict=True)]
        lines = [self.headings, tuple("-" * width for width in widths), *self.rows]
        drawn = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        return "\n".join(([f"{self.caption}\n"] if self.caption else []) + drawn)


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that was wished for, what was found, and whether that is good enough."""

    text: str
    found: str
    is_met: bool

    def __str__(self) -> str:
        return f"- {'met' if self.is_met else '**missed**'}: {self.text}: {self.found}"


@dataclass(frozen=True, slots=True)
class Section:
    """All that one benchmark found."""

    name: str
    title: str
    tables: tuple[ResultTable, ...]
    goals: tuple[Goal, ...]
    note: str

    def __str__(self) -> str:
        made_by = f"`.venv/bin/python -m benchmarks {self.name}` on {describe_machine()}."
        parts = [
            f"## {self.title}",
            made_by,
            self.note,
            *(str(table) for table in self.tables),
            "\n".join(map(str, self.goals)),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def save(sections: Sequence[Section], order: Sequence[str], path: Path = RESULTS) -> None:
    """Write these sections into the file, each in its place; keep the others."""
    kept = _read(path.read_text()) if path.exists() else {}
    kept |= {section.name: str(section) for section in sections}
    body = "\n".join(f"<!-- {name} -->\n{kept[name]}" for name in order if name in kept)
    path.write_text(f"{_PREAMBLE}\n{body}")


def _read(text: str) -> dict[str, str]:
    _, *parts = _MARK.split(text)
    return {name: f"{body.strip()}\n" for name, body in zip(parts[::2], parts[1::2], strict=True)}

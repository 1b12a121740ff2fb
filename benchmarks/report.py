"""What a report over a long trail costs: time for each entry, and memory.

Invariant: the report is made as people make it, by the command in a process of its own, with the verification of the
whole trail, and it must find nothing. Both sizes are compared in the same run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.half_year import LENGTH, make_half_year
from benchmarks.results import Goal, ResultTable, Section, Size
from core.clock import SystemClock
from tests.harness.keys import AUDIT_KEY

MAX_GROWTH: Final = 1.5
_KIBIBYTES: Final = 1024
_RUN: Final = (
    "import resource, sys\n"
    "from bot.cli import countersign\n"
    "countersign(sys.argv[1:], standalone_mode=False)\n"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
)


class _Made(NamedTuple):
    seconds: float
    mebibytes: float


def measure(size: Size) -> Section:
    """Both lengths, with and without the verification."""
    lengths = (size.pick(10_000, 1_000), size.pick(100_000, 5_000))
    rows, made = [], dict[tuple[int, bool], _Made]()
    now = SystemClock().now()
    for length in lengths:
        with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as folder:
            make_half_year(f"{folder}/half-year.db", length, now)
            for is_verified in (True, False):
                made[length, is_verified] = _make(Path(folder), f"{now - LENGTH:%Y-%m-%d}", is_verified=is_verified)
    short, long = lengths
    for is_verified, name in ((True, "with the verification"), (False, "without it")):
        slower = made[long, is_verified].seconds / long / (made[short, is_verified].seconds / short)
        larger = made[long, is_verified].mebibytes / made[short, is_verified].mebibytes
        rows.append((name, f"{slower:.2f}", f"{larger:.2f}"))
    times, sizes = ([float(row[number]) for row in rows] for number in (1, 2))
    slowest = made[long, True]
    return Section(
        "report",
        "A report for an access review",
        (
            ResultTable(
                ("", "time for an entry", "memory"), tuple(rows), f"As multiples of those at {short:,} entries:"
            ),
        ),
        (
            Goal(
                f"time for an entry: at most {MAX_GROWTH} times", f"at most {max(times):.2f}", max(times) <= MAX_GROWTH
            ),
            Goal(f"memory: at most {MAX_GROWTH} times", f"at most {max(sizes):.2f}", max(sizes) <= MAX_GROWTH),
        ),
        f"{long:,} entries in SQLite, half a year; a page and eight CSV files. On this machine, to extrapolate from: "
        f"{slowest.seconds:.0f} s and {slowest.mebibytes:.0f} MiB with the verification, "
        f"{made[long, False].seconds:.0f} s without it.",
    )


def _make(folder: Path, since: str, *, is_verified: bool) -> _Made:
    arguments = ["report", "--since", since, "--out", "report.html", "--csv", "tables", "--no-names", "--quiet"]
    environment = {
        **os.environ,
        "COUNTERSIGN_STORE": f"sqlite:///{folder / 'half-year.db'}",
        "COUNTERSIGN_AUDIT_KEY": AUDIT_KEY,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", _RUN, *arguments, *([] if is_verified else ["--no-verify"])],
        check=True, capture_output=True, text=True, cwd=folder, env=environment,
    )  # fmt: skip
    return _Made(time.monotonic() - started, int(done.stdout.split()[-1]) / _KIBIBYTES)

"""Times several ways of doing one thing in turns, and compares them.

Invariant: a ratio compares two calls that ran right after each other, and each way goes first equally often; so what
else the machine does at the time meets all of them alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.harness import Call

WARM_UP: Final = 10
"""Rounds before it counts: connections open, caches fill, Java compiles."""
Prepare = Callable[[int], Call]
"""Makes everything ready for the round of this number, and gives what is to be timed."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long: the median over all rounds, and the quartiles."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, times: Sequence[float], to: Sequence[float]) -> Ratio:
        """One way's times to another's, round by round."""
        lower, median, upper = statistics.quantiles([a / b for a, b in zip(times, to, strict=True)], n=4)
        return cls(median, lower, upper)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lower:.2f} to {self.upper:.2f})"


def time_in_turns(ways: Mapping[str, Prepare], rounds: int, warm_up: int = WARM_UP) -> dict[str, list[float]]:
    """Seconds of each way in each round. All are made ready before the first is timed; the order rotates."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(warm_up + rounds):
        calls = {name: prepare(number) for name, prepare in ways.items()}
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            calls[name]()
            took = time.perf_counter() - started
            if number >= warm_up:
                times[name].append(took)
    return times

"""How long a click waits for its acknowledgement: in the good case, without Slack's API, and without the store.

Invariant: what is compared ran in the same process of the bot, over the same door, in turns. A click that was answered
with a failure, or not told its outcome, is counted as such and misses a goal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from benchmarks.pressing import PER_SECOND, STALL_SECONDS, Bench, Pressed, a_bench
from benchmarks.results import Goal, Section, Size, Table
from bot.views.replies import NOT_RECORDED_YET, OVERLOADED
from localslack.answer import Answer

_WITHOUT_SLACK_SECONDS: Final = 0.25
_SLACKS_PATIENCE_SECONDS: Final = 3.0
_SMALL_QUEUE: Final = 60
_TELLING_SECONDS: Final = 30.0
_APPROVED: Final = "Approved."
_UNREACHABLE: Final = "The store can't be reached"
"""What bot.views.replies says when the store gave up by itself: nothing was changed."""


def measure(size: Size) -> Section:
    """Over HTTP, then over Socket Mode."""
    rows: list[tuple[str, ...]] = []
    stalled: list[tuple[str, ...]] = []
    goals: list[Goal] = []
    for over_http in (True, False):
        name = "HTTP" if over_http else "Socket Mode"
        with a_bench(over_http=over_http) as bench:
            _measure_good_case(bench, name, size, rows, goals)
            _measure_without_slack(bench, name, rows, goals)
            _measure_without_store(bench, name, stalled, goals)
        with a_bench(over_http=over_http, max_waiting=_SMALL_QUEUE) as bench:
            _measure_full_queue(bench, name, stalled, goals)
    return Section(
        name="acknowledgement",
        title=f"Acknowledgement at {PER_SECOND} clicks a second",
        tables=(
            Table(("over", "click", "clicks", "p50", "p99", "longest", "p50 / empty listener", "failed"), tuple(rows)),
            Table(
                (
                    "over",
                    "case",
                    "clicks",
                    "longest",
                    "failed",
                    "not yet",
                    "approved",
                    "unreachable",
                    "too busy",
                    "in the store",
                ),
                tuple(stalled),
                f"The store stalled for {STALL_SECONDS:g} s by somebody else's transaction: how many were told that it "
                "is not recorded yet, what all were told in the end, and what the store says:",
            ),
        ),
        goals=tuple(goals),
        note=(
            "The bot runs in one process, a local Slack and the people who press in another, on the same two cores; "
            "SQLite, as `countersign serve` wires it. A click is timed from its turn, not from when it was sent. "
            "The empty listener stands in the same Bolt app, behind the same door."
        ),
    )


def _measure_good_case(bench: Bench, name: str, size: Size, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    blocks, in_each = size.pick(8, 2), PER_SECOND * size.pick(4, 1)
    empty: list[Pressed] = []
    decided: list[Pressed] = []
    asked = bench.ask(blocks * in_each)
    approve = [bench.approver_of(request) for request in asked]
    bench.settle()
    for block in range(blocks):
        turns: list[tuple[list[Pressed], Sequence[Callable[[], Answer]]]] = [
            (empty, [bench.empty] * in_each),
            (decided, approve[block * in_each : (block + 1) * in_each]),
        ]
        for found, clicks in turns[:: 1 if block % 2 == 0 else -1]:
            found.extend(bench.press(clicks))
            bench.settle()
    floor = _quantile(empty, 0.5)
    rows += [_row(name, "an empty listener", empty, floor), _row(name, "approve", decided, floor)]
    is_right = bench.approved(asked) == len(asked) and not _failed(decided)
    goals.append(Goal(f"{name}: every press in the good case is decided", f"{bench.approved(asked)}", is_right))


def _measure_without_slack(bench: Bench, name: str, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    asked = bench.ask(int(PER_SECOND * STALL_SECONDS))
    clicks = [bench.approver_of(request) for request in asked]
    bench.settle()
    floor = _quantile(bench.press([bench.empty] * PER_SECOND), 0.5)
    with bench.stalled_slack():
        pressed = bench.press(clicks)
    bench.settle()
    rows.append(_row(name, "approve, Slack's API stalled", pressed, floor))
    slowest = _quantile(pressed, 0.99)
    goals.append(
        Goal(
            f"{name}: with Slack's API stalled for {STALL_SECONDS:g} s, p99 is under 250 ms",
            _milliseconds(slowest),
            slowest < _WITHOUT_SLACK_SECONDS and not _failed(pressed) and bench.approved(asked) == len(asked),
        )
    )


@dataclass(frozen=True, slots=True)
class _Stalled:
    """What came of clicks while the store stalled: what the approver was told, and what the store says."""

    pressed: list[Pressed]
    approved: int
    told_approved: int
    told_busy: int
    told_unreachable: int
    told_later: int

    @property
    def is_true(self) -> bool:
        """Each click was told one outcome, and as many approvals are in the store as were told."""
        told = self.told_approved + self.told_busy + self.told_unreachable
        return told == len(self.pressed) and self.told_approved == self.approved and not _failed(self.pressed)

    def row(self, name: str, case: str) -> tuple[str, ...]:
        """As a row of the table."""
        counts = (_failed(self.pressed), self.told_later, self.told_approved, self.told_unreachable, self.told_busy)
        longest = max(each.seconds for each in self.pressed)
        return (name, case, str(len(self.pressed)), f"{longest:.2f} s", *map(str, counts), str(self.approved))


def _measure_without_store(bench: Bench, name: str, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    found = _press_without_store(bench)
    rows.append(found.row(name, "room for all"))
    longest = max(each.seconds for each in found.pressed)
    goals += [
        Goal(
            f"{name}: with the store stalled for {STALL_SECONDS:g} s, all are acknowledged before 3 s",
            f"longest {longest:.2f} s, {_failed(found.pressed)} failed",
            longest < _SLACKS_PATIENCE_SECONDS and not _failed(found.pressed),
        ),
        Goal(
            f"{name}: and each outcome is told, and true",
            f"{found.told_approved} told as approved, {found.approved} approved",
            found.is_true,
        ),
    ]


def _measure_full_queue(bench: Bench, name: str, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    found = _press_without_store(bench)
    rows.append(found.row(name, f"a queue of {_SMALL_QUEUE}"))
    goals.append(
        Goal(
            f"{name}: a full queue says so, and loses nothing",
            f"{found.told_busy} told to try again, {found.told_approved} told as approved, {found.approved} approved",
            found.told_busy > 0 and found.is_true,
        )
    )


def _press_without_store(bench: Bench) -> _Stalled:
    asked = bench.ask(int(PER_SECOND * STALL_SECONDS))
    clicks = [bench.approver_of(request) for request in asked]
    bench.settle()
    sayings = (_APPROVED, OVERLOADED, _UNREACHABLE, NOT_RECORDED_YET)
    before = [bench.told(words) for words in sayings]
    with ThreadPoolExecutor(1) as presser:
        with bench.stalled_store():
            pressing = presser.submit(bench.press, clicks)
            time.sleep(STALL_SECONDS)
        pressed = pressing.result()

    def told() -> list[int]:
        return [bench.told(words) - count for words, count in zip(sayings, before, strict=True)]

    with suppress(TimeoutError):
        # What is missing after this is missing: the table shows it, and the goal is missed.
        bench.slack.wait_until(lambda: sum(told()[:3]) >= len(asked), _TELLING_SECONDS)
    approved, busy, unreachable, later = told()
    return _Stalled(pressed, bench.approved(asked), approved, busy, unreachable, later)


def _row(name: str, click: str, pressed: Sequence[Pressed], floor: float) -> tuple[str, ...]:
    median, slowest = _quantile(pressed, 0.5), _quantile(pressed, 0.99)
    longest = max(each.seconds for each in pressed)
    times = [_milliseconds(each) for each in (median, slowest, longest)]
    return (name, click, str(len(pressed)), *times, f"{median / floor:.2f}", str(_failed(pressed)))


def _quantile(pressed: Sequence[Pressed], part: float) -> float:
    """The least time within which this part of all clicks was acknowledged."""
    times = sorted(each.seconds for each in pressed)
    return times[max(math.ceil(part * len(times)) - 1, 0)]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _failed(pressed: Sequence[Pressed]) -> int:
    return sum(each.failure is not None for each in pressed)

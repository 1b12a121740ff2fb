"""How long a click waits for its acknowledgement: normally, without Slack's API, and without the store.

Invariant: the compared clicks ran interleaved in the same bot process, over the same transport. A click that failed, or
never got its outcome, is counted as a failure and misses a goal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from benchmarks.clicks import PER_SECOND, STALL_SECONDS, ClickHarness, TimedClick, click_harness
from benchmarks.results import Goal, ResultTable, Section, Size
from bot.views.replies import NOT_RECORDED_YET, OVERLOADED
from localslack.answer import Answer

_MAX_WITHOUT_SLACK_SECONDS: Final = 0.25
_SLACK_TIMEOUT_SECONDS: Final = 3.0
_SMALL_QUEUE: Final = 60
_REPLIES_TIMEOUT_SECONDS: Final = 30.0
_APPROVED: Final = "Approved."
_UNREACHABLE: Final = "The store can't be reached"
"""What bot.views.replies says when the store timed out: nothing was changed."""
_HEADINGS: Final = ("over", "click", "clicks", "p50", "p99", "longest", "p50 / empty listener", "failed")
_STALLED_HEADINGS: Final = (
    *("over", "case", "clicks", "longest", "failed"),
    *("not yet", "approved", "unreachable", "too busy", "in the store"),
)


def measure(size: Size) -> Section:
    """Over HTTP, then over Socket Mode."""
    rows: list[tuple[str, ...]] = []
    stalled: list[tuple[str, ...]] = []
    goals: list[Goal] = []
    for over_http in (True, False):
        name = "HTTP" if over_http else "Socket Mode"
        with click_harness(over_http=over_http) as harness:
            _measure_good_case(harness, name, size, rows, goals)
            _measure_without_slack(harness, name, rows, goals)
            _measure_without_store(harness, name, stalled, goals)
        with click_harness(over_http=over_http, max_waiting=_SMALL_QUEUE) as harness:
            _measure_full_queue(harness, name, stalled, goals)
    return Section(
        name="acknowledgement",
        title=f"Acknowledgement at {PER_SECOND} clicks a second",
        tables=(
            ResultTable(_HEADINGS, tuple(rows)),
            ResultTable(
                _STALLED_HEADINGS,
                tuple(stalled),
                f"Another transaction stalls the store for {STALL_SECONDS:g} s: how many people were notified that "
                "their click is not recorded yet, which outcome each click had, and what the store contains:",
            ),
        ),
        goals=tuple(goals),
        note=(
            "The bot runs in one process, a local Slack and the people who click in another, on the same two cores; "
            "on SQLite, wired as by `countersign serve`. A click is timed from when it was due, not from when it was "
            "sent. The empty listener is in the same Bolt app, over the same transport."
        ),
    )


def _measure_good_case(
    harness: ClickHarness, name: str, size: Size, rows: list[tuple[str, ...]], goals: list[Goal]
) -> None:
    blocks, in_each = size.pick(8, 2), PER_SECOND * size.pick(4, 1)
    empty: list[TimedClick] = []
    decided: list[TimedClick] = []
    asked = harness.ask(blocks * in_each)
    approve = [harness.approval_of(request) for request in asked]
    harness.settle()
    for block in range(blocks):
        pairs: list[tuple[list[TimedClick], Sequence[Callable[[], Answer]]]] = [
            (empty, [harness.empty] * in_each),
            (decided, approve[block * in_each : (block + 1) * in_each]),
        ]
        for found, clicks in pairs[:: 1 if block % 2 == 0 else -1]:
            found.extend(harness.click_all(clicks))
            harness.settle()
    floor = quantile(empty, 0.5)
    rows += [row(name, "an empty listener", empty, floor), row(name, "approve", decided, floor)]
    is_right = harness.approved(asked) == len(asked) and not failed(decided)
    goals.append(Goal(f"{name}: every click in the good case is decided", f"{harness.approved(asked)}", is_right))


def _measure_without_slack(harness: ClickHarness, name: str, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    asked = harness.ask(int(PER_SECOND * STALL_SECONDS))
    clicks = [harness.approval_of(request) for request in asked]
    harness.settle()
    floor = quantile(harness.click_all([harness.empty] * PER_SECOND), 0.5)
    with harness.stalled_slack():
        timed = harness.click_all(clicks)
    harness.settle()
    rows.append(row(name, "approve, Slack's API stalled", timed, floor))
    slowest = quantile(timed, 0.99)
    goals.append(
        Goal(
            f"{name}: with Slack's API stalled for {STALL_SECONDS:g} s, p99 is under 250 ms",
            _milliseconds(slowest),
            slowest < _MAX_WITHOUT_SLACK_SECONDS and not failed(timed) and harness.approved(asked) == len(asked),
        )
    )


@dataclass(frozen=True, slots=True)
class _Stalled:
    """The outcomes of clicks while the store stalled: the approver's replies, and what the store contains."""

    timed: list[TimedClick]
    approved: int
    approved_replies: int
    busy_replies: int
    unreachable_replies: int
    pending_replies: int

    @property
    def is_true(self) -> bool:
        """Each click got one reply with its outcome, and as many approvals are in the store as in replies."""
        replies = self.approved_replies + self.busy_replies + self.unreachable_replies
        return replies == len(self.timed) and self.approved_replies == self.approved and not failed(self.timed)

    def row(self, name: str, case: str) -> tuple[str, ...]:
        """As a row of the table."""
        counts = (
            failed(self.timed),
            self.pending_replies,
            self.approved_replies,
            self.unreachable_replies,
            self.busy_replies,
        )
        longest = max(each.seconds for each in self.timed)
        return (name, case, str(len(self.timed)), f"{longest:.2f} s", *map(str, counts), str(self.approved))


def _measure_without_store(harness: ClickHarness, name: str, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    found = _click_without_store(harness)
    rows.append(found.row(name, "room for all"))
    longest = max(each.seconds for each in found.timed)
    goals += [
        Goal(
            f"{name}: with the store stalled for {STALL_SECONDS:g} s, all are acknowledged before 3 s",
            f"longest {longest:.2f} s, {failed(found.timed)} failed",
            longest < _SLACK_TIMEOUT_SECONDS and not failed(found.timed),
        ),
        Goal(
            f"{name}: and each click gets one reply with its true outcome",
            f"{found.approved_replies} replies say approved, {found.approved} are approved",
            found.is_true,
        ),
    ]


def _measure_full_queue(harness: ClickHarness, name: str, rows: list[tuple[str, ...]], goals: list[Goal]) -> None:
    found = _click_without_store(harness)
    rows.append(found.row(name, f"a queue of {_SMALL_QUEUE}"))
    goals.append(
        Goal(
            f"{name}: a full queue says so, and loses nothing",
            f"{found.busy_replies} replies say try again, {found.approved_replies} say approved, "
            f"{found.approved} are approved",
            found.busy_replies > 0 and found.is_true,
        )
    )


def _click_without_store(harness: ClickHarness) -> _Stalled:
    asked = harness.ask(int(PER_SECOND * STALL_SECONDS))
    clicks = [harness.approval_of(request) for request in asked]
    harness.settle()
    texts = (_APPROVED, OVERLOADED, _UNREACHABLE, NOT_RECORDED_YET)
    before = [harness.count_replies(text) for text in texts]
    with ThreadPoolExecutor(1) as pool:
        with harness.stalled_store():
            clicking = pool.submit(harness.click_all, clicks)
            time.sleep(STALL_SECONDS)
        timed = clicking.result()

    def new_replies() -> list[int]:
        return [harness.count_replies(text) - count for text, count in zip(texts, before, strict=True)]

    with suppress(TimeoutError):
        # Replies that don't arrive in time are missing from the table, and the goal is missed.
        harness.slack.wait_until(lambda: sum(new_replies()[:3]) >= len(asked), _REPLIES_TIMEOUT_SECONDS)
    approved, busy, unreachable, later = new_replies()
    return _Stalled(timed, harness.approved(asked), approved, busy, unreachable, later)


def row(name: str, click: str, timed: Sequence[TimedClick], floor: float) -> tuple[str, ...]:
    """One row of a table of clicks."""
    median, slowest = quantile(timed, 0.5), quantile(timed, 0.99)
    longest = max(each.seconds for each in timed)
    times = [_milliseconds(each) for each in (median, slowest, longest)]
    return (name, click, str(len(timed)), *times, f"{median / floor:.2f}", str(failed(timed)))


def quantile(timed: Sequence[TimedClick], part: float) -> float:
    """The shortest time within which this fraction of all clicks was acknowledged."""
    times = sorted(each.seconds for each in timed)
    return times[max(math.ceil(part * len(times)) - 1, 0)]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def failed(timed: Sequence[TimedClick]) -> int:
    """How many clicks failed."""
    return sum(each.failure is not None for each in timed)

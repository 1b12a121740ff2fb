"""The figures of a report: counts of its rows, as charts and as single numbers.

Invariant: pure, and in one pass over the rows. What is counted by week is counted where it began, so that no row counts
twice; each number can be found again in the tables.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from core.report.access_rows import ReportedRefusal
from core.report.chart import Chart, ChartLayout, Tone, chart_of
from core.report.period import Period
from core.report.rows import ReportedEvent, ReportedRequest

Counts = defaultdict[str, defaultdict[str, int]]
MAX_BARS: Final = 12
"""How many profiles a chart names; the others are counted together."""
OTHERS: Final = "all others"
NO_PROFILE: Final = "no profile"
_BUCKETS: Final = (
    ("under 1 min", 60), ("1 to 5 min", 300), ("5 to 15 min", 900), ("15 to 60 min", 3600), ("1 to 4 h", 14400),
    ("4 to 24 h", 86400), ("over 24 h", float("inf")),
)  # fmt: skip
OUTCOMES: Final = (
    ("approved", Tone.GOOD), ("approved by a rule", Tone.CALM), ("denied", Tone.BAD), ("expired", Tone.WARN),
    ("cancelled", Tone.NEUTRAL), ("still open", Tone.SPECIAL),
)  # fmt: skip
_REASONS: Final = (
    ("incident", Tone.BAD), ("maintenance", Tone.WARN), ("security", Tone.SPECIAL), ("recovery", Tone.CALM),
    ("other", Tone.NEUTRAL),
)  # fmt: skip
_UNKNOWN_REASON: Final = "other"
_REVIEWS: Final = (
    ("reviewed in time", Tone.GOOD), ("reviewed late", Tone.WARN), ("waiting", Tone.CALM), ("overdue", Tone.BAD)
)  # fmt: skip


def _counts() -> Counts:
    return defaultdict(lambda: defaultdict(int))


@dataclass(slots=True)
class RequestFigures:
    """Requests and their outcomes, and how long people took to decide."""

    period: Period
    by_step: Counts = field(default_factory=_counts)
    by_bucket: Counts = field(default_factory=_counts)
    waits: array[float] = field(default_factory=lambda: array("d"))
    total: int = 0
    earlier: int = 0

    def add(self, row: ReportedRequest, now: datetime) -> None:
        """Count a request. One from before the period counts with its decision only."""
        seconds = row.decision_seconds
        if seconds is not None and row.decided_at and self.period.contains(row.decided_moment):
            self.waits.append(seconds)
            self.by_bucket[next(name for name, limit in _BUCKETS if seconds < limit)]["decisions"] += 1
        if not self.period.contains(row.began_at):
            self.earlier += 1
            return
        self.total += 1
        self.by_step[self.period.label(self.period.step_of(row.began_at))][outcome_of(row, now)] += 1

    def charts(self) -> tuple[Chart, ...]:
        """By week, and by time to the decision."""
        step = self.period.step
        steps = [self.period.label(each) for each in self.period.steps()]
        return (
            chart_of("requests", f"Requests and their outcomes by {step}", step, steps, self.by_step, OUTCOMES,
                     note=f"A request counts in the {step} in which it was submitted."),
            chart_of("decisions", "Time to decision", "time", [name for name, _ in _BUCKETS], self.by_bucket,
                     (("decisions", Tone.CALM),), note="How long requests waited until people approved or denied them. "
                     "What a rule approved at once isn't counted."),
        )  # fmt: skip

    def outcome_total(self, name: str) -> int:
        """How many requests of the period ended like this."""
        return sum(each[name] for each in self.by_step.values())

    def wait_at(self, share: float) -> timedelta | None:
        """The wait that this share of the decisions didn't exceed; None without any."""
        if not self.waits:
            return None
        ordered = sorted(self.waits)
        return timedelta(seconds=ordered[min(len(ordered) - 1, int(share * len(ordered)))])


@dataclass(slots=True)
class EventFigures:
    """Break-glass events by profile and reason code, and their reviews."""

    period: Period
    within: timedelta
    by_profile: Counts = field(default_factory=_counts)
    by_step: Counts = field(default_factory=_counts)
    total: int = 0
    live: int = 0

    def add(self, row: ReportedEvent, now: datetime) -> None:
        """Count an event. One from before the period counts with its review only."""
        if self.period.contains(row.began_at):
            self.total += 1
            # A newer version may know other codes; they are in the table.
            code = row.reason_code if row.reason_code in dict(_REASONS) else _UNKNOWN_REASON
            self.by_profile[row.profile][code] += 1
        if not row.has_ended(now):
            self.live += 1
            return
        self.by_step[self.period.label(self._step_of(row))][review_of(row, self.within, now)] += 1

    def _step_of(self, row: ReportedEvent) -> date:
        # An event from before the period is shown at its beginning.
        return self.period.step_of(max(row.began_at, self.period.since))

    def charts(self) -> tuple[Chart, ...]:
        """By profile and reason, and the reviews by week."""
        step = self.period.step
        steps = [self.period.label(each) for each in self.period.steps()]
        names, counts = _largest(self.by_profile)
        return (
            chart_of("break-glass", "Break-glass events by profile and reason code", "profile", names, counts, _REASONS,
                     layout=ChartLayout.BARS),
            chart_of("reviews", f"Reviews of break-glass events by {step}", step, steps, self.by_step, _REVIEWS,
                     note=f"An ended event counts in the {step} in which it was declared."),
        )  # fmt: skip

    def review_total(self, name: str) -> int:
        """How many ended events are in this state of review."""
        return sum(each[name] for each in self.by_step.values())


@dataclass(slots=True)
class RefusalFigures:
    """Refused attempts, by what was tried."""

    by_action: Counts = field(default_factory=_counts)
    total: int = 0

    def add(self, row: ReportedRefusal) -> None:
        """Count an entry, which may stand for several equal attempts."""
        self.total += row.times
        self.by_action[ACTIONS.get(row.action, row.action.replace("_", " "))]["refused attempts"] += row.times

    def charts(self) -> tuple[Chart, ...]:
        """By what was tried."""
        names, counts = _largest(self.by_action)
        tones = (("refused attempts", Tone.WARN),)
        return (chart_of("refusals", "Refused attempts", "attempt", names, counts, tones, layout=ChartLayout.BARS),)


ACTIONS: Final = {
    "submit_refused": "ask for access", "approve_refused": "approve", "deny_refused": "deny",
    "cancel_refused": "cancel a request", "invoke_refused": "break the glass", "close_refused": "close an event",
    "review_refused": "review an event", "access_end_refused": "end access", "access_revoke_refused": "revoke access",
    "credentials_refused": "get credentials", "device_refused": "use a device", "pair_refused": "pair a terminal",
    "seal_broken": "read a record whose seal is broken",
}  # fmt: skip
"""What was tried, by the audit action of its refusal."""


def outcome_of(row: ReportedRequest, now: datetime) -> str:
    """How a request ended, in the words of the chart."""
    match row.status:
        case "approved":
            return "approved" if row.decision_seconds is not None else "approved by a rule"
        case "denied" | "cancelled" | "expired":
            return row.status
    return "expired" if row.is_over(now) else "still open"


def review_of(row: ReportedEvent, within: timedelta, now: datetime) -> str:
    """How the review of an ended event stands, in the words of the chart."""
    due_at = row.review_due_at(within)
    if row.reviewed_at:
        return "reviewed late" if due_at is not None and row.reviewed_moment > due_at else "reviewed in time"
    return "overdue" if due_at is not None and now >= due_at else "waiting"


def count_holders(holders: Iterable[tuple[str, str]]) -> Chart:
    """Who has access now, by profile: pairs of a profile and how it was given."""
    counted = _counts()
    for profile, how in holders:
        counted[profile or NO_PROFILE][how] += 1
    names, counts = _largest(counted)
    tones = (("by request", Tone.GOOD), ("by break-glass", Tone.BAD))
    return chart_of("access", "Access that is open now", "profile", names, counts, tones, layout=ChartLayout.BARS)


def _largest(counted: Counts) -> tuple[list[str], Counts]:
    """The categories with the highest counts; the rest as one."""
    ordered = sorted(counted, key=lambda name: (-sum(counted[name].values()), name))
    if len(ordered) <= MAX_BARS:
        return ordered, counted
    shown, rest = ordered[: MAX_BARS - 1], ordered[MAX_BARS - 1 :]
    counts = _counts()
    for name in shown:
        counts[name] = counted[name]
    for name in rest:
        for series, number in counted[name].items():
            counts[OTHERS][series] += number
    return [*shown, OTHERS], counts

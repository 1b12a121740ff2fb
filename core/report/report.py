"""The report of a period: everything that the page and the files are made of.

Invariant: it says of itself what was verified and what wasn't. A claim that the reading doesn't support is not made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.audit.checkpoint import Checkpoint
from core.audit.findings import Finding, Tally
from core.audit.trail import AuditEntry
from core.report.access_now import AccessNow
from core.report.access_rows import ReportedRefusal
from core.report.chart import Chart
from core.report.collecting import RowBook, TrailReading
from core.report.figures import EventFigures, RefusalFigures, RequestFigures, count_holders
from core.report.period import Period
from core.report.rows import ReportedEvent, ReportedRequest
from core.report.tables import ReportTable, make_tables


@dataclass(frozen=True, slots=True)
class Verification:
    """What the verification of the trail found: `findings` in number, the first of them in `shown`."""

    tally: Tally
    findings: int = 0
    shown: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Integrity:
    """What is known about whether the trail is as it was written.

    `verification` is None when it was left out. `checkpoint` is the last genuine one.
    """

    verification: Verification | None = None
    checkpoint: tuple[AuditEntry, Checkpoint] | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """What people are called in Slack. `problem` says why some names, or all, are missing."""

    known: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AccessReport:
    """A report that is ready to be shown. `review_problem` says why the policy's own time for reviews isn't known."""

    period: Period
    made_at: datetime
    store: str
    reading: TrailReading
    integrity: Integrity
    requests: RequestFigures
    events: EventFigures
    refusals: RefusalFigures
    access: AccessNow
    tables: tuple[ReportTable, ...]
    review_within: timedelta
    review_problem: str = ""
    names: Names = field(default_factory=Names)

    def charts(self) -> tuple[Chart, ...]:
        """The charts, in the order of the page."""
        holders = ((each.profile, each.how) for each in self.access.holders)
        return (
            *self.requests.charts(), *self.events.charts(), *self.refusals.charts(), count_holders(holders)
        )  # fmt: skip


def make_report(
    book: RowBook,
    reading: TrailReading,
    access: AccessNow,
    integrity: Integrity,
    *,
    period: Period,
    store: str,
    review_within: timedelta,
    review_problem: str = "",
) -> AccessReport:
    """Count what is in the book."""
    now = access.at
    requests, events, refusals = RequestFigures(period), EventFigures(period, review_within), RefusalFigures()
    for request in book.iterate(ReportedRequest):
        requests.add(request, now)
    for event in book.iterate(ReportedEvent):
        events.add(event, now)
    for refusal in book.iterate(ReportedRefusal):
        refusals.add(refusal)
    tables = make_tables(book, access, reading.policies, review_within, now)
    return AccessReport(
        period, now, store, reading, integrity, requests, events, refusals, access, tables, review_within,
        review_problem,
    )  # fmt: skip

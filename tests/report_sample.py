"""A small report that has something of everything, with the same text wherever people write.

Invariant: it depends on nothing but the arguments.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.audit.findings import Tally
from core.clock import format_time
from core.report.access_now import BY_REQUEST, AccessNow, Holder
from core.report.access_rows import ReportedRefusal
from core.report.collecting import TrailReading
from core.report.period import Period
from core.report.report import AccessReport, Integrity, Names, Verification, make_report
from core.report.rows import ReportedEvent, ReportedRequest
from core.report.spooled_rows import SpooledRows
from tests.harness.clock import A_MOMENT

DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")
CLEAN: Final = Verification(Tally(entries=3))


def a_report(
    book: SpooledRows, text: str = "why", integrity: Integrity | None = None, unusable: int = 0
) -> AccessReport:
    """A report on what this book is filled with."""
    at = format_time(A_MOMENT)
    book.put(
        ReportedRequest(
            id="0" * 16, at=at, person="U0MIRA", profile=text, status="denied", justification=text, rule=text,
            asked_seconds=3600, decided_by="U0JON", decided_at=format_time(A_MOMENT + DAY / 24), comment=text,
        )
    )  # fmt: skip
    book.put(
        ReportedEvent(id="1" * 16, at=at, person="U0SAM", profile=text, reason_code=text, expires_at=at, notes=text)
    )
    book.put(ReportedRefusal(id="x", at=at, person="U0SAM", profile=text, action=text, reasons=text))
    holder = Holder("U0MIRA", text, BY_REQUEST, text, "U0JON", A_MOMENT, A_MOMENT + DAY, text, (text,), text)
    report = make_report(
        book,
        TrailReading(entries=3, unusable=unusable, named=[text] * unusable),
        AccessNow(A_MOMENT + DAY, (holder,)),
        integrity or Integrity(CLEAN),
        period=Period(A_MOMENT - DAY, A_MOMENT + DAY, UTC),
        store=text,
        review_within=3 * DAY,
    )
    return replace(report, names=Names({"U0MIRA": text}, text))

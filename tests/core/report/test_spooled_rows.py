"""Rows come back as they were put, whether they were put aside or not."""

from __future__ import annotations

from datetime import timedelta

from core.clock import format_time
from core.report.rows import ReportedEvent, ReportedRequest
from core.report.spooled_rows import MAX_IN_MEMORY, SpooledRows
from tests.harness.clock import A_MOMENT


def test_row_that_was_put_aside_is_found_and_replaced() -> None:
    with SpooledRows() as book:
        first = ReportedRequest(id="0", at=format_time(A_MOMENT), person="U0MIRA", approvers=("U0JON", "U0AIKO"))
        book.put(first)
        for number in range(1, MAX_IN_MEMORY + 10):
            book.put(ReportedRequest(id=f"{number}", at=format_time(A_MOMENT + timedelta(seconds=number))))
        assert book.find(ReportedRequest, "0") == first
        assert book.find(ReportedEvent, "0") is None
        book.put(ReportedRequest(id="0", at=first.at, person="U0SAM"))
        assert next(book.iterate(ReportedRequest)).person == "U0SAM"
        assert book.count(ReportedRequest) == MAX_IN_MEMORY + 10
        assert [row.id for row in book.iterate(ReportedRequest, newest_first=True, limit=2)] == ["2009", "2008"]

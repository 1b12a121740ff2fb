"""Rows come back as they were put, whether they were put aside or not."""

from __future__ import annotations

from datetime import timedelta

from core.clock import format_time
from core.report.rows import EventRow, RequestRow
from core.report.spooled_rows import MAX_IN_MEMORY, SpooledRows
from tests.harness.clock import A_MOMENT


def test_row_that_was_put_aside_is_found_and_replaced() -> None:
    with SpooledRows() as book:
        first = RequestRow(id="0", at=format_time(A_MOMENT), person="U0MIRA", approvers=("U0JON", "U0AIKO"))
        book.put(first)
        for number in range(1, MAX_IN_MEMORY + 10):
            book.put(RequestRow(id=f"{number}", at=format_time(A_MOMENT + timedelta(seconds=number))))
        assert book.find(RequestRow, "0") == first
        assert book.find(EventRow, "0") is None
        book.put(RequestRow(id="0", at=first.at, person="U0SAM"))
        assert next(book.iterate(RequestRow)).person == "U0SAM"
        assert book.count(RequestRow) == MAX_IN_MEMORY + 10
        assert [row.id for row in book.iterate(RequestRow, newest_first=True, limit=2)] == ["2009", "2008"]

"""A report says what the entries say, and nothing that a forged one says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from core.audit.checkpoint import read_seal_check
from core.audit.keyring import AuditKeyring
from core.report.access_rows import ReportedGrant, ReportedRefusal
from core.report.collecting import TrailReading, collect
from core.report.figures import EventFigures, RequestFigures
from core.report.period import Period
from core.report.rows import ReportedEvent, ReportedRequest
from core.report.spooled_rows import SpooledRows
from core.stores import open_stores
from playground.demo_target import DemoTarget
from playground.story import MORNING, MovableClock, Story
from tests.harness.keys import AUDIT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")
NOW = MORNING + 10 * DAY


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story")
    clock, ring = MovableClock(), AuditKeyring.from_text(AUDIT_KEY)
    with closing(open_stores(f"sqlite:///{folder}/story.db", keyring=ring, clock=clock)) as stores:
        for _ in Story(stores, DemoTarget(folder / "aws.json", clock), clock).play():
            pass
    return folder / "story.db"


@pytest.fixture
def book() -> Iterator[SpooledRows]:
    with SpooledRows() as rows:
        yield rows


def read(path: Path, book: SpooledRows, period: Period) -> TrailReading:
    ring = AuditKeyring.from_text(AUDIT_KEY)
    with closing(open_stores(f"sqlite:///{path}", keyring=ring)) as stores:
        return collect(stores.audit, read_seal_check(stores.audit, ring), period, book, lambda _: None)


@pytest.mark.parametrize("opens", ["2026-01-16T22:00:00.000000Z", ""])
def test_given_time_counts_from_the_opening(opens: str) -> None:
    # Without a time of its own, it opened with the approval: an older version knows no start.
    ends = "2026-01-16T23:00:00.000000Z" if opens else "2026-01-15T04:00:00.000000Z"
    row = ReportedRequest(
        "1", "2026-01-15T02:00:00.000000Z", decided_at="2026-01-15T03:00:00.000000Z", asked_seconds=7200,
        starts_at="2026-01-16T22:00:00.000000Z", access_opens_at=opens, access_ends_at=ends,
    )  # fmt: skip
    assert row.given_seconds == 3600


def test_rows_say_what_was_decided(story: Path, book: SpooledRows) -> None:
    reading = read(story, book, Period(MORNING - DAY, NOW, UTC))
    requests, (event,) = list(book.iterate(ReportedRequest)), list(book.iterate(ReportedEvent))
    approved = next(row for row in requests if row.status == "approved")
    assert (approved.person, approved.profile, approved.justification) == (
        "U0MIRA",
        "prod",
        "Deploy the fix for INC-12",
    )
    assert approved.decided_by in {"U0JON", "U0AIKO"}
    assert approved.approvers == (approved.decided_by,)
    assert (approved.asked_seconds, approved.given_seconds) == (3600, 3600)
    assert approved.decision_seconds == pytest.approx(120, abs=1)
    assert "expired" in {row.status for row in requests}
    assert (event.reason_code, event.verdict) == ("incident", "justified")
    assert event.reviewer == "U0AIKO"
    assert event.notes
    assert {row.status for row in book.iterate(ReportedGrant)} == {"ended"}
    refused = next(row for row in book.iterate(ReportedRefusal) if row.action == "approve_refused")
    assert refused.reasons
    assert (reading.unusable, reading.refusals) == (0, book.count(ReportedRefusal))


def test_figures_count_each_row_once(story: Path, book: SpooledRows) -> None:
    period = Period(MORNING - DAY, NOW, UTC)
    read(story, book, period)
    requests, events = RequestFigures(period), EventFigures(period, 3 * DAY)
    for row in book.iterate(ReportedRequest):
        requests.add(row, NOW)
    for event in book.iterate(ReportedEvent):
        events.add(event, NOW)
    assert sum(chart.series[0].total for chart in requests.charts()[1:]) == len(requests.waits) == 1
    assert sum(series.total for series in requests.charts()[0].series) == requests.total == book.count(ReportedRequest)
    assert events.review_total("reviewed in time") == events.total == 1


def test_past_of_a_record_is_read_as_well(story: Path, book: SpooledRows) -> None:
    read(story, book, Period(MORNING - DAY, NOW, UTC))
    (event,) = book.iterate(ReportedEvent)
    with SpooledRows() as later:
        period = Period(event.reviewed_moment - timedelta(seconds=1), NOW, UTC)
        read(story, later, period)
        assert list(later.iterate(ReportedEvent)) == [event]
        # It was declared earlier, and isn't counted as an event of this period.
        figures = EventFigures(period, 3 * DAY)
        figures.add(event, NOW)
        assert (figures.total, figures.review_total("reviewed in time")) == (0, 1)


def test_forged_entry_is_named_and_not_used(story: Path, book: SpooledRows, tmp_path: Path) -> None:
    path = tmp_path / "forged.db"
    with closing(sqlite3.connect(story)) as genuine, closing(sqlite3.connect(path)) as copy:
        genuine.backup(copy)
        copy.execute(
            "UPDATE audit SET body = json_set(body, '$.actor', 'U0MALLORY')"
            " WHERE json_extract(body, '$.event') = 'request_approved'"
        )
        copy.commit()
    reading = read(path, book, Period(MORNING - DAY, NOW, UTC))
    assert reading.unusable == 1
    assert "does not say what was sealed" in reading.named[0]
    assert "U0MALLORY" not in {row.decided_by for row in book.iterate(ReportedRequest)}


@pytest.mark.parametrize(
    ("body", "unusable", "unreadable"), [("'{'", 0, 2), ("json_set(body, '$.actor', 'U0X')", 2, 0)]
)
def test_each_entry_that_is_left_out_counts_once(
    story: Path, book: SpooledRows, tmp_path: Path, body: str, unusable: int, unreadable: int
) -> None:
    path = tmp_path / "damaged.db"
    with closing(sqlite3.connect(story)) as genuine, closing(sqlite3.connect(path)) as copy:
        genuine.backup(copy)
        # Later entries of these chains lead to it again.
        copy.execute(f"UPDATE audit SET body = {body} WHERE seq = 1 AND chain LIKE 'REQUEST#%'")  # noqa: S608
        copy.commit()
    reading = read(path, book, Period(MORNING - DAY, NOW, UTC))
    assert (reading.unusable, reading.unreadable, len(reading.named)) == (unusable, unreadable, 2)


def test_digest_is_the_same_for_the_same_entries(story: Path, book: SpooledRows) -> None:
    period = Period(MORNING - DAY, NOW, UTC)
    with SpooledRows() as other:
        assert read(story, book, period).digest == read(story, other, period).digest
    with SpooledRows() as shorter:
        assert read(story, shorter, Period(MORNING - DAY, MORNING, UTC)).digest != read(story, book, period).digest

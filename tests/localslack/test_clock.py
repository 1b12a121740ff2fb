from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from localslack.clock import SystemClock, format_time


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 1, 15, 3, 53, 45, tzinfo=UTC), "2026-01-15T03:53:45.000000Z"),
        (datetime(2026, 1, 15, 5, 53, 45, 120_000, timezone(timedelta(hours=2))), "2026-01-15T03:53:45.120000Z"),
    ],
)
def test_times_are_written_in_utc_at_one_width(moment: datetime, written: str) -> None:
    assert format_time(moment) == written


def test_system_clock_gives_aware_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta()

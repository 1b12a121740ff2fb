from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.report.period import MAX_WEEKS, Period, month_before

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as it asks


@given(since=MOMENTS, days=st.integers(1, 1000), share=st.floats(0, 0.999))
def test_every_moment_belongs_to_one_step(since: datetime, days: int, share: float) -> None:
    period = Period(since, since + timedelta(days=days), BERLIN)
    steps = period.steps()
    assert period.step_of(since + share * timedelta(days=days)) in steps
    assert list(steps) == sorted(set(steps))


def test_a_week_begins_on_monday_in_the_zone() -> None:
    period = Period(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC), BERLIN)
    # Sunday evening in UTC is Monday in Berlin.
    assert period.step_of(datetime(2026, 7, 5, 22, 30, tzinfo=UTC)) == date(2026, 7, 6)
    assert period.steps()[0] == date(2026, 6, 29)


def test_a_long_period_is_counted_by_months() -> None:
    since = datetime(2024, 1, 15, tzinfo=UTC)
    assert not Period(since, since + timedelta(weeks=MAX_WEEKS), BERLIN).is_by_month
    long = Period(since, since + timedelta(weeks=MAX_WEEKS + 1), BERLIN)
    assert long.steps()[:2] == (date(2024, 1, 1), date(2024, 2, 1))


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 11, 30, 23, tzinfo=UTC)),
        (datetime(2026, 3, 31, 22, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC)),
        (datetime(2026, 4, 30, 21, 59, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC)),
    ],
)
def test_month_that_was_over_last(now: datetime, begin: datetime) -> None:
    month = month_before(now, BERLIN)
    assert month.since == begin
    assert month.until <= now
    assert month.until.astimezone(BERLIN).day == 1

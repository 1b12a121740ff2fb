from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.clock import Clock
from tests.harness.clock import A_MOMENT, FrozenClock


def test_stands_still_until_it_is_moved(clock: FrozenClock) -> None:
    told: Clock = clock
    assert told.now() == told.now() == A_MOMENT
    assert clock.advance(timedelta(microseconds=1)) == told.now() == A_MOMENT + timedelta(microseconds=1)


def test_can_go_back_as_real_clocks_do(clock: FrozenClock) -> None:
    clock.advance(timedelta(hours=-1))
    assert clock.now() == A_MOMENT - timedelta(hours=1)
    clock.set(A_MOMENT - timedelta(days=1))
    assert clock.now() == A_MOMENT - timedelta(days=1)


def test_tells_utc_and_takes_no_naive_time(clock: FrozenClock) -> None:
    clock.set(datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))))
    assert clock.now() == datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
    assert clock.now().tzinfo is UTC
    with pytest.raises(ValueError, match="zone"):
        clock.set(datetime(2026, 3, 1, 9, 30))  # noqa: DTZ001  A naive time is the point.

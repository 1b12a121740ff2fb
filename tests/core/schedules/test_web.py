"""One call to a source: what a key may look like, and how long it asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.schedules.web import ScheduleWeb, read_key, read_pause, write_window

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("key", ["two words", "a\nb", "schlüssel", "a\x00b"])
def test_what_can_be_no_key_is_not_sent_and_not_quoted(tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key, encoding="utf-8")

    with pytest.raises(ScheduleRefused, match="can't be the key of PagerDuty") as refused:
        read_key(f"file:{tmp_path}/key", "PagerDuty")

    assert key not in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-reset": "31", "retry-after": "5"}, 31),
        ({"retry-after": "5"}, 5),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "9" * 40}, 3600),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"ratelimit-reset": "-4"}, None),
        ({"ratelimit-reset": "soon", "retry-after": "5"}, 5),
        ({}, None),
    ],
)
def test_pause_is_bounded_and_in_seconds(headers: dict[str, str], seconds: int | None) -> None:
    assert read_pause(headers) == (timedelta(seconds=seconds) if seconds else None)


@pytest.mark.parametrize("address", ["http://example.com/feed", "ftp://example.com", "https://u:p@example.com", "none"])
def test_address_that_is_not_safe_is_not_called(address: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        ScheduleWeb("PagerDuty").call(address, {})

    assert address not in str(refused.value)


def test_service_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(ScheduleUnavailable, match="can't be reached: ConnectionRefusedError"):
        ScheduleWeb("PagerDuty").call("http://127.0.0.1:9/", {})


def test_times_are_sent_in_whole_seconds_and_never_too_narrow() -> None:
    at = datetime(2026, 1, 15, 8, 0, 0, 250_000, tzinfo=UTC)

    assert write_window(at, at + timedelta(hours=1)) == ("2026-01-15T08:00:00Z", "2026-01-15T09:00:01Z")
    assert write_window(at.replace(microsecond=0), at.replace(microsecond=0, hour=9))[1] == "2026-01-15T09:00:00Z"

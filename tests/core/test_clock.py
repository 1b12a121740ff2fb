from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from core.clock import (
    ID_PATTERN,
    TICK,
    Clock,
    SystemClock,
    UtcTime,
    format_time,
    new_id,
    parse_time,
    require_utc,
)
from core.errors import InvalidInput
from tests.harness.clock import A_MOMENT

all_moments = st.datetimes(timezones=st.just(UTC))


class Stamp(BaseModel):
    made_at: UtcTime


@given(moment=all_moments)
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
@example(datetime.max.replace(tzinfo=UTC))
def test_written_time_is_27_characters_and_reads_back_the_same(moment: datetime) -> None:
    written = format_time(moment)
    assert len(written) == 27
    assert parse_time(written) == moment
    assert Stamp.model_validate(Stamp(made_at=moment).model_dump(mode="json")).made_at == moment


@given(one=all_moments, other=all_moments)
def test_written_times_sort_as_the_times_do(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


@given(moment=all_moments.filter(lambda moment: moment < datetime.max.replace(tzinfo=UTC)))
def test_one_tick_later_is_written_later(moment: datetime) -> None:
    assert format_time(moment) < format_time(moment + TICK)


def test_zeros_of_the_microseconds_are_written_too() -> None:
    assert format_time(A_MOMENT) == "2026-01-15T03:53:45.120000Z"
    assert format_time(A_MOMENT.replace(microsecond=0)) == "2026-01-15T03:53:45.000000Z"


def test_another_zone_is_written_and_kept_in_utc() -> None:
    elsewhere = A_MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert format_time(elsewhere) == format_time(A_MOMENT)
    assert Stamp(made_at=elsewhere).made_at.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-15T03:53:45Z",
        "2026-01-15T03:53:45.12Z",
        "2026-01-15T03:53:45.120000+00:00",
        "2026-01-15T03:53:45.120000",
        "2026-01-15 03:53:45.120000Z",
        "2026-01-15T03:53:45.120000z",
        "2026-01-15T03:53:45.120000Z ",
        "2026-01-15T03:53:45.120000Z\n",
        "2026-02-30T03:53:45.120000Z",
        "2026-01-15T24:00:00.000000Z",
        "2026-01-15T23:60:00.000000Z",
        "0000-01-15T03:53:45.120000Z",
        "\uff12\uff1026-01-15T03:53:45.120000Z",
        "+026-01-15T03:53:45.120000Z",
        "x" * 10_000,
    ],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|day|month|hour|minute|year"):
        parse_time(text)
    with pytest.raises(ValidationError):
        Stamp.model_validate({"made_at": text})


@pytest.mark.parametrize("value", [1_700_000_000, 1.7e9, A_MOMENT.date(), None, True, b"2026-01-15T03:53:45.120000Z"])
def test_malformed_time_is_refused(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match="a time is a datetime"):
        Stamp(made_at=value)


def test_time_without_a_zone_is_refused_with_its_field() -> None:
    bare = A_MOMENT.replace(tzinfo=None)
    with pytest.raises(InvalidInput) as refusal:
        Stamp(made_at=bare)
    assert refusal.value.field == "made_at"
    with pytest.raises(ValueError, match="needs a zone"):
        require_utc(bare)
    with pytest.raises(ValueError, match="needs a zone"):
        format_time(bare)


def test_system_clock_gives_utc_and_moves() -> None:
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    told = clock.now()
    assert told.tzinfo is UTC
    assert before <= told <= datetime.now(UTC)


def test_ids_are_16_lowercase_hex_digits_and_never_the_same() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(ID_PATTERN, each) for each in ids)

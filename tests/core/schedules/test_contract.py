"""What every source of schedules keeps, whatever stands behind it: what decisions rest on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from tests.core.schedules.benches import JO, KEY_VARIABLE, SAM, SOURCES, SourceBench, open_bench
from tests.harness.schedule_server import RosterPerson, ServedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.schedules.base import Shift
    from tests.harness.clock import FrozenClock

T0 = datetime(2026, 1, 15, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
with_keys = pytest.mark.parametrize("bench", ["pagerduty", "incident_io"], indirect=True)


@pytest.fixture(params=SOURCES)
def bench(request: pytest.FixtureRequest, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceBench]:
    with open_bench(request.param, clock, monkeypatch) as opened:
        yield opened


def _emails(shifts: tuple[Shift, ...]) -> list[str | None]:
    return [each.person.email for each in shifts]


def test_shift_says_who_and_from_when_until_when(bench: SourceBench) -> None:
    bench.add(SAM, T0, T0 + 8 * HOUR)

    (shift,) = bench.source.find_shifts(T0 + HOUR, T0 + 2 * HOUR)

    assert (shift.person.name, shift.person.email) == ("Sam Example", "sam@example.com")
    assert (shift.starts_at, shift.ends_at) == (T0, T0 + 8 * HOUR)


def test_shifts_come_in_order_and_each_once(bench: SourceBench) -> None:
    for day in (2, 0, 1):
        bench.add((SAM, JO)[day % 2], T0 + day * DAY, T0 + (day + 1) * DAY)

    shifts = bench.source.find_shifts(T0 + HOUR, T0 + 2 * DAY + HOUR)

    assert _emails(shifts) == ["sam@example.com", "jo@example.com", "sam@example.com"]
    assert [each.starts_at for each in shifts] == [T0, T0 + DAY, T0 + 2 * DAY]


def test_at_the_hand_over_it_is_the_next_ones_turn(bench: SourceBench) -> None:
    bench.add(SAM, T0, T0 + 8 * HOUR)
    bench.add(JO, T0 + 8 * HOUR, T0 + 16 * HOUR)
    second = timedelta(seconds=1)

    assert _emails(bench.source.find_shifts(T0 + 8 * HOUR - second, T0 + 8 * HOUR)) == ["sam@example.com"]
    assert _emails(bench.source.find_shifts(T0 + 8 * HOUR, T0 + 8 * HOUR + second)) == ["jo@example.com"]


def test_override_takes_the_shift_over(bench: SourceBench) -> None:
    bench.add(SAM, T0, T0 + 8 * HOUR)
    bench.fake.override(JO, T0, T0 + 8 * HOUR)

    assert _emails(bench.source.find_shifts(T0, T0 + HOUR)) == ["jo@example.com"]


def test_several_people_can_be_on_call_at_once(bench: SourceBench) -> None:
    bench.add(SAM, T0, T0 + 8 * HOUR)
    bench.add(JO, T0 + HOUR, T0 + 8 * HOUR)

    assert _emails(bench.source.find_shifts(T0 + HOUR, T0 + 2 * HOUR)) == ["sam@example.com", "jo@example.com"]


def test_nobody_on_call_is_an_answer(bench: SourceBench) -> None:
    bench.add(SAM, T0 - DAY, T0 - HOUR)

    assert bench.source.find_shifts(T0, T0 + HOUR) == ()


def test_empty_shift_is_nobodys(bench: SourceBench) -> None:
    bench.add(SAM, T0, T0)
    bench.add(JO, T0, T0 + HOUR)

    assert _emails(bench.source.find_shifts(T0 - HOUR, T0 + HOUR)) == ["jo@example.com"]


def test_more_shifts_than_a_page_holds_are_all_found(bench: SourceBench) -> None:
    for number in range(130):
        bench.add((SAM, JO)[number % 2], T0 + number * HOUR, T0 + (number + 1) * HOUR)

    shifts = bench.source.find_shifts(T0, T0 + 130 * HOUR)

    assert [each.starts_at for each in shifts] == [T0 + number * HOUR for number in range(130)]


def test_clock_of_the_service_does_not_matter(bench: SourceBench) -> None:
    bench.add(SAM, T0, T0 + 8 * HOUR)
    bench.add(JO, T0 + 8 * HOUR, T0 + 16 * HOUR)
    bench.fake.clock_is_off = timedelta(hours=9)

    assert _emails(bench.source.find_shifts(T0, T0 + HOUR)) == ["sam@example.com"]


def test_person_without_an_address_is_on_the_schedule(bench: SourceBench) -> None:
    bench.add(RosterPerson("PNEW", "New Example"), T0, T0 + HOUR)

    (shift,) = bench.source.find_shifts(T0, T0 + HOUR)

    assert (shift.person.name, shift.person.email) == ("New Example", None)
    assert shift.person.source_id in {"PNEW", "New Example"}


def test_address_that_is_not_whole_is_none(bench: SourceBench) -> None:
    bench.add(RosterPerson("PLONG", "Long Example", f"{'x' * 300}@example.com"), T0, T0 + HOUR)
    bench.add(SAM, T0, T0 + HOUR)

    shifts = bench.source.find_shifts(T0, T0 + HOUR)

    assert {each.person.email for each in shifts} <= {None, "sam@example.com"}
    assert SAM.email in {each.person.email for each in shifts}


def test_check_says_the_name_of_the_schedule(bench: SourceBench) -> None:
    assert bench.source.check() == "Primary"


def test_schedule_that_is_gone_is_refused_with_the_fix(bench: SourceBench) -> None:
    bench.remove_schedule()

    for ask in (bench.source.check, lambda: bench.source.find_shifts(T0, T0 + HOUR)):
        with pytest.raises(ScheduleRefused) as refused:
            ask()
        assert refused.value.fix.endswith((".", "others."))


def test_too_many_calls_are_left_off_as_long_as_asked(bench: SourceBench) -> None:
    header = "ratelimit-reset" if bench.source.kind == "pagerduty" else "retry-after"
    bench.fail(ServedAnswer(429, headers={header: "40"}))

    with pytest.raises(ScheduleUnavailable) as unavailable:
        bench.source.find_shifts(T0, T0 + HOUR)

    assert unavailable.value.retry_after == timedelta(seconds=40)
    assert bench.source.find_shifts(T0, T0 + HOUR) == ()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_failing_service_is_unavailable(bench: SourceBench, status: int) -> None:
    bench.fail(ServedAnswer(status, b"<html>"))

    with pytest.raises(ScheduleUnavailable, match=f"answered {status}"):
        bench.source.find_shifts(T0, T0 + HOUR)


@pytest.mark.parametrize("name", SOURCES)
def test_slow_service_is_unavailable(name: str, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_bench(name, clock, monkeypatch, step_seconds=0.1) as bench:
        bench.fail(ServedAnswer(hangs=True))

        with pytest.raises(ScheduleUnavailable, match="is too slow"):
            bench.source.find_shifts(T0, T0 + HOUR)


def test_answer_that_is_none_is_not_nobody(bench: SourceBench) -> None:
    for body in (b"", b"{}", b"[" * 100_000, b'{"oncalls": [{}]}', b'{"schedule_entries": {"scheduled": []}}'):
        bench.fail(ServedAnswer(200, body))
        with pytest.raises((ScheduleUnavailable, ScheduleRefused)):
            bench.source.find_shifts(T0, T0 + HOUR)


@with_keys
def test_failure_on_a_later_page_is_not_a_shorter_answer(bench: SourceBench) -> None:
    for number in range(130):
        bench.add(SAM, T0 + number * HOUR, T0 + (number + 1) * HOUR)
    bench.fake.fail_call(2)

    with pytest.raises(ScheduleUnavailable):
        bench.source.find_shifts(T0, T0 + 130 * HOUR)


def test_redirect_is_not_followed(bench: SourceBench) -> None:
    bench.fail(ServedAnswer(302, headers={"location": "https://example.com/elsewhere"}))

    with pytest.raises(ScheduleRefused, match="leads elsewhere"):
        bench.source.find_shifts(T0, T0 + HOUR)


@with_keys
def test_unknown_key_is_refused_with_the_fix(bench: SourceBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "another-secret-key")

    with pytest.raises(ScheduleRefused, match="rejects the key") as refused:
        bench.source.find_shifts(T0, T0 + HOUR)

    assert "another-secret-key" not in f"{refused.value!r} {refused.value.__dict__}"


@with_keys
def test_key_without_rights_is_refused_with_the_fix(bench: SourceBench) -> None:
    bench.fake.forbidden = True

    with pytest.raises(ScheduleRefused, match="doesn't let this key"):
        bench.source.check()


def test_missing_secret_stops_the_source_only(bench: SourceBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ScheduleRefused, match=KEY_VARIABLE):
        bench.source.find_shifts(T0, T0 + HOUR)


def test_secret_that_is_set_later_counts_at_the_next_call(bench: SourceBench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as unset:
        unset.delenv(KEY_VARIABLE)
        with pytest.raises(ScheduleRefused):
            bench.source.check()

    assert bench.source.check() == "Primary"


def test_errors_have_no_address_and_no_key(bench: SourceBench) -> None:
    bench.fail(ServedAnswer(500))

    with pytest.raises(ScheduleUnavailable) as unavailable:
        bench.source.find_shifts(T0, T0 + HOUR)

    said = f"{unavailable.value!r} {unavailable.value.__cause__!r} {bench.source.schedule}"
    assert "127.0.0.1" not in said
    assert "private" not in said

"""What is PagerDuty's own: levels, escalation policies, always on call, keys and apps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.policy.on_call_config import OnCallConfig
from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.schedules.opening import open_source
from core.schedules.pagerduty import NAME, PagerDutySource
from core.schedules.pagerduty_login import KeyLogin, OauthLogin
from core.schedules.web import ScheduleWeb
from tests.core.schedules.benches import JO, KEY_VARIABLE, SAM
from tests.harness.pagerduty_schedules import CLIENT, KEY, SCHEDULE, FakePagerDuty
from tests.harness.schedule_server import RosterPerson, ServedAnswer, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.schedules.base import ScheduleSource

T0 = datetime(2026, 1, 15, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET_VARIABLE = "APP_SECRET"


@pytest.fixture
def pagerduty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePagerDuty]:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setenv(SECRET_VARIABLE, CLIENT[1])
    with FakePagerDuty() as fake:
        yield fake


def _open(fake: FakePagerDuty, **config: object) -> ScheduleSource:
    """As the policy opens it."""
    stated = {"schedule": SCHEDULE, "key": f"env:{KEY_VARIABLE}", "url": fake.url, **config}
    return open_source("primary", OnCallConfig.model_validate({"pagerduty": stated}))


def _emails(source: ScheduleSource, since: datetime = T0, until: datetime = T0 + HOUR) -> list[str | None]:
    return [each.person.email for each in source.find_shifts(since, until)]


def test_level_1_counts_unless_told_otherwise(pagerduty: FakePagerDuty) -> None:
    pagerduty.schedules["PSECOND"] = []
    pagerduty.add(SAM, T0, T0 + HOUR)
    pagerduty.add(JO, T0, T0 + HOUR, "PSECOND")
    pagerduty.policies = {"P1": ((1, SCHEDULE), (2, "PSECOND")), "P2": ((2, SCHEDULE),)}

    assert _emails(_open(pagerduty)) == ["sam@example.com"]
    assert _emails(_open(pagerduty, schedule="PSECOND", level=2)) == ["jo@example.com"]


def test_entry_of_another_level_never_counts(pagerduty: FakePagerDuty) -> None:
    def entry(person: RosterPerson, level: int) -> dict[str, object]:
        user = {"id": person.id, "name": person.name, "email": person.email}
        return {"user": user, "schedule": {"id": SCHEDULE}, "escalation_level": level, "start": None, "end": None}

    nobody = {**entry(SAM, 1), "user": None}
    pagerduty.faults.append(as_json({"oncalls": [nobody, entry(SAM, 1), entry(JO, 2)], "more": False}))

    assert _emails(_open(pagerduty)) == ["sam@example.com"]


def test_schedule_on_another_level_is_not_an_empty_one(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + 8 * HOUR)
    pagerduty.policies = {"P1": ((2, SCHEDULE),)}
    source = _open(pagerduty)

    for ask in (lambda: source.find_shifts(T0, T0 + HOUR), source.check):
        with pytest.raises(ScheduleRefused, match=r"level 2 .* not on level 1\. Write level: 2"):
            ask()


def test_schedule_of_no_escalation_policy_is_refused(pagerduty: FakePagerDuty) -> None:
    pagerduty.policies = {}

    with pytest.raises(ScheduleRefused, match="nobody is ever on call in it"):
        _open(pagerduty).check()


def test_shift_of_many_escalation_policies_counts_once(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + HOUR)
    pagerduty.policies = {f"P{number}": ((1, SCHEDULE),) for number in range(150)}

    assert _emails(_open(pagerduty)) == ["sam@example.com"]
    assert [call.get("offset") for call in pagerduty.calls] == ["0", "100"]


def test_second_shift_of_a_person_is_found_too(pagerduty: FakePagerDuty) -> None:
    # With earliest=true, PagerDuty leaves it out.
    for number, person in enumerate((SAM, JO, SAM)):
        pagerduty.add(person, T0 + number * HOUR, T0 + (number + 1) * HOUR)

    assert _emails(_open(pagerduty), T0, T0 + 3 * HOUR) == ["sam@example.com", "jo@example.com", "sam@example.com"]


def test_always_on_call_has_no_start_and_no_end(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, None, None)

    (shift,) = _open(pagerduty).find_shifts(T0, T0 + HOUR)

    assert (shift.starts_at, shift.ends_at) == (None, None)
    assert shift.covers(T0 + 1000 * HOUR)


def test_override_cuts_a_shift_in_two(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + 8 * HOUR)
    pagerduty.override(JO, T0 + 2 * HOUR, T0 + 3 * HOUR)

    shifts = _open(pagerduty).find_shifts(T0, T0 + 8 * HOUR)

    assert [(each.person.source_id, each.ends_at) for each in shifts] == [
        ("PSAM", T0 + 2 * HOUR), ("PJO", T0 + 3 * HOUR), ("PSAM", T0 + 8 * HOUR),
    ]  # fmt: skip


def test_entries_of_other_schedules_never_count(pagerduty: FakePagerDuty) -> None:
    pagerduty.schedules["POTHER"] = []
    pagerduty.add(JO, T0, T0 + HOUR, "POTHER")
    pagerduty.policies["POTHERS"] = ((1, "POTHER"),)
    pagerduty.filters = False

    assert _emails(_open(pagerduty)) == []


def test_usual_case_is_one_call(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + HOUR)

    _emails(_open(pagerduty))

    assert len(pagerduty.calls) == 1


def test_more_entries_than_can_be_paged_are_refused(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + HOUR)
    pagerduty.policies = {f"P{number}": ((1, SCHEDULE),) for number in range(301)}
    pagerduty.max_end = 300
    source = PagerDutySource(
        SCHEDULE, 1, pagerduty.url, KeyLogin(f"env:{KEY_VARIABLE}"), ScheduleWeb(NAME), max_offset=pagerduty.max_end
    )

    with pytest.raises(ScheduleRefused, match="more than 300 entries"):
        source.find_shifts(T0, T0 + HOUR)


@pytest.mark.parametrize(("region", "host"), [("us", "api.pagerduty.com"), ("eu", "api.eu.pagerduty.com")])
def test_region_says_the_host(region: str, host: str) -> None:
    source = open_source(
        "primary",
        OnCallConfig.model_validate({"pagerduty": {"schedule": SCHEDULE, "key": "env:UNSET", "region": region}}),
    )

    assert isinstance(source, PagerDutySource)
    assert source.url == f"https://{host}"


def _app(fake: FakePagerDuty, now: Callable[[], float] = lambda: 0.0) -> PagerDutySource:
    web = ScheduleWeb(NAME)
    login = OauthLogin(
        "as_account-us.acme", CLIENT[0], f"env:{SECRET_VARIABLE}", web, f"{fake.url}/oauth/token", monotonic=now
    )
    return PagerDutySource(SCHEDULE, 1, fake.url, login, web)


def _token_calls(fake: FakePagerDuty) -> int:
    return sum(call.path == "/oauth/token" for call in fake.calls)


def test_app_takes_one_token_and_keeps_it(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + HOUR)
    source = _app(pagerduty)

    assert _emails(source) == _emails(source) == ["sam@example.com"]
    assert _token_calls(pagerduty) == 1


def test_app_takes_another_token_before_the_old_one_ends(pagerduty: FakePagerDuty) -> None:
    times = iter([0.0, 86_200.0, 86_200.0, 86_200.0])
    source = _app(pagerduty, lambda: next(times))

    source.check()

    assert _token_calls(pagerduty) == 2


def test_token_that_was_revoked_is_replaced_at_once(pagerduty: FakePagerDuty) -> None:
    pagerduty.add(SAM, T0, T0 + HOUR)
    source = _app(pagerduty)
    source.check()
    pagerduty.tokens = {"pdus+other"}

    assert _emails(source) == ["sam@example.com"]
    assert _token_calls(pagerduty) == 2


def test_app_whose_secret_is_wrong_is_refused(pagerduty: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "not-the-secret")

    with pytest.raises(ScheduleRefused, match="refused the app's credentials") as refused:
        _app(pagerduty).check()

    assert "not-the-secret" not in repr(refused.value)


def test_token_answer_that_is_none_is_unavailable(pagerduty: FakePagerDuty) -> None:
    pagerduty.faults.append(ServedAnswer(200, b'{"access_token": ""'))

    with pytest.raises(ScheduleUnavailable, match="isn't a token"):
        _app(pagerduty).check()

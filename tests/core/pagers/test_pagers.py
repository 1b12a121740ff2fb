"""What every pager promises, against the vendors' rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from core.errors import DeliveryFailed
from core.pagers.base import Pager, PagerAlert, Severity
from core.pagers.calls import FIX_PAUSE, RATE_LIMIT_PAUSE
from core.pagers.incident_io import IncidentIo
from core.pagers.pagerduty import PagerDuty
from tests.harness.pagers import (
    ALERT_SOURCE,
    REST_KEY,
    ROUTING_KEY,
    TOKEN,
    FakeIncidentIoAlerts,
    FakePagerDuty,
    PagerServer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.pagers import Answer

AT = datetime(2026, 1, 15, 22, 4, tzinfo=UTC)
KEY = "0123456789abcdef"
PAGE = PagerAlert(KEY, "Sam requests prod for 2h: approval needed", Severity.ERROR, AT, "request", "prod")
LINK = "https://example.slack.com/archives/C0ACCESS1/p1700000000000000"


@pytest.fixture
def duty() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as server:
        yield server


@pytest.fixture
def alerts() -> Iterator[FakeIncidentIoAlerts]:
    with FakeIncidentIoAlerts() as server:
        yield server


def pagerduty(duty: FakePagerDuty, routing_key: str = ROUTING_KEY, rest_key: str = REST_KEY) -> PagerDuty:
    keys = SecretStr(routing_key), SecretStr(rest_key) if rest_key else None
    return PagerDuty(*keys, events_url=duty.url, rest_url=duty.url, call_seconds=30.0)


def incident_io(alerts: FakeIncidentIoAlerts, token: str = TOKEN, source: str = ALERT_SOURCE) -> IncidentIo:
    return IncidentIo(source, SecretStr(token), url=alerts.url, call_seconds=30.0)


@pytest.fixture(params=["pagerduty", "incident_io"])
def served(
    request: pytest.FixtureRequest, duty: FakePagerDuty, alerts: FakeIncidentIoAlerts
) -> tuple[Pager, PagerServer]:
    return (pagerduty(duty), duty) if request.param == "pagerduty" else (incident_io(alerts), alerts)


def failure_of(pager: Pager, page: PagerAlert = PAGE) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        pager.trigger(page)
    for secret in (ROUTING_KEY, REST_KEY, TOKEN):
        assert secret not in str(caught.value)
    return caught.value


def test_page_that_is_sent_twice_pages_once(duty: FakePagerDuty, alerts: FakeIncidentIoAlerts) -> None:
    for pager in (pagerduty(duty), incident_io(alerts)):
        pager.trigger(PAGE)
        pager.trigger(PAGE)
    assert [each.key for each in duty.open()] == [KEY]
    assert list(alerts.alerts) == [KEY]


def test_resolve_ends_the_page(duty: FakePagerDuty, alerts: FakeIncidentIoAlerts) -> None:
    for pager in (pagerduty(duty), incident_io(alerts)):
        pager.trigger(PAGE)
        pager.resolve(KEY)
        pager.resolve("fedcba9876543210")
    assert duty.open() == []
    assert alerts.alerts[KEY]["status"] == "resolved"


def test_event_has_what_an_operator_expects(duty: FakePagerDuty, alerts: FakeIncidentIoAlerts) -> None:
    page = replace(PAGE, link=LINK, details={"person": "U0SAM"})
    pagerduty(duty).trigger(page)
    incident_io(alerts).trigger(page)
    event = duty.incidents[0].event
    assert (event["client_url"], event["links"][0]["href"]) == (LINK, LINK)
    assert event["payload"]["custom_details"] == {"person": "U0SAM"}
    assert (event["payload"]["component"], event["payload"]["class"]) == ("prod", "request")
    alert = alerts.alerts[KEY]
    assert (alert["title"], alert["source_url"]) == (PAGE.summary, LINK)
    assert alert["metadata"] == {"severity": "error", "kind": "request", "profile": "prod", "person": "U0SAM"}


def test_longest_page_keeps_the_bounds(served: tuple[Pager, PagerServer]) -> None:
    pager, _ = served
    pager.trigger(replace(PAGE, summary="x\n" * 3000, details={"justification": "y\x00" * 200_000}))


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({}, RATE_LIMIT_PAUSE),
        ({"Retry-After": "7"}, timedelta(seconds=7)),
        ({"ratelimit-reset": "12"}, timedelta(seconds=12)),
        ({"Retry-After": "soon"}, RATE_LIMIT_PAUSE),
        ({"ratelimit-reset": "1795000000"}, timedelta(minutes=5)),
    ],
)
def test_rate_limit_asks_for_a_pause(
    served: tuple[Pager, PagerServer], headers: dict[str, str], pause: timedelta
) -> None:
    pager, server = served
    server.faults.append((429, headers))
    failure = failure_of(pager)
    assert (failure.retry_after, failure.is_final) == (pause, False)


@pytest.mark.parametrize("fault", [(500, {}), (503, {}), (408, {}), "hang up"])
def test_what_may_pass_is_tried_again(served: tuple[Pager, PagerServer], fault: tuple[int, dict[str, str]]) -> None:
    pager, server = served
    server.faults.append(fault)
    failure = failure_of(pager)
    assert (failure.retry_after, failure.is_final) == (None, False)
    assert "retried automatically" in failure.problem
    pager.trigger(PAGE)


def test_pager_that_never_answers_is_given_up(duty: FakePagerDuty) -> None:
    duty.faults.append("wait")
    slow = PagerDuty(SecretStr(ROUTING_KEY), events_url=duty.url, call_seconds=0.1)
    assert "PagerDuty didn't answer: " in failure_of(slow).problem


def test_answer_without_end_is_not_taken_in(served: tuple[Pager, PagerServer]) -> None:
    pager, server = served
    server.faults.append("long")
    assert "didn't answer: ValueError" in failure_of(pager).problem


def test_redirect_is_not_followed(served: tuple[Pager, PagerServer]) -> None:
    pager, server = served
    server.faults.append((302, {"Location": f"{server.url}/elsewhere"}))
    assert failure_of(pager).retry_after == FIX_PAUSE
    assert len(server.calls) == 1


def test_event_that_pagerduty_refuses_is_final_and_says_why(duty: FakePagerDuty) -> None:
    failure = failure_of(pagerduty(duty, routing_key="k" * 32))
    assert failure.is_final
    assert "PagerDuty answered 400 (Invalid routing key …)." in failure.problem
    assert "`pager: pagerduty: routing_key`" in failure.problem
    assert "k" * 32 not in failure.problem


def test_wrong_token_of_incident_io_is_retried_after_a_fix(alerts: FakeIncidentIoAlerts) -> None:
    failure = failure_of(incident_io(alerts, token="stale-token"))
    assert (failure.is_final, failure.retry_after) == (False, FIX_PAUSE)
    assert "stale-token" not in failure.problem
    assert "`pager: incident_io: token`" in failure.problem
    assert "alert_source" in failure_of(incident_io(alerts, source="elsewhere")).problem


def test_first_acknowledgement_is_read_back(duty: FakePagerDuty) -> None:
    pager = pagerduty(duty)
    pager.trigger(PAGE)
    pager.trigger(replace(PAGE, key="fedcba9876543210"))
    assert pager.find_acknowledged([KEY]) == {}
    duty.acknowledge(KEY, "Kim\u202e\nExample", AT + timedelta(minutes=9))
    duty.acknowledge(KEY, "Sam Example", AT)
    found = pager.find_acknowledged([KEY, "fedcba9876543210"])
    assert {key: (each.by, each.at) for key, each in found.items()} == {KEY: ("Sam Example", AT)}
    assert "/incidents?incident_key=0123456789abcdef&statuses%5B%5D=acknowledged" in duty.calls[-2][1]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"incidents": "none"},
        {"incidents": 5},
        {"incidents": [{"acknowledgements": [{"at": "0001-01-01T00:00:00+14:00", "acknowledger": {"summary": "x"}}]}]},
        {"incidents": [None, {}, {"acknowledgements": [{}, {"at": "x", "acknowledger": {"summary": "Sam"}}]}]},
        {"incidents": [{"acknowledgements": [{"at": "2026-01-15T22:04:00Z", "acknowledger": {"summary": " "}}]}]},
    ],
)
def test_answer_that_says_nothing_acknowledges_nothing(
    duty: FakePagerDuty, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "answer", lambda *_: (200, given, {}))
    assert pagerduty(duty).find_acknowledged([KEY]) == {}


def test_what_was_read_before_a_refusal_is_kept(duty: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    pager, first, answer = pagerduty(duty), "fedcba9876543210", duty.answer
    pager.trigger(replace(PAGE, key=first))
    duty.acknowledge(first, "Sam Example", AT)

    def refuse_others(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return answer(method, path, headers, body) if first in path else (429, {}, {})

    monkeypatch.setattr(duty, "answer", refuse_others)
    assert list(pager.find_acknowledged([first, KEY])) == [first]


def test_rest_key_that_is_refused_names_its_place(duty: FakePagerDuty) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        pagerduty(duty, rest_key="stale").find_acknowledged([KEY])
    assert "`pager: pagerduty: key`" in caught.value.problem
    assert "stale" not in caught.value.problem


def test_only_pagerduty_with_a_rest_key_reads_back(duty: FakePagerDuty, alerts: FakeIncidentIoAlerts) -> None:
    assert pagerduty(duty).reads_back
    assert not pagerduty(duty, rest_key="").reads_back
    assert not incident_io(alerts).reads_back
    assert incident_io(alerts).find_acknowledged([KEY]) == {}


def test_check_pages_nobody(duty: FakePagerDuty, alerts: FakeIncidentIoAlerts) -> None:
    assert pagerduty(duty).check() == "PagerDuty takes the routing key and the REST key"
    assert "acknowledgements aren't shown" in pagerduty(duty, rest_key="").check()
    assert "countersign pager test" in incident_io(alerts).check()
    assert (duty.incidents, alerts.calls) == ([], [])
    with pytest.raises(DeliveryFailed):
        pagerduty(duty, routing_key="k" * 32).check()

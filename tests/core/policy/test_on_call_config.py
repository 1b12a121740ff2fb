"""Where a schedule comes from, as the policy says it: one source, no secret, and the fix for what is wrong."""

from __future__ import annotations

from typing import Any, Final

import pytest
from pydantic import ValidationError

from core.policy.on_call_config import OnCallConfig
from core.schedules.base import ScheduleRefused
from core.schedules.opening import open_source

KEY = "env:PAGERDUTY_KEY"
APP = {"account": "acme", "client_id": "c1", "client_secret": "env:APP_SECRET"}
MISTAKES: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({}, "exactly one source, and it has none"),
    (
        {"pagerduty": {"schedule": "P1", "key": KEY}, "ical": {"url": "https://x.example.com/a"}},
        "it has pagerduty and ical",
    ),
    ({"pagerduty": {"schedule": "P1"}}, "either with a key or with an app"),
    ({"pagerduty": {"schedule": "P1", "key": KEY, "oauth": APP}}, "either with a key or with an app"),
    ({"pagerduty": {"schedule": "P1", "key": KEY, "level": 0}}, "greater than or equal to 1"),
    ({"pagerduty": {"schedule": "P1", "key": KEY, "level": "1"}}, "valid integer"),
    ({"pagerduty": {"schedule": "P1", "key": KEY, "region": "asia"}}, "'us' or 'eu'"),
    ({"pagerduty": {"schedule": "P1/../users", "key": KEY}}, "can't be the id of a schedule"),
    ({"ical": {"url": "webcal://x.example.com/a"}}, "only for calendar programs"),
    ({"ical": {"url": "https://x.example.com/a/private-1f/basic.ics"}}, "private address, which is a secret"),
    ({"ical": {"url": "/srv/team.ics"}}, "not a web address"),
    ({"ical": {"url": 7}}, "valid string"),
    ({"ical": {"url": "http://x.example.com/a"}}, "unencrypted"),
    ({"ical": {"url": "https://x.example.com/a?token=abc"}}, "may contain a secret"),
    ({"ical": {"url": "env:FEED", "name_format": "On call"}}, "where in the title the name is"),
    ({"ical": {"url": "env:FEED", "name_format": "{name}", "name_from": "attendee"}}, "is about titles"),
    ({"ical": {"url": "env:FEED", "timezone": "Berlin"}}, "not the name of a time zone"),
    ({"opsgenie": {"schedule": "x"}}, "Extra inputs"),
)


@pytest.mark.parametrize(
    ("stated", "kind", "schedule"),
    [
        ({"pagerduty": {"schedule": "PABC123", "key": KEY}}, "pagerduty", "PABC123"),
        ({"pagerduty": {"schedule": "PABC123", "oauth": APP, "level": 2, "region": "eu"}}, "pagerduty", "PABC123"),
        ({"incident_io": {"schedule": "01FDAG4S", "key": "file:/run/key"}}, "incident_io", "01FDAG4S"),
        ({"ical": {"url": "https://calendar.example.com/team.ics"}}, "ical", "calendar.example.com"),
        ({"ical": {"url": "env:NIGHT_FEED", "timezone": "Europe/Berlin"}}, "ical", "env:NIGHT_FEED"),
        ({"demo": {"schedule": "night", "people": ["U0SAM"], "shift": "8h"}}, "demo", "night"),
    ],
)
def test_schedule_has_one_source(stated: dict[str, Any], kind: str, schedule: str) -> None:
    config = OnCallConfig.model_validate(stated)

    assert (config.kind, config.schedule) == (kind, schedule)


@pytest.mark.parametrize(("stated", "problem"), MISTAKES)
def test_mistake_in_a_schedule_is_named(stated: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        OnCallConfig.model_validate(stated)


def test_key_that_stands_in_the_policy_is_not_quoted() -> None:
    with pytest.raises(ValidationError, match="doesn't say where the secret is") as refused:
        OnCallConfig.model_validate({"pagerduty": {"schedule": "P1", "key": "u+veryGoodKey"}})

    assert all("veryGoodKey" not in each["msg"] for each in refused.value.errors())


def test_demo_is_only_opened_where_an_opener_is_passed() -> None:
    config = OnCallConfig.model_validate({"demo": {"schedule": "night"}})
    other = OnCallConfig.model_validate({"ical": {"url": "https://x.example.com/a"}})

    with pytest.raises(ScheduleRefused, match="only for the playground"):
        open_source("night", config)
    found = open_source("night", config, {"demo": lambda name, _: open_source(name, other)})
    assert found.schedule == "x.example.com"

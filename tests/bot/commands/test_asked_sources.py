"""What `policy check` says after it asked the sources of schedules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from bot.commands.policy_schedules import AskedSchedules
from core.policy.rules import PolicyDocument
from tests.harness.pagerduty_schedules import KEY, FakePagerDuty
from tests.harness.schedule_server import ServedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pagerduty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePagerDuty]:
    monkeypatch.setenv("PAGERDUTY_KEY", KEY)
    with FakePagerDuty() as fake:
        yield fake


def _document(**on_call: dict[str, Any]) -> PolicyDocument:
    stated = {"version": 1, "profiles": {"prod": {"channel": "C0ACCESS1"}}, "approval": [], "break_glass": []}
    return PolicyDocument.model_validate({**stated, "on_call": on_call})


def _pagerduty(fake: FakePagerDuty, schedule: str = "PABC123", key: str = "env:PAGERDUTY_KEY") -> dict[str, Any]:
    return {"pagerduty": {"schedule": schedule, "key": key, "url": fake.url}}


def test_schedule_that_exists_is_named(pagerduty: FakePagerDuty) -> None:
    asked = AskedSchedules()

    assert asked(_document(primary=_pagerduty(pagerduty))) == ((), ())
    assert asked.names == {"primary": "Primary"}


def test_schedule_that_does_not_exist_is_a_mistake(pagerduty: FakePagerDuty) -> None:
    found = AskedSchedules()(_document(primary=_pagerduty(pagerduty, "PABC124")))

    assert [(each.path, each.problem) for each in found.mistakes] == [
        (("on_call", "primary", "pagerduty"), "PagerDuty has no schedule PABC124")
    ]


def test_source_that_is_away_is_a_note(pagerduty: FakePagerDuty) -> None:
    pagerduty.faults.append(ServedAnswer(503))

    found = AskedSchedules()(_document(primary=_pagerduty(pagerduty)))

    assert found.mistakes == ()
    assert [each.problem for each in found.notes] == ["it wasn't checked: PagerDuty answered 503"]


def test_app_whose_secret_is_not_here_is_a_note(pagerduty: FakePagerDuty) -> None:
    app = {"account": "acme", "client_id": "c1", "client_secret": "env:NOT_SET_HERE"}
    stated = {"pagerduty": {"schedule": "PABC123", "oauth": app, "url": pagerduty.url}}

    found = AskedSchedules()(_document(primary=stated))

    assert (found.mistakes, len(found.notes), pagerduty.calls) == ((), 1, [])


def test_missing_libraries_are_a_note_and_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icalendar", None)

    found = AskedSchedules()(_document(night={"ical": {"url": "https://calendar.example.com/a.ics"}}))

    assert found.mistakes == ()
    (note,) = found.notes
    assert note.fix == "Install them with `pip install 'countersign[ical]'`, and restart Countersign."

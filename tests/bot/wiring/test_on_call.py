"""The schedules of an instance: what Slack is asked for them, and what operators see of them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from slack_sdk import WebClient

from bot.observability.metrics import Metrics
from bot.observability.on_call_metrics import OnCallMetrics
from bot.wiring.on_call import open_roster
from bot.wiring.paging import find_workspace
from bot.wiring.ports import Ports
from core.actor import UserId
from core.on_call import on_call_name
from core.policy.loader import parse_policy
from core.schedules import watched
from core.schedules.base import SchedulePerson, Shift
from core.stores.opening import open_stores
from localslack.records import Person
from localslack.server import LocalSlack
from tests.core.schedules.scripted_source import ScriptedSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.clock import FrozenClock

SAM, PRIMARY = UserId("U0SAM"), on_call_name("primary")
ADDRESS = "sam@example.com"
PAGERDUTY, CALENDAR = "{pagerduty: {schedule: P1, key: env:K}}", "{ical: {url: env:FEED}}"
PAGING = "version: 1\npager: {pagerduty: {routing_key: env:K}}\nprofiles: {prod: {channel: C0ACCESS1}}\n"
BY_MAIL = Shift(person=SchedulePerson(source_id="PSAM", name="Sam", email=ADDRESS))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time."""
    monkeypatch.setattr(watched, "PATIENCE_SECONDS", 30.0)


@pytest.fixture
def slack(clock: FrozenClock) -> Iterator[LocalSlack]:
    with LocalSlack(clock) as slack:
        slack.workspace.add(Person(id=SAM, name="sam", email=ADDRESS))
        yield slack


def ports_of(slack: LocalSlack, clock: FrozenClock, folder: Path, schedule: str, source: ScriptedSource) -> Ports:
    policy = parse_policy(
        f"""
version: 1
on_call: {{primary: {schedule}}}
profiles: {{prod: {{channel: C0ACCESS1}}}}
approval: [{{name: prod, profiles: [prod], approvers: ["on-call:primary"], max_duration: 1h}}]
""".encode()
    )
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    stores = open_stores(f"sqlite:///{folder}/countersign.db", clock=clock)
    return Ports(stores, policy, clock, client, schedule_sources={"pagerduty": source.open, "ical": source.open})


@pytest.mark.parametrize(("schedule", "is_found", "calls"), [(PAGERDUTY, True, 1), (CALENDAR, False, 0)])
def test_slack_is_asked_for_mail_only_if_a_schedule_has_it(
    slack: LocalSlack, clock: FrozenClock, tmp_path: Path, schedule: str, calls: int, *, is_found: bool
) -> None:
    ports = ports_of(slack, clock, tmp_path, schedule, ScriptedSource(BY_MAIL))
    with closing(ports.stores), closing(open_roster(ports)) as roster:
        roster.look(30)

        assert roster.on_call_now(PRIMARY) == ((SAM,) if is_found else ())
        assert len(slack.calls_of("users.lookupByEmail")) == calls


def test_metrics_say_how_schedules_answer(slack: LocalSlack, clock: FrozenClock, tmp_path: Path) -> None:
    ports = ports_of(slack, clock, tmp_path, PAGERDUTY, ScriptedSource(BY_MAIL))
    metrics = Metrics()
    with closing(ports.stores), closing(open_roster(ports, OnCallMetrics(metrics.registry))) as roster:
        roster.duties(SAM, {PRIMARY}, timeout_seconds=30)
        clock.advance(timedelta(seconds=30))
        roster.duties(SAM, {PRIMARY})
        clock.advance(timedelta(seconds=31))
        shown = metrics.write("text/plain")[0].decode().splitlines()

    # What a click cost, who was asked, and what an alarm is for.
    assert {
        'countersign_on_call_lookups_total{outcome="answered",source="slack_email"} 1.0',
        'countersign_on_call_questions_total{answer="waited"} 1.0',
        'countersign_on_call_questions_total{answer="in_hand"} 1.0',
        'countersign_on_call_answer_age_seconds{source="pagerduty"} 61.0',
        "countersign_on_call_schedules_unknown 1.0",
    } <= set(shown)


def test_sweeps_pages_link_to_the_workspace_slack_names(slack: LocalSlack, clock: FrozenClock, tmp_path: Path) -> None:
    ports = ports_of(slack, clock, tmp_path, PAGERDUTY, ScriptedSource())
    with closing(ports.stores):
        assert (find_workspace(ports), slack.calls) == (None, [])
        paging = parse_policy(PAGING.encode())
        assert find_workspace(replace(ports, policy=paging)) == f"https://{slack.workspace.team.domain}.slack.com/"
        away = WebClient("xoxb-another", base_url=slack.api_url)
        assert find_workspace(replace(ports, policy=paging, client=away)) is None

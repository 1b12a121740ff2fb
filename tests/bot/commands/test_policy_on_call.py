"""`countersign policy` and schedules: the source is asked, and people on call are explained, tested and replayed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from pydantic import JsonValue

from bot.cli import countersign
from core.actor import UserId
from core.audit.trail import AuditAction
from core.duty import on_call_name
from core.stores.opening import open_stores
from tests.builders import a_draft, a_request, an_event
from tests.harness.pagerduty_schedules import KEY, FakePagerDuty
from tests.harness.schedule_server import ServedAnswer

SAM, BEN, RITA = UserId("U0SAM1"), UserId("U0BEN1"), UserId("U0RITA1")
PRIMARY: Final = on_call_name("primary")
POLICY: Final = """version: 1
on_call:
  primary: {{pagerduty: {{schedule: {schedule}, key: env:OC_TEST_KEY, url: "{url}"}}}}
profiles: {{prod: {{channel: C0ACCESS1}}}}
approval:
  - name: prod
    profiles: [prod]
    approvers: [on-call:primary, U0BEN1]
    max_duration: 4h
    escalate_after: 10m
    escalate_to: [U0LEAD1]
break_glass:
  - {{name: glass, profiles: [prod], users: [on-call:primary, U0BEN1], max_duration: 1h}}
"""


def run(*arguments: str, key: str | None = KEY) -> Result:
    environment = {"COUNTERSIGN_POLICY": None, "OC_TEST_KEY": key}
    return CliRunner().invoke(countersign, ["policy", *arguments], env=environment)


def json_of(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run(*arguments, "--json").output)


def write(folder: Path, url: str = "https://pagerduty.example.com", schedule: str = "PABC123") -> str:
    path = folder / "on-call.yml"
    path.write_text(POLICY.format(url=url, schedule=schedule), encoding="utf-8")
    return str(path)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy whose schedule nobody asks."""
    return write(tmp_path)


class TestCheck:
    def test_source_is_asked_whether_it_has_the_schedule(self, tmp_path: Path) -> None:
        with FakePagerDuty() as pagerduty:
            named = write(tmp_path, pagerduty.url)
            result = run("check", named)
            found = json_of("check", named)
        assert result.exit_code == 0
        assert "on-call:primary is Primary\n" in result.output
        assert "1 break-glass rule, 1 schedule; digest" in result.output
        assert (found["schedules"], found["counts"]["on_call"]) == ({"primary": "Primary"}, 1)

    def test_schedule_that_the_source_lacks_is_a_mistake(self, tmp_path: Path) -> None:
        with FakePagerDuty() as pagerduty:
            named = write(tmp_path, pagerduty.url, "PGONE")
            result = run("check", named)
            offline = run("check", "--offline", named)
            asked = len(pagerduty.calls)
        assert result.exit_code == 1
        assert result.output.startswith(f"{named}:3: on_call.primary.pagerduty: ")
        assert "PGONE" in result.output
        assert (offline.exit_code, asked) == (0, 1)

    def test_key_without_rights_is_a_mistake(self, tmp_path: Path) -> None:
        with FakePagerDuty() as pagerduty:
            pagerduty.forbidden = True
            result = run("check", write(tmp_path, pagerduty.url))
        assert result.exit_code == 1
        assert ":3: on_call.primary.pagerduty: " in result.output

    def test_source_that_is_away_is_a_note(self, tmp_path: Path) -> None:
        with FakePagerDuty() as pagerduty:
            pagerduty.faults.append(ServedAnswer(503))
            result = run("check", write(tmp_path, pagerduty.url))
        assert result.exit_code == 0
        note = (
            "note: on_call.primary.pagerduty: it wasn't checked: PagerDuty answered 503. Try again, or use --offline."
        )
        assert note in result.output

    def test_key_that_is_not_here_is_a_note(self, tmp_path: Path) -> None:
        with FakePagerDuty() as pagerduty:
            result = run("check", write(tmp_path, pagerduty.url), key=None)
            assert pagerduty.calls == []
        assert result.exit_code == 0
        assert "it can't be asked from here: the variable OC_TEST_KEY has no secret in it." in result.output


class TestExplain:
    def explain(self, policy: str, *arguments: str) -> Result:
        return run("explain", "--policy", policy, "--profile", "prod", *arguments)

    def test_person_is_on_call_where_the_option_says(self, policy: str) -> None:
        arguments = ("--user", SAM, "--break-glass", "incident")
        on_call = self.explain(policy, *arguments, "--on-call", "primary")
        assert "  ✓ U0SAM1 is on call in primary (stated), among the users of rule glass" in on_call.output
        assert on_call.exit_code == 0
        assert self.explain(policy, *arguments).exit_code == 1

    def test_requester_on_call_reads_whom_to_ask(self, policy: str) -> None:
        arguments = ("--user", SAM, "--as-approver-of", SAM, "--on-call", "primary")
        result = self.explain(policy, *arguments)
        assert result.exit_code == 1
        assert "ask U0BEN1, who may decide under rule prod too; U0LEAD1 may decide once it has waited" in result.output

    def test_person_of_a_step_decides_once_it_has_waited(self, policy: str) -> None:
        arguments = ("--user", "U0LEAD1", "--as-approver-of", SAM)
        assert self.explain(policy, *arguments).exit_code == 1
        assert self.explain(policy, *arguments, "--waited", "10m").exit_code == 0

    def test_schedule_that_is_not_there_has_the_nearest_one(self, policy: str) -> None:
        result = self.explain(policy, "--user", SAM, "--on-call", "primry")
        assert result.exit_code == 2
        assert "there is no schedule 'primry' in the policy. Did you mean primary?" in result.output


def test_cases_say_who_is_on_call(policy: str, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yml"
    cases.write_text(
        """version: 1
on_call: {primary: [U0SAM1]}
cases:
  - {who: U0SAM1, approve: prod, of: U0RITA1, expect: allowed}
  - {who: U0SAM1, approve: prod, of: U0RITA1, on_call: {primary: []}, expect: refused}
  - {who: U0MAX1, break_glass: prod, on_call: {primary: [U0MAX1, U0SAM1]}, expect: {answer: allowed, rule: glass}}
  - {who: U0SAM1, approve: prod, of: U0SAM1, expect: {answer: refused, because: ask U0BEN1}}
  - {who: U0LEAD1, approve: prod, of: U0RITA1, waited: 10m, expect: allowed}
  - {who: U0LEAD1, approve: prod, of: U0RITA1, waited: 9m, expect: refused}
  - {who: U0SAM1, request: prod, on_call: {night: [U0SAM1]}, expect: allowed}
""",
        encoding="utf-8",
    )
    result = run("test", str(cases), "--policy", policy)
    assert result.output.endswith("7 cases: 6 as expected, 1 not\n")
    assert "on_call: there is no schedule 'night' in the policy. Known here: primary." in result.output


def test_replay_uses_what_the_trail_kept(policy: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/past.db"
    kept: dict[str, JsonValue] = {"on_call": [{"name": PRIMARY, "source": "pagerduty", "schedule": "PABC123"}]}
    event = an_event(invoker=SAM, rule="glass")
    stores = open_stores(url)
    asked = stores.requests.create(a_request(requester=RITA), a_draft(actor=RITA))
    voted = asked.approve(SAM, asked.created_at + timedelta(minutes=1), on_call=PRIMARY)
    stores.requests.update(voted, a_draft(AuditAction.REQUEST_APPROVED, actor=SAM, outcome="approved", details=kept))
    stores.break_glass.create(event, a_draft(AuditAction.BREAK_GLASS_INVOKED, actor=SAM, details=kept))
    stores.break_glass.create(an_event(invoker=UserId("U0MAX1"), rule="glass"), a_draft(actor=UserId("U0MAX1")))
    stores.close()

    arguments = ("replay", "--store", url, "--since", "2020-01-01", "--policy", policy)
    result = run(*arguments)
    assert "U0MAX1 broke the glass for prod" in result.output
    assert "can't be judged: nobody knows who was on call in primary. Add --on-call primary=…" in result.output
    assert result.output.endswith("3 decisions since then: 0 would differ, 1 can't be judged\n")
    assert json_of(*arguments)["differing"][0]["unknown_schedules"] == ["primary"]
    given = run(*arguments, "--on-call", "primary=U0BEN1")
    assert given.output.endswith("3 decisions since then: 1 would differ\n")
    assert run(*arguments, "--on-call", "night=U0BEN1").exit_code == 2

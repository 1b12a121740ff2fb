"""`countersign pager test` as an operator sees it, and what doctor says of the pager: it pages nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from bot.cli import countersign
from bot.doctor.finding import Level
from bot.doctor.pager_checks import check_pager
from core.pagers.pagerduty import PagerDuty
from core.policy import parse_policy
from tests.harness.pagers import REST_KEY, ROUTING_KEY, FakePagerDuty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.pagers.base import PagerOpener
    from tests.harness.pagers import Answer

POLICY = """\
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: main, profiles: [prod], approvers: [U0BOB], max_duration: 4h}]
"""
DUTY = "pager: {pagerduty: {routing_key: env:PAGER_KEY}}\n"
INCIDENT_IO = "pager: {incident_io: {alert_source: 01GW2G3V, token: env:PAGER_KEY}}\n"


@pytest.fixture
def duty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as server:
        monkeypatch.setattr("core.pagers.pagerduty._EVENTS", {"us": server.url})
        monkeypatch.setenv("PAGER_KEY", ROUTING_KEY)
        yield server


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pager: str) -> Result:
    path = tmp_path / "policy.yml"
    path.write_text(pager + POLICY, encoding="utf-8")
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(path))
    return CliRunner().invoke(countersign, ["pager", "test", "--hold", "0"])


def test_test_page_is_sent_and_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duty: FakePagerDuty) -> None:
    result = run(tmp_path, monkeypatch, DUTY)
    assert result.output == "PagerDuty took a test page; it is resolved in 0 seconds\nPagerDuty took its end\n"
    (incident,) = duty.incidents
    assert (result.exit_code, incident.status) == (0, "resolved")
    assert incident.summary == "Test page from Countersign: nothing to do"


def test_test_page_that_stays_open_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duty: FakePagerDuty
) -> None:
    def take_no_end(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return (500, {}, {}) if b"resolve" in body else answer(method, path, headers, body)

    answer = duty.answer
    monkeypatch.setattr(duty, "answer", take_no_end)
    result = run(tmp_path, monkeypatch, DUTY)
    assert result.exit_code == 1
    assert "The test page is still open: resolve it in PagerDuty.\nPagerDuty answered 500." in result.output


def test_wrong_key_is_one_line_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duty: FakePagerDuty) -> None:
    monkeypatch.setenv("PAGER_KEY", "k" * 32)
    result = run(tmp_path, monkeypatch, DUTY)
    assert (result.exit_code, duty.incidents) == (1, [])
    assert result.output.startswith("PagerDuty answered 400 (Invalid routing key …). Check the integration key")
    monkeypatch.setenv("PAGER_KEY", "too-short")
    assert "isn't 32 characters long" in run(tmp_path, monkeypatch, DUTY).output


def test_policy_without_a_pager_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(tmp_path, monkeypatch, "")
    assert result.exit_code == 2
    assert "the policy names no pager" in result.output


def test_doctor_checks_the_keys_and_pages_nobody(duty: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(pager: str, key: str = ROUTING_KEY) -> tuple[Level, str]:
        keys = SecretStr(key), SecretStr(REST_KEY)
        opener: PagerOpener = lambda _: PagerDuty(*keys, events_url=duty.url, rest_url=duty.url)  # noqa: E731
        (one,) = check_pager(parse_policy((pager + POLICY).encode()), {"pagerduty": opener})
        return one.level, str(one)

    assert found(DUTY) == (Level.FINE, "pager: PagerDuty takes the routing key and the REST key")
    assert found(DUTY, "k" * 32)[0] is Level.WRONG
    assert found(INCIDENT_IO)[0] is Level.NOTE
    monkeypatch.delenv("PAGER_KEY")
    assert found(INCIDENT_IO)[0] is Level.WRONG
    assert list(check_pager(parse_policy(POLICY.encode()))) == []
    assert duty.incidents == []

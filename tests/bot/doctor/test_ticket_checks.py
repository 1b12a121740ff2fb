"""What doctor and `policy check` say about ticket systems, before somebody requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry

from bot.commands.policy_secrets import note_missing
from bot.doctor.finding import Level
from bot.doctor.ticket_checks import NO_ISSUE, check_tickets
from bot.observability.ticket_metrics import TicketMetrics
from core.access.principals import SoughtPerson
from core.clock import SystemClock
from core.policy import parse_policy
from core.policy.ticket_config import TicketCheckConfig
from core.services.ticket_check import TicketChecks
from core.tickets.base import TicketAnswer, TicketFound, TicketUnchecked, TicketUnknown
from tests.harness.jira import EMAIL, TOKEN, FakeJira, JiraAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.policy import Policy

WEBHOOK: Final = "webhook: {url: 'https://tickets.example.com/check', secret: env:HOOK_SECRET}"
RITA: Final = SoughtPerson("U0RITA")


@pytest.fixture
def jira(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJira]:
    monkeypatch.setenv("JIRA_TOKEN", TOKEN)
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    with FakeJira() as served:
        yield served


def in_jira(jira: FakeJira) -> str:
    return f"jira: {{site: '{jira.url}', email: {EMAIL}, token: env:JIRA_TOKEN}}"


def policy(check: str) -> Policy:
    rules = "".join(
        f"  - {{name: {name}, profiles: [{name}], approvers: [U0ANN], max_duration: 1h, "
        f"ticket: {{pattern: 'INC-\\d+', check: {{{check}}}}}}}\n"
        for name in ("first", "second")
    )
    profiles = "profiles: {first: {channel: C0ACCESS1}, second: {channel: C0ACCESS1}}"
    return parse_policy(f"version: 1\n{profiles}\napproval:\n{rules}".encode())


def found(check: str) -> tuple[Level, str]:
    (one,) = check_tickets(policy(check), SystemClock())
    return one.level, str(one)


def test_jira_that_accepts_the_token_is_fine_without_a_ticket(jira: FakeJira) -> None:
    assert found(in_jira(jira)) == (Level.FINE, "tickets: Jira (127.0.0.1) accepts Countersign's token")
    assert jira.calls == [f"/rest/api/3/issue/{NO_ISSUE}"]


def test_token_that_jira_refuses_is_wrong(jira: FakeJira, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_TOKEN", "another")
    level, said = found(in_jira(jira))
    assert (level, "doesn't accept Countersign's token" in said) == (Level.WRONG, True)
    jira.instead.append(JiraAnswer(503))
    assert found(in_jira(jira))[0] is Level.WRONG


def test_secret_that_is_missing_is_named_and_a_webhook_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    first, second = note_missing(policy(WEBHOOK).document)
    assert first.path == ("approval", 0, "ticket", "check")
    assert "the variable HOOK_SECRET has no secret in it" in first.problem
    assert second.path == ("approval", 1, "ticket", "check")
    assert found(WEBHOOK)[0] is Level.WRONG
    monkeypatch.setenv("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert found(WEBHOOK)[0] is Level.NOTE
    assert note_missing(policy(WEBHOOK).document) == ()


def test_checks_are_counted_by_what_came_of_them(jira: FakeJira) -> None:
    registry, config = CollectorRegistry(), policy(in_jira(jira)).document.approval[0].ticket
    assert config is not None
    assert config.check is not None
    asked = config.check
    answers: list[TicketFound] = [*map(TicketAnswer, (True, False)), TicketUnknown(), TicketUnchecked("away")]

    class Answering:
        name = "Jira"

        def check(self, _ticket: str, _requester: SoughtPerson) -> TicketFound:
            return answers.pop(0)

    def open_one(_config: TicketCheckConfig) -> Answering:
        return Answering()

    checks = TicketChecks(open_one, on_checked=TicketMetrics(registry).checked)
    for _ in range(4):
        checks.ask(asked, "INC-12", RITA)
    checks = TicketChecks(None, on_checked=TicketMetrics(CollectorRegistry()).checked)
    assert isinstance(checks.ask(asked, "INC-12", RITA), TicketUnchecked)
    name = "countersign_ticket_checks_total"
    counts = {
        each: registry.get_sample_value(name, {"system": "jira", "outcome": each})
        for each in ("open", "closed", "unknown", "unchecked")
    }
    assert counts == {"open": 1, "closed": 1, "unknown": 1, "unchecked": 1}

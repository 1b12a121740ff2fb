"""A ticket from Slack's wire to Jira's: typed or filled in, checked, linked on the card, and checked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from core.request import RequestStatus
from tests.end_to_end.harness import JON, MIRA, POLICY, Harness, said, text_of
from tests.harness.jira import EMAIL, TOKEN, FakeJira, Issue, JiraUser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

ACCOUNT: Final = "5b10ac8d82e05b22cc7d4ef5"
NO_TICKET: Final = "deploy the fix at once"


@pytest.fixture
def jira() -> Iterator[FakeJira]:
    with FakeJira() as served:
        served.has(Issue("INC-12", assignee=JiraUser(ACCOUNT)), Issue("INC-13", status="Shipped", category="Done"))
        yield served


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock, jira: FakeJira, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setenv("JIRA_TOKEN", TOKEN)
    ticket = (
        "    max_pending: 20\n"
        "    ticket:\n"
        "      pattern: INC-\\d+\n"
        "      url: https://example.atlassian.net/browse/{ticket}\n"
        f"      check: {{jira: {{site: '{jira.url}', email: {EMAIL}, token: env:JIRA_TOKEN}}}}\n"
    )
    people = f"people: {{{MIRA}: {{jira: {ACCOUNT}}}}}\nprofiles:\n"
    policy = POLICY.decode().replace("    max_pending: 20\n", ticket).replace("profiles:\n", people, 1)
    with Harness(stores, clock, policy=policy.encode()) as harness:
        yield harness


def test_ticket_is_checked_linked_and_checked_again(harness: Harness, jira: FakeJira) -> None:
    request = harness.ask()
    assert request.ticket == "INC-12"
    card = harness.card(request)
    assert "<https://example.atlassian.net/browse/INC-12|INC-12>" in str(card.blocks)

    jira.issues["INC-12"].category = "Done"
    harness.slack.press(JON, card, "request:approve")
    assert "INC-12 is closed" in harness.next_reply(JON)
    jira.issues["INC-12"].category = "In Progress"
    harness.slack.press(JON, card, "request:approve")
    assert harness.status(request) is RequestStatus.APPROVED


def test_line_without_a_ticket_opens_the_form_that_asks(harness: Harness) -> None:
    harness.access(MIRA, f"prod 2h {NO_TICKET}")
    form = harness.modal(MIRA)
    closed = harness.slack.submit(MIRA, form, {"ticket": {"answer": "INC-13"}})
    assert "INC-13 is closed (Shipped)" in closed.errors["ticket"]
    harness.slack.submit(MIRA, form, {"ticket": {"answer": "INC-12"}})
    (request,) = harness.stores.requests.iterate()
    assert (request.ticket, request.justification) == ("INC-12", NO_TICKET)


def test_refusal_says_what_is_wrong_with_the_ticket(harness: Harness) -> None:
    answer = harness.access(MIRA, "prod 2h deploy the fix for INC-13")
    assert "INC-13 is closed (Shipped); name another one. Nothing was changed." in said(answer)
    assert list(harness.stores.requests.iterate()) == []
    assert answer.message is not None
    assert "You can't do this" in text_of(answer.message)

"""Tickets in a policy: what a rule can ask for, which mistakes are found, and what cases and explanations say."""

from __future__ import annotations

from typing import Final

import pytest

from core.invalid_policy import InvalidPolicy
from core.policy import Policy, parse_policy
from core.policy.case_source import parse_cases
from core.policy.cases import judge_cases

JIRA: Final = 'jira: {site: "https://example.atlassian.net", email: bot@example.com, token: env:JIRA_TOKEN}'
HOOK: Final = 'webhook: {url: "https://tickets.example.com/check", secret: env:HOOK}'
TICKET: Final = f"pattern: 'INC-\\d+', check: {{{JIRA}}}"


def a_policy(ticket: str = TICKET, more: str = "", people: str = "") -> Policy:
    rule = f"{{name: prod, profiles: [prod], approvers: [U0ANN], max_duration: 4h, ticket: {{{ticket}}}{more}}}"
    return parse_policy(
        f"version: 1\nprofiles: {{prod: {{channel: C0ACCESS1}}}}\n{people}approval: [{rule}]\n".encode()
    )


def mistakes(ticket: str, more: str = "", people: str = "") -> list[tuple[str, str]]:
    with pytest.raises(InvalidPolicy) as caught:
        a_policy(ticket, more, people)
    return [(each.path, each.problem) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("ticket", "url"),
    [
        (TICKET, "https://example.atlassian.net/browse/INC-12"),
        (f"{TICKET}, url: 'https://go.example.com/t/{{ticket}}?x=1'", "https://go.example.com/t/INC-12?x=1"),
        (f"pattern: 'INC-\\d+', check: {{{HOOK}}}", None),
        (TICKET.replace("https://example.atlassian.net", "https://api.atlassian.com/ex/jira/1"), None),
        (TICKET.replace("https://example.atlassian.net", "http://127.0.0.1:8080"), None),
    ],
)
def test_ticket_links_only_where_the_policy_says(ticket: str, url: str | None) -> None:
    tickets = a_policy(ticket).tickets
    assert tickets.link("prod", "INC-12") == url
    assert tickets.link("prod", "INC-12/../x") is None
    assert tickets.link("gone", "INC-12") is None
    assert tickets.link("prod", None) is None


def test_part_of_a_link_is_quoted() -> None:
    tickets = a_policy("pattern: '#\\d+', url: 'https://go.example.com/{ticket}'").tickets
    assert tickets.link("prod", "#12") == "https://go.example.com/%2312"


@pytest.mark.parametrize(
    ("ticket", "problem"),
    [
        ("pattern: '(a+)+'", "'(a+)+' can't be the form of a ticket: it repeats a group with +"),
        (f"{TICKET}, url: 'https://go.example.com/'", "this address doesn't say where the ticket goes"),
        (f"{TICKET}, url: 'https://{{ticket}}.example.com/'", "the ticket can't be part of the host"),
        (f"{TICKET}, url: 'http://go.example.com/{{ticket}}'", "it is unencrypted: http:// to another host"),
        (f"{TICKET}, url: 'https://go.example.com/<{{ticket}}'", "this can't be a link"),
        (f"pattern: 'INC-\\d+', check: {{{JIRA}, {HOOK}}}", "a ticket is checked in one place"),
        ("pattern: 'INC-\\d+', check: {}", "a ticket is checked in one place"),
        (TICKET.replace("env:JIRA_TOKEN", "abc"), "this doesn't say where the secret is"),
        (TICKET.replace(".net", ".net/?x"), "this is more than the address of a site"),
        (TICKET.replace("https://e", "https://a:b@e"), "it is not a web address without a password"),
        (TICKET.replace("bot@example.com", "bot"), "'bot' is not an e-mail address"),
    ],
)
def test_ticket_that_cannot_work_is_a_mistake(ticket: str, problem: str) -> None:
    ((_, found),) = mistakes(ticket)
    assert found == problem


def test_automatic_approval_needs_a_check() -> None:
    ((path, problem),) = mistakes("pattern: 'INC-\\d+'", ", auto_approve: {max_duration: 1h}")
    assert path == "approval[0]"
    assert problem.startswith("auto_approve never applies")


def test_people_have_names_in_jira_where_it_is_asked() -> None:
    people = "people: {U0ANN: {jira: account-of-ann}}\n"
    assert a_policy(people=people).document.people["U0ANN"]["jira"] == "account-of-ann"
    ((path, _),) = mistakes(f"pattern: 'INC-\\d+', check: {{{HOOK}}}", people=people)
    assert path == "people.U0ANN.jira"


@pytest.mark.parametrize(
    ("ticket", "warns", "expected"),
    [
        ("", False, "{answer: refused, because: asks for a ticket like INC-123}"),
        (", ticket: INC-12", False, "{answer: allowed, automatic: true}"),
        (", ticket: CHG-12", False, "{answer: refused, because: isn't a ticket like}"),
        (", ticket: {name: INC-12, state: closed}", False, "{answer: refused, because: is closed}"),
        (", ticket: {name: INC-12, state: unknown}", False, "{answer: refused, because: there is no ticket}"),
        (", ticket: {name: INC-12, state: unreachable}", False, "{answer: refused, because: couldn't be checked}"),
        (", ticket: {name: INC-12, state: unreachable}", True, "{answer: allowed, automatic: false}"),
        (", ticket: {name: INC-12, whose: other}", False, "{answer: refused, because: somebody else's}"),
        (", ticket: {name: INC-12, whose: unknown}", False, "{answer: allowed, automatic: false}"),
    ],
)
def test_cases_can_say_what_becomes_of_a_ticket(ticket: str, *, warns: bool, expected: str) -> None:
    policy = a_policy(f"{TICKET}{', if_unreachable: warn' if warns else ''}", ", auto_approve: {max_duration: 1h}")
    case = f"  - {{who: U0BEN, request: prod{ticket}, expect: {expected}}}\n"
    (outcome,) = judge_cases(policy, parse_cases(f"version: 1\ncases:\n{case}".encode()).cases)
    assert outcome.differences == ()

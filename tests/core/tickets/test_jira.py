"""Tickets in Jira: what it is asked, and what each of its answers means."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from core.access.principals import SoughtPerson
from core.tickets.base import TicketAnswer, TicketFound, TicketUnchecked, TicketUnknown
from core.tickets.jira import MAX_BYTES, JiraChecker
from tests.harness.jira import EMAIL, FakeJira, Issue, JiraAnswer, JiraUser, secret

if TYPE_CHECKING:
    from collections.abc import Iterator

RITA = JiraUser("5b10ac8d82e05b22cc7d4ef5", "rita@example.com")
JON = JiraUser("557058:jon", "jon@example.com")
HIDDEN = JiraUser("557058:hidden")
BY_ACCOUNT = SoughtPerson("U0RITA", RITA.account)
BY_EMAIL = SoughtPerson("U0RITA", email="Rita@Example.com")
NOBODY = SoughtPerson("U0RITA")


@pytest.fixture
def jira() -> Iterator[FakeJira]:
    with FakeJira() as served:
        yield served


def check(jira: FakeJira, who: SoughtPerson = BY_ACCOUNT, ticket: str = "INC-12", seconds: float = 5.0) -> TicketFound:
    email = EMAIL if jira.is_cloud else None
    return JiraChecker(jira.url, email, secret(), seconds=seconds).check(ticket, who)


def whose(jira: FakeJira, who: SoughtPerson = BY_ACCOUNT) -> bool | None:
    found = check(jira, who)
    assert isinstance(found, TicketAnswer)
    return found.is_requesters


def test_issue_is_open_until_its_category_is_done(jira: FakeJira) -> None:
    jira.has(Issue("INC-12", "Waiting for review", "To Do", assignee=RITA), Issue("INC-13", "Shipped", "Done"))

    about = "The checkout is down"
    assert check(jira) == TicketAnswer(is_open=True, is_requesters=True, title=about, status="Waiting for review")
    closed = TicketAnswer(is_open=False, is_requesters=False, title=about, status="Shipped")
    assert check(jira, ticket="INC-13") == closed
    assert jira.calls == ["/rest/api/3/issue/INC-12", "/rest/api/3/issue/INC-13"]


@pytest.mark.parametrize(
    ("issue", "who", "is_theirs"),
    [
        (Issue("INC-12", assignee=RITA, reporter=JON), BY_ACCOUNT, True),
        (Issue("INC-12", assignee=JON, reporter=RITA), BY_ACCOUNT, True),
        (Issue("INC-12", assignee=JON, mentions=(JON.account, RITA.account)), BY_ACCOUNT, True),
        (Issue("INC-12", assignee=JON, comments=[(RITA.account,), ()]), BY_ACCOUNT, True),
        (Issue("INC-12", assignee=JON, reporter=JON, comments=[(JON.account,)]), BY_ACCOUNT, False),
        (Issue("INC-12", assignee=JON, comments=[(), *[(JON.account,)] * 50]), BY_ACCOUNT, None),
        (Issue("INC-12", assignee=RITA), BY_EMAIL, True),
        (Issue("INC-12", reporter=RITA), SoughtPerson("U0RITA", "RITA@example.com"), True),
        (Issue("INC-12", assignee=JON), BY_EMAIL, False),
        (Issue("INC-12", assignee=HIDDEN), BY_EMAIL, None),
        (Issue("INC-12", assignee=JON, mentions=(HIDDEN.account,)), BY_EMAIL, None),
        (Issue("INC-12", assignee=RITA), NOBODY, None),
    ],
)
def test_issue_is_whose_it_says_it_is(
    jira: FakeJira, issue: Issue, who: SoughtPerson, *, is_theirs: bool | None
) -> None:
    jira.has(issue)
    assert whose(jira, who) is is_theirs


def test_data_center_knows_people_by_their_names() -> None:
    with FakeJira(is_cloud=False) as jira:
        rita = SoughtPerson("U0RITA", "Rita")
        jira.has(Issue("INC-12", assignee=JiraUser("jon"), mentions=("rita",)))
        assert whose(jira, rita) is True
        jira.has(Issue("INC-12", assignee=JiraUser("jon"), mentions=("ritata",)))
        assert whose(jira, rita) is False
        assert jira.calls[0] == "/rest/api/2/issue/INC-12"


def test_moved_issue_has_another_name(jira: FakeJira) -> None:
    jira.has(Issue("CHORE-5", assignee=RITA))
    jira.moved["INC-12"] = "CHORE-5"
    found = check(jira)
    assert isinstance(found, TicketAnswer)
    assert found.name == "CHORE-5"


def test_issue_that_nobody_may_see_is_unknown(jira: FakeJira) -> None:
    assert check(jira) == TicketUnknown()


@pytest.mark.parametrize("ticket", ["12", "..", "INC-12/comment", "INC-1?x", "INC 1"])
def test_what_is_no_key_is_never_asked(jira: FakeJira, ticket: str) -> None:
    assert check(jira, ticket=ticket) == TicketUnknown()
    assert jira.calls == []


def test_expired_token_makes_no_ticket_unknown(jira: FakeJira) -> None:
    jira.has(Issue("INC-12"))
    found = JiraChecker(jira.url, EMAIL, SecretStr("expired")).check("INC-12", BY_ACCOUNT)
    assert found == TicketUnchecked("Jira (127.0.0.1) doesn't accept Countersign's token")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (JiraAnswer(401), "doesn't accept Countersign's token"),
        (JiraAnswer(403), "doesn't let Countersign's account look at issues"),
        (JiraAnswer(404, b"<html>no such page</html>"), "answered 404, not as Jira"),
        (JiraAnswer(404, b'{"message": "no Route matched"}'), "answered 404"),
        (JiraAnswer(302, headers=(("Location", "https://example.com/login"),)), "answered 302, not as Jira"),
        (JiraAnswer(500, b"{}"), "answered 500"),
        (JiraAnswer(200, b"<html>sign in</html>"), "answered 200, not as Jira"),
        (JiraAnswer(200, b"[" * 20_000), "answered 200, not as Jira"),
        (JiraAnswer(200, b'{"key": "INC-12", "fields": {}}'), "didn't say whether it is open"),
        (JiraAnswer(200, b" " * (MAX_BYTES + 1)), "gave no answer (ValueError)"),
    ],
)
def test_answer_that_says_nothing_is_not_checked(jira: FakeJira, answer: JiraAnswer, problem: str) -> None:
    jira.instead.append(answer)
    assert check(jira) == TicketUnchecked(f"Jira (127.0.0.1) {problem}")


def test_rate_limit_says_when_to_ask_again(jira: FakeJira) -> None:
    # Atlassian: a 429, and some 5xx, come with Retry-After in seconds.
    jira.instead.append(JiraAnswer(429, b"{}", (("Retry-After", "30"),)))
    assert check(jira) == TicketUnchecked("Jira (127.0.0.1) answered 429", timedelta(seconds=30))


def test_slow_jira_is_given_up_in_time(jira: FakeJira) -> None:
    jira.hold.clear()
    assert check(jira, seconds=0.05) == TicketUnchecked("Jira (127.0.0.1) gave no answer (TimeoutError)")


def test_comments_that_are_not_answered_leave_it_open(jira: FakeJira) -> None:
    jira.has(Issue("INC-12", assignee=JON))
    jira.instead.append(jira.answer("/rest/api/3/issue/INC-12", {"fields": ["status"]}, jira.sign_in()))
    jira.instead.append(JiraAnswer(500))
    assert whose(jira) is None


def test_title_is_one_bounded_line(jira: FakeJira) -> None:
    jira.has(Issue("INC-12", summary="a\n\u202eb" + "c" * 1000, assignee=RITA))
    found = check(jira)
    assert isinstance(found, TicketAnswer)
    assert found.title.startswith("a b")
    assert len(found.title) == 200

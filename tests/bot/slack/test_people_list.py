"""Names for a report: page by page, within a minute, and never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.slack.client import open_client
from bot.slack.people_list import TOTAL_SECONDS, list_names
from localslack.faults import RateLimited, Refuse
from localslack.records import Person
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk import WebClient

METHOD = "users.list"


@pytest.fixture(scope="module")
def slack() -> Iterator[LocalSlack]:
    server = LocalSlack()
    server.workspace.add(*(Person(id=f"U0P{number:03}", name=f"p{number}") for number in range(210)))
    server.workspace.add(Person(id="U0LEFT", name="left", real_name="Lea Left", deleted=True))
    with server:
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return open_client(SecretStr(slack.bot_token), slack.api_url, 10)


def test_names_come_from_every_page(client: WebClient) -> None:
    listed = list_names(client, frozenset({"U0P000", "U0LEFT", "U0STRANGER"}))
    assert listed.known == {"U0P000": "p0", "U0LEFT": "Lea Left"}
    assert listed.problem is None


def test_rate_limit_is_waited_for(slack: LocalSlack, client: WebClient) -> None:
    pauses: list[float] = []
    slack.faults.next(RateLimited(30), METHOD)
    assert list_names(client, frozenset({"U0P001"}), sleep=pauses.append).known == {"U0P001": "p1"}
    assert pauses == [30.0]


def test_long_rate_limit_ends_it_with_the_names_so_far(slack: LocalSlack, client: WebClient) -> None:
    slack.faults.next(RateLimited(int(TOTAL_SECONDS) + 1), METHOD)
    listed = list_names(client, frozenset({"U0P001"}), sleep=lambda _: pytest.fail("it waited"))
    assert (listed.known, listed.problem) == ({}, "ratelimited")


def test_refusal_is_named_and_no_error(slack: LocalSlack, client: WebClient) -> None:
    slack.faults.next(Refuse("missing_scope"), METHOD)
    assert (list_names(client, frozenset({"U0P001"})).problem or "").startswith("missing_scope")


def test_slack_is_not_asked_for_nobody(client: WebClient) -> None:
    client.token = "xoxb-not-a-token"
    assert list_names(client, frozenset()).problem is None

"""Finding people by e-mail: only who is confirmed and active, at Slack's pace, and not while Slack refuses."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from slack_sdk import WebClient

from bot.slack.email_lookup import BURST, FIRST_PAUSE, EmailLookup
from bot.slack.installation import find_installation
from core.actor import UserId
from core.errors import NotKnown
from core.targets.call_pace import CallPace
from localslack.app_settings import AppSettings
from localslack.faults import Fault, HangUp, RateLimited, Refuse
from localslack.records import Person
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.clock import FrozenClock

METHOD, ADDRESS, SAM = "users.lookupByEmail", "sam@example.com", UserId("U0SAM")
MEMBER = Person(id=SAM, name="sam", email=ADDRESS)


@pytest.fixture
def slack(clock: FrozenClock) -> Iterator[LocalSlack]:
    with LocalSlack(clock) as slack:
        yield slack


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def lookup(slack: LocalSlack, clock: FrozenClock, counted: list[str]) -> EmailLookup:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    return EmailLookup(client, lambda: find_installation(client), clock, count=counted.append)


def test_only_an_active_member_with_this_address_is_found(slack: LocalSlack, lookup: EmailLookup) -> None:
    others: dict[str, dict[str, object]] = {
        "gone": {"deleted": True},
        "unconfirmed": {"is_email_confirmed": False},
        "guest": {"is_restricted": True},
        "robot": {"is_bot": True},
        "stranger": {"is_stranger": True, "team_id": "T0ELSEWHERE"},
    }
    slack.workspace.add(
        MEMBER,
        *(
            MEMBER.model_copy(update={"id": f"U0{name.upper()}", "email": f"{name}@example.com", **flags})
            for name, flags in others.items()
        ),
    )

    assert [lookup.find(each) for each in (ADDRESS, "Sam@EXAMPLE.com")] == [SAM, SAM]
    assert [lookup.find(f"{each}@example.com") for each in ("nobody", *others)] == [None] * 6
    # Folding it would make it the address of another person.
    assert lookup.find("\u017fam@example.com") is None


@pytest.mark.parametrize("fault", [Refuse("missing_scope"), RateLimited(3), HangUp()], ids=repr)
def test_slack_that_refuses_is_left_alone_for_a_while(
    slack: LocalSlack, lookup: EmailLookup, clock: FrozenClock, counted: list[str], fault: Fault
) -> None:
    slack.workspace.add(MEMBER)
    slack.faults.next(fault, METHOD)
    for _ in range(3):
        with pytest.raises(NotKnown):
            lookup.find(ADDRESS)
    assert len(slack.calls_of(METHOD)) == 1

    clock.advance(FIRST_PAUSE)
    assert lookup.find(ADDRESS) == SAM
    assert counted == ["unavailable", "answered"]


def test_token_without_the_scope_finds_nobody_and_refuses_nobody(clock: FrozenClock) -> None:
    with LocalSlack(clock, app=AppSettings(scopes=frozenset({"users:read"}))) as slack:
        slack.workspace.add(MEMBER)
        client = WebClient(slack.bot_token, base_url=slack.api_url)

        with pytest.raises(NotKnown):
            EmailLookup(client, lambda: find_installation(client), clock).find(ADDRESS)


def test_pause_grows_and_ends_when_the_clock_is_set_back(
    slack: LocalSlack, lookup: EmailLookup, clock: FrozenClock
) -> None:
    slack.faults.next(Refuse("internal_error"), METHOD, times=3)
    for seconds, calls in ((0, 1), (10, 2), (19, 2), (1, 3), (-3600, 4)):
        clock.advance(timedelta(seconds=seconds))
        with suppress(NotKnown):
            lookup.find(ADDRESS)
        assert len(slack.calls_of(METHOD)) == calls


def test_more_than_slack_allows_is_not_asked(slack: LocalSlack, clock: FrozenClock) -> None:
    client, now = WebClient(slack.bot_token, base_url=slack.api_url), [0.0]
    pace = CallPace(0.5, BURST, 0.0, elapsed=lambda: now[0])
    lookup = EmailLookup(client, lambda: find_installation(client), clock, pace=pace)
    for _ in range(BURST):
        lookup.find(ADDRESS)

    with pytest.raises(NotKnown):
        lookup.find(ADDRESS)
    now[0] += 2.0
    assert lookup.find(ADDRESS) is None
    assert len(slack.calls_of(METHOD)) == BURST + 1


def test_workspace_is_asked_for_once(slack: LocalSlack, lookup: EmailLookup) -> None:
    assert [lookup.find(each) for each in (ADDRESS, "kim@example.com")] == [None, None]
    assert len(slack.calls_of("auth.test")) == 1

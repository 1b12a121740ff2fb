"""The bot token while the bot runs: refused for as long as Slack refuses it, and for nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from slack_sdk import WebClient

from bot.slack.errors import ERRORS
from bot.slack.token_check import BotTokenCheck
from localslack.faults import HangUp, Refuse, ServerError, Stall
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localslack.faults import Fault

_TEST = "auth.test"


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with LocalSlack() as slack:
        yield slack


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def check(client: WebClient) -> Iterator[BotTokenCheck]:
    check = BotTokenCheck(client, interval_seconds=0.0)
    yield check
    check.close()
    # The local Slack is stopped next: no call may be under way then.
    check._pool.shutdown(wait=True)  # noqa: SLF001


def wait_for_answers(check: BotTokenCheck) -> None:
    check._pool.submit(lambda: None).result(10)  # noqa: SLF001  One thread: what was asked before is answered then.


@pytest.mark.parametrize("code", ["token_revoked", "team_access_not_granted", "org_login_required"])
def test_a_refused_token_is_logged_with_its_fix_until_accepted(
    slack: LocalSlack, check: BotTokenCheck, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    slack.faults.next(Refuse(code), _TEST, times=None)
    slack.wait_until(lambda: not check.is_accepted())
    slack.faults.clear()

    assert slack.wait_until(check.is_accepted)
    said = {(each.levelno, each.getMessage()) for each in caplog.records if each.name == "countersign.readiness"}
    assert said == {(logging.ERROR, f"Slack refuses SLACK_BOT_TOKEN: {code}. {ERRORS[code].fix}")}


@pytest.mark.parametrize("fault", [ServerError(503), HangUp(), Refuse("internal_error")], ids=str)
def test_a_slack_that_fails_changes_nothing(slack: LocalSlack, check: BotTokenCheck, fault: Fault) -> None:
    slack.faults.next(fault, _TEST, times=None)
    slack.wait_until(lambda: check.is_accepted() and len(slack.calls_of(_TEST)) > 1)
    assert check.is_accepted()

    slack.faults.clear()
    slack.faults.next(Refuse("token_revoked"), _TEST, times=None)
    slack.wait_until(lambda: not check.is_accepted())
    slack.faults.clear()
    slack.faults.next(fault, _TEST, times=None)
    asked = len(slack.calls_of(_TEST))
    slack.wait_until(lambda: not check.is_accepted() and len(slack.calls_of(_TEST)) > asked + 1)
    assert not check.is_accepted()


def test_nobody_waits_for_slack_and_it_is_asked_once(slack: LocalSlack, check: BotTokenCheck) -> None:
    stall = Stall()
    slack.faults.next(stall, _TEST, times=None)

    assert all(check.is_accepted() for _ in range(20))
    assert stall.reached.wait(10)
    assert check.is_accepted()
    stall.release()
    wait_for_answers(check)
    assert len(slack.calls_of(_TEST)) == 1


def test_a_token_that_was_just_accepted_is_not_asked_about(slack: LocalSlack, client: WebClient) -> None:
    check = BotTokenCheck(client)
    assert all(check.is_accepted() for _ in range(20))
    wait_for_answers(check)
    check.close()

    assert slack.calls_of(_TEST) == []


def test_a_closed_check_asks_nothing(slack: LocalSlack, check: BotTokenCheck) -> None:
    check.close()

    assert check.is_accepted()
    assert slack.calls_of(_TEST) == []

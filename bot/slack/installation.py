"""Whom the bot's token belongs to, asked of Slack once, before anything is started.

Invariant: a token that Slack refuses is told apart from a Slack that cannot be asked, and the token is in no message.
"""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk import WebClient

from bot.slack.errors import UNREACHABLE, ErrorKind, SlackToken, read_error, refuse_token
from core.errors import CountersignError, InvalidInput


@dataclass(frozen=True, slots=True)
class Installation:
    """Whom the bot's token belongs to, as auth.test says."""

    team_id: str
    bot_id: str
    bot_user_id: str
    enterprise_id: str | None = None


class SlackUnreachable(CountersignError):
    """Slack did not answer. Nothing was started; trying again may help."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Slack did not answer: {problem}. Nothing was started. Check the connection to Slack, or try again later."
        )
        self.problem = problem


def find_installation(client: WebClient) -> Installation:
    """Ask auth.test. Raises InvalidInput for a token that Slack refuses, SlackUnreachable when Slack does not say."""
    try:
        told = client.auth_test()
    except UNREACHABLE as error:
        failure = read_error(error)
        if failure.kind is ErrorKind.OPERATOR:
            raise refuse_token(failure, SlackToken.BOT) from error
        raise SlackUnreachable(failure.label) from error
    team_id, bot_id, user_id = told.get("team_id"), told.get("bot_id"), told.get("user_id")
    if not (isinstance(team_id, str) and isinstance(user_id, str)):
        raise SlackUnreachable("auth.test named no workspace")
    if not isinstance(bot_id, str):
        raise InvalidInput(
            SlackToken.BOT.value,
            "it doesn't belong to a bot",
            "Copy the one that begins with xoxb- from OAuth & Permissions.",
        )
    enterprise_id = told.get("enterprise_id")
    return Installation(team_id, bot_id, user_id, enterprise_id if isinstance(enterprise_id, str) else None)

"""The installation: which workspace and bot the token belongs to, looked up once before anything starts.

Invariant: a refused token and an unreachable Slack are different errors, and neither message contains the token.
"""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk import WebClient

from bot.slack.errors import UNREACHABLE, ErrorKind, SlackToken, read_error, refuse_token
from core.errors import CountersignError, InvalidInput


@dataclass(frozen=True, slots=True)
class Installation:
    """The workspace and bot that the token belongs to, according to auth.test. `url` is the workspace's address."""

    team_id: str
    bot_id: str
    bot_user_id: str
    enterprise_id: str | None = None
    url: str | None = None


class SlackUnreachable(CountersignError):
    """Slack didn't answer. Nothing was started; trying again may help."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Slack did not answer: {problem}. Nothing was started. Check the connection to Slack, or try again later."
        )
        self.problem = problem


def find_installation(client: WebClient) -> Installation:
    """Ask auth.test. Raises InvalidInput if Slack refuses the token, SlackUnreachable if there is no usable answer."""
    try:
        answer = client.auth_test()
    except UNREACHABLE as error:
        failure = read_error(error)
        if failure.kind is ErrorKind.OPERATOR:
            raise refuse_token(failure, SlackToken.BOT) from error
        raise SlackUnreachable(failure.label) from error
    team_id, bot_id, user_id = answer.get("team_id"), answer.get("bot_id"), answer.get("user_id")
    if not (isinstance(team_id, str) and isinstance(user_id, str)):
        raise SlackUnreachable("auth.test named no workspace")
    if not isinstance(bot_id, str):
        raise InvalidInput(
            SlackToken.BOT.value,
            "it doesn't belong to a bot",
            "Copy the one that begins with xoxb- from OAuth & Permissions.",
        )
    enterprise_id, url = (
        each if isinstance(each, str) else None for each in (answer.get("enterprise_id"), answer.get("url"))
    )
    return Installation(team_id, bot_id, user_id, enterprise_id, url)

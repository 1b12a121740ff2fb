"""Whom the bot's token belongs to, asked of Slack once, before anything is started.

Invariant: a token that Slack refuses is told apart from a Slack that cannot be asked, and the token is in no message.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException
from typing import Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from core.errors import CountersignError, InvalidInput

_REFUSED: Final = frozenset(
    {"invalid_auth", "not_authed", "not_allowed_token_type", "account_inactive", "token_revoked", "token_expired",
     "no_permission", "missing_scope", "org_login_required", "access_denied", "team_access_not_granted"}
)  # fmt: skip


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
        super().__init__(f"Slack did not answer: {problem}. Nothing was started. Check the way out to Slack, or wait.")
        self.problem = problem


def find_installation(client: WebClient) -> Installation:
    """Ask auth.test. Raises InvalidInput for a token that Slack refuses, SlackUnreachable when Slack does not say."""
    try:
        told = client.auth_test()
    except SlackApiError as error:
        code = _code(error)
        if code in _REFUSED:
            raise InvalidInput(
                "SLACK_BOT_TOKEN",
                f"Slack refuses it ({code})",
                "Copy it again from OAuth & Permissions, or install the app again; see docs/slack.md.",
            ) from error
        raise SlackUnreachable(f"auth.test said {code}") from error
    except (SlackClientError, OSError, HTTPException, ValueError) as error:
        raise SlackUnreachable(type(error).__name__) from error
    team_id, bot_id, user_id = told.get("team_id"), told.get("bot_id"), told.get("user_id")
    if not (isinstance(team_id, str) and isinstance(user_id, str)):
        raise SlackUnreachable("auth.test named no workspace")
    if not isinstance(bot_id, str):
        raise InvalidInput(
            "SLACK_BOT_TOKEN", "it is no bot's", "Copy the one that begins with xoxb- from OAuth & Permissions."
        )
    enterprise_id = told.get("enterprise_id")
    return Installation(team_id, bot_id, user_id, enterprise_id if isinstance(enterprise_id, str) else None)


def _code(error: SlackApiError) -> str:
    answer = error.response.data
    code = str(answer.get("error", "")) if isinstance(answer, dict) else ""
    return code[:60] or f"{error.response.status_code}"

"""What slack_sdk raises when Slack refuses a call, and how Countersign reads it.

Invariant: no Slack is asked; the error is built as slack_sdk builds it from an answer.
"""

from __future__ import annotations

from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.slack.errors import SlackError, SlackToken, read_error


def an_error(data: Any, status: int = 200, **headers: str) -> SlackApiError:  # noqa: ANN401 - Slack's JSON
    """The error of an answer that holds this."""
    response = SlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data=data, headers=headers, status_code=status
    )
    return SlackApiError("failed", response)  # type: ignore[no-untyped-call]


def a_refusal(code: str, **more: str) -> SlackApiError:
    """The error of an answer with this code."""
    return an_error({"ok": False, "error": code, **more})


def read_refusal(code: str, token: SlackToken = SlackToken.BOT) -> SlackError:
    """What this code means for this token."""
    return read_error(a_refusal(code), token=token)

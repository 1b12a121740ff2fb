"""A person's name in Slack, for a command line that shows it to an operator.

Invariant: a name is for display. Nothing is decided by it, so not finding one is no error.
"""

from __future__ import annotations

from slack_sdk import WebClient

from bot.slack.errors import UNREADABLE
from bot.slack.payloads import get_str
from core.actor import UserId

_MAX_LENGTH = 80


def find_name(client: WebClient, person: UserId) -> str | None:
    """The name that Slack shows for this person; None when Slack doesn't say."""
    try:
        user = client.users_info(user=person).get("user")
    except UNREADABLE:
        return None
    name = get_str(user, "profile", "real_name") or get_str(user, "profile", "display_name")
    return name[:_MAX_LENGTH] if name else None

"""The surface of the bot in Slack: its commands, shortcuts and events, and the scope that each thing it does asks for.

Invariant: manifest.yml says exactly this, and the code uses exactly this; tests/bot/slack/test_manifest.py holds the
three together. A method of the Web API that is not here is not called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ACCESS: Final = "/access"
BREAK_GLASS: Final = "/breakglass"
REQUEST_ACCESS: Final = "request_access"
HOME_OPENED: Final = "app_home_opened"
USER_CHANGED: Final = "user_change"
GROUP_UPDATED: Final = "subteam_updated"

COMMANDS: Final = frozenset({ACCESS, BREAK_GLASS})
SHORTCUTS: Final = frozenset({REQUEST_ACCESS})
"""Callback ids of the global shortcuts."""

COMMANDS_SCOPE: Final = "commands"
"""Asked for by slash commands and shortcuts."""

EVENTS: Final[Mapping[str, str | None]] = {
    HOME_OPENED: None,
    # These two let a right end in seconds where it would otherwise end with what is remembered of the person.
    USER_CHANGED: "users:read",
    GROUP_UPDATED: "usergroups:read",
}
"""The events, each with the scope it asks for: https://docs.slack.dev/reference/events."""

METHODS: Final[Mapping[str, str | None]] = {
    "auth_test": None,
    "chat_postMessage": "chat:write",
    "chat_update": "chat:write",
    # For `countersign doctor`: whether the bot is in a channel, before a request is lost there.
    "conversations_info": "channels:read",
    "conversations_open": "im:write",
    "usergroups_list": "usergroups:read",
    "usergroups_users_list": "usergroups:read",
    "users_info": "users:read",
    "views_open": None,
    "views_publish": None,
    "views_update": None,
}
"""The Web API as slack_sdk names it, each method with the bot scope it asks for: https://docs.slack.dev/reference/methods."""

PRIVATE_CHANNELS_SCOPE: Final = "groups:read"
"""What conversations.info asks for where the channel is private."""

SCOPES: Final = frozenset(
    scope
    for scope in (COMMANDS_SCOPE, PRIVATE_CHANNELS_SCOPE, *EVENTS.values(), *METHODS.values())
    if scope is not None
)
"""Every scope of the bot token."""

APP_METHODS: Final = frozenset({"apps_connections_open"})
"""Called with the app-level token; its one scope, connections:write, is given where that token is made."""

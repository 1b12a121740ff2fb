"""The bot's surface in Slack: its commands, shortcuts, events and Web API methods, and the scope that each one needs.

Invariant: manifest.yml declares exactly this, and the code uses exactly this; tests/bot/slack/test_manifest.py checks
all three. The bot calls no Web API method that isn't listed here.
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
GROUP_MEMBERS_CHANGED: Final = "subteam_members_changed"
TEAM_JOINED: Final = "team_join"

COMMANDS: Final = frozenset({ACCESS, BREAK_GLASS})
SHORTCUTS: Final = frozenset({REQUEST_ACCESS})
"""Callback ids of the global shortcuts."""

COMMANDS_SCOPE: Final = "commands"
"""Needed by slash commands and shortcuts."""

EVENTS: Final[Mapping[str, str | None]] = {
    HOME_OPENED: None,
    # With these, a permission ends within seconds. Otherwise it would last as long as the cached answer.
    USER_CHANGED: "users:read",
    TEAM_JOINED: "users:read",
    GROUP_UPDATED: "usergroups:read",
    # Slack cuts the members in `subteam_updated` at 500.
    GROUP_MEMBERS_CHANGED: "usergroups:read",
}
"""The events, each with the scope it needs: https://docs.slack.dev/reference/events."""

METHODS: Final[Mapping[str, str | None]] = {
    # What time it is for Slack.
    "api_test": None,
    "auth_test": None,
    "chat_getPermalink": None,
    "chat_postEphemeral": "chat:write",
    "chat_postMessage": "chat:write",
    "chat_update": "chat:write",
    # For `countersign doctor`: whether the bot is in a channel, before a request for it gets lost. And for break-glass:
    # whether another organization sees the channel where it was declared.
    "conversations_info": "channels:read",
    # For `countersign init`: which channels there are, and in which of them the bot is; who the operator means.
    "conversations_list": "channels:read",
    "conversations_open": "im:write",
    "usergroups_list": "usergroups:read",
    "usergroups_users_list": "usergroups:read",
    "users_info": "users:read",
    "users_list": "users:read",
    "views_open": None,
    "views_publish": None,
    "views_update": None,
}
"""Web API methods by their slack_sdk names, each with its bot scope: https://docs.slack.dev/reference/methods."""

PICTURE_METHODS: Final = frozenset({"files_getUploadURLExternal", "files_completeUploadExternal"})
"""Called only for the picture of the monthly summary."""

PICTURE_SCOPE: Final = "files:write"
"""What these need. The manifest doesn't ask for it: without it, the summary has no picture."""

EMAIL_METHODS: Final = frozenset({"users_lookupByEmail"})
"""Called only to find the people on schedules whom their source knows by e-mail."""

EMAIL_SCOPE: Final = "users:read.email"
"""What these need, and rules that name people by e-mail. The manifest asks for it if the policy has such."""

PRIVATE_CHANNELS_SCOPE: Final = "groups:read"
"""What conversations.info needs for a private channel."""

SCOPES: Final = frozenset(
    scope
    for scope in (COMMANDS_SCOPE, PRIVATE_CHANNELS_SCOPE, *EVENTS.values(), *METHODS.values())
    if scope is not None
)
"""Every scope of the bot token."""

APP_METHODS: Final = frozenset({"apps_connections_open"})
"""Called with the app-level token; its one scope, connections:write, is granted when that token is generated."""

"""The app as Slack knows it: its names, secrets, scopes and features.

Invariant: with a manifest, the app gets only what the manifest declares, as in Slack; without one, it gets everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

ALL_SCOPES = frozenset(
    {
        "chat:write", "chat:write.public", "commands", "files:write", "im:write", "im:read", "im:history",
        "channels:read", "channels:history", "groups:read", "groups:history", "users:read",
        "users:read.email", "usergroups:read",
    },
)  # fmt: skip
"""Every scope that a method of the local Slack needs."""


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A slash command as declared in the manifest."""

    name: str
    usage_hint: str = ""
    description: str = ""
    should_escape: bool = False


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The installed app. None for `commands`, `shortcuts` or `events` allows any."""

    id: str = "A0LOCALAPP"
    name: str = "Local App"
    bot_id: str = "B0LOCALBOT"
    bot_user: str = "U0LOCALBOT"
    bot_token: str = "xoxb-local-bot"  # noqa: S105  It works on this loopback port only.
    app_token: str = "xapp-local-app"  # noqa: S105  As above.
    signing_secret: str = "local-signing-secret"  # noqa: S105  As above.
    verification_token: str = "local-verification"  # noqa: S105  As above.
    scopes: frozenset[str] = ALL_SCOPES
    commands: tuple[SlashCommand, ...] | None = None
    shortcuts: frozenset[str] | None = None
    events: frozenset[str] | None = None
    has_home_tab: bool = True
    is_revoked: bool = False

    def command(self, name: str) -> SlashCommand | None:
        """The command with this name, or None if the app doesn't have it."""
        if self.commands is None:
            return SlashCommand(name)
        return next((command for command in self.commands if command.name == name), None)

    def with_manifest(self, manifest: dict[str, Any]) -> AppSettings:
        """The same app, installed from a parsed manifest."""
        features, settings = manifest.get("features", {}), manifest.get("settings", {})
        scopes = manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])
        return replace(
            self,
            name=features.get("bot_user", {}).get("display_name", self.name),
            scopes=frozenset(scopes),
            commands=tuple(
                SlashCommand(
                    name=command["command"],
                    usage_hint=command.get("usage_hint", ""),
                    description=command.get("description", ""),
                    should_escape=command.get("should_escape", False),
                )
                for command in features.get("slash_commands", [])
            ),
            shortcuts=frozenset(shortcut["callback_id"] for shortcut in features.get("shortcuts", [])),
            events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
            has_home_tab=features.get("app_home", {}).get("home_tab_enabled", False),
        )

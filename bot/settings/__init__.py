"""The settings, read once from the environment by the command line, and what environment variables can hold."""

from __future__ import annotations

from bot.settings.api import ApiSettings, read_api_settings
from bot.settings.deployment import LogForm, Settings, read_settings
from bot.settings.every import secrets_of, settings_to_serve, unknown_variables
from bot.settings.problems import InvalidSettings
from bot.settings.slack import SlackSettings, read_slack_settings
from bot.settings.terminal import TerminalSettings, read_terminal_settings

__all__ = [
    "ApiSettings", "InvalidSettings", "LogForm", "Settings", "SlackSettings", "TerminalSettings", "read_api_settings",
    "read_settings", "read_slack_settings", "read_terminal_settings", "secrets_of", "settings_to_serve",
    "unknown_variables",
]  # fmt: skip

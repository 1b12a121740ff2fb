"""Changes of people and user groups: cached answers about them are dropped, so that a right ends in seconds.

Invariant: an event only makes the bot ask Slack again; nothing in it is trusted.
"""

from __future__ import annotations

from slack_bolt import Ack, App

from bot.slack.app_surface import GROUP_UPDATED, USER_CHANGED
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_str


class DirectoryEvents:
    """Keeps the directory up to date."""

    def __init__(self, directory: SlackDirectory) -> None:
        self._directory = directory

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.event(USER_CHANGED)(self.on_user_change)
        app.event(GROUP_UPDATED)(self.on_group_updated)

    def on_user_change(self, ack: Ack, event: Payload) -> None:
        """A person changed: they were deactivated, say, or made a guest."""
        ack()
        if (user_id := get_str(event, "user", "id")) is not None:
            self._directory.forget(user_id)

    def on_group_updated(self, ack: Ack, event: Payload) -> None:
        """A user group has other members."""
        ack()
        if (group_id := get_str(event, "subteam", "id")) is not None:
            self._directory.forget_group(group_id)

"""Changes of people and user groups: noted in the store for every instance, so that a right ends everywhere in seconds.

Invariant: an event is acknowledged at once, and what it says is noted however often that takes. An event says who is in
a user group; about a person, it only makes the bot ask Slack again, before their access ends, too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from slack_bolt import Ack, App

from bot.slack.app_surface import GROUP_MEMBERS_CHANGED, GROUP_UPDATED, TEAM_JOINED, USER_CHANGED
from bot.slack.change_writer import ChangeWriter
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str, get_strings
from bot.slack.user_group_answers import Asking, read_subteam
from core.actor import UserGroupId, UserId, is_person, is_user_group
from core.clock import Clock
from core.policy import PolicySource

MAX_EVENT_AGE: Final = timedelta(seconds=30)
"""Slack delivers an event within seconds, and again after a minute and after five."""


class DirectoryEvents:
    """Keeps the directory up to date, here and in every other instance."""

    def __init__(
        self,
        directory: SlackDirectory,
        writer: ChangeWriter,
        policy: PolicySource,
        clock: Clock,
        *,
        on_departed: Callable[[UserId, datetime], None] = lambda _, __: None,
    ) -> None:
        """`on_departed` gets a person who seems to be no member any more, and when that was heard; it doesn't wait."""
        self._directory = directory
        self._on_departed = on_departed
        self._writer = writer
        self._clock = clock
        self._policy = policy

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.event(USER_CHANGED)(self.on_user_change)
        app.event(TEAM_JOINED)(self.on_user_change)
        app.event(GROUP_UPDATED)(self.on_group_updated)
        app.event(GROUP_MEMBERS_CHANGED)(self.on_group_members_changed)

    def on_user_change(self, ack: Ack, event: Payload) -> None:
        """A person changed or joined: they were deactivated, say, or made a guest."""
        ack()
        user_id = get_str(event, "user", "id")
        if user_id is None or not is_person(user_id):
            return
        # A new status picture is such an event too. What can't end a right isn't noted, or the notes would grow.
        at, is_member = self._clock.now(), self._directory.is_member(user_id, get_dict(event, "user"))
        if not is_member or self._may_end_a_right(user_id, event):
            self._writer.note([user_id], at)
        self._directory.forget(user_id)
        if not is_member:
            self._on_departed(UserId(user_id), at)

    def on_group_updated(self, ack: Ack, event: Payload) -> None:
        """A user group has another name or other members, or was disabled; the event has the members."""
        ack()
        group_id = get_str(event, "subteam", "id")
        if group_id is not None and is_user_group(group_id):
            self._hear(UserGroupId(group_id), get_dict(event, "subteam"))

    def on_group_members_changed(self, ack: Ack, event: Payload) -> None:
        """A user group has other members; the event has the difference only, and Slack is asked who is in it."""
        ack()
        group_id = get_str(event, "subteam_id")
        if group_id is None or not is_user_group(group_id):
            return
        group, version = UserGroupId(group_id), event.get("date_update")
        added, removed = get_strings(event, "added_users"), get_strings(event, "removed_users")
        # `subteam_updated` comes for the same change, with all members: then Slack need not be asked.
        if not isinstance(version, int) or not self._directory.reflects(group, version, added, removed):
            self._hear(group, {})

    def _hear(self, group: UserGroupId, subteam: Payload) -> None:
        at = self._clock.now()
        answer = read_subteam(subteam, Asking(at, {group: at}))
        if answer is not None and answer.slack_version < (at - MAX_EVENT_AGE).timestamp():
            # Delivered again: the group may have changed since, and another instance may know that.
            answer = None
        if self._directory.hear_group(group, at, answer):
            self._writer.note([group], at)
            if answer is not None:
                self._writer.learn([answer], is_change_certain=True)

    def _may_end_a_right(self, user_id: str, event: Payload) -> bool:
        if not self._policy.current().document.identity.trust_email:
            return False
        known = self._directory.get_email(user_id)
        return known is None or known != get_str(event, "user", "profile", "email")

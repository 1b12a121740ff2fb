"""The Home tab, drawn when a person opens it and after each click in it.

Invariant: only a verified member sees anything in it, and only what is theirs or is waiting for them.
"""

from __future__ import annotations

from slack_bolt import Ack, App

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.device_queries import DeviceQueries
from bot.interactions.reply_sender import ReplySender
from bot.interactions.request_queries import RequestQueries
from bot.slack.app_surface import HOME_OPENED
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_str
from bot.views.block_kit import Block, Message
from bot.views.home import home_notice, home_tab
from bot.views.replies import explain
from core.clock import Clock
from core.errors import CountersignError


class HomeInteractions:
    """Draws Home tabs. Safe for threads."""

    def __init__(
        self,
        replies: ReplySender,
        requests: RequestQueries,
        events: BreakGlassQueries,
        devices: DeviceQueries,
        directory: SlackDirectory,
        clock: Clock,
    ) -> None:
        self._replies = replies
        self._requests = requests
        self._events = events
        self._devices = devices
        self._directory = directory
        self._clock = clock

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.event(HOME_OPENED)(self.on_opened)

    def on_opened(self, ack: Ack, event: Payload) -> None:
        """A person opened the tab; the event also comes for the Messages tab, which needs nothing."""
        ack()
        user_id = get_str(event, "user")
        if user_id is not None and get_str(event, "tab") in {"home", None}:
            self.draw(user_id, hash_=get_str(event, "view", "hash"))

    def draw(self, user_id: str, outcome: Message | None = None, *, hash_: str | None = None) -> None:
        """Draw a person's tab soon, with `outcome` at its top."""
        self._replies.publish_home(user_id, lambda: self._view(user_id, outcome), hash_=hash_)

    def _view(self, user_id: str, outcome: Message | None) -> Block:
        try:
            # The event doesn't say which workspace the person is from; Slack's answer about them does.
            person = self._directory.actor(user_id, None)
            # Active break-glass comes first: it may have to be closed.
            sections = (
                *self._events.sections(person),
                *self._requests.sections(person),
                *self._devices.sections(person),
            )
        except CountersignError as error:
            return home_notice(explain(error, self._clock.now(), user_id))
        return home_tab(sections, self._clock.now(), may_break=self._events.may_declare(person), outcome=outcome)

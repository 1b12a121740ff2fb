"""Choosing direct messages: `/access notify`, the button in Home, and the form that both open.

Invariant: a person changes nobody's choice but their own. Opening the form changes nothing.
"""

from __future__ import annotations

from slack_bolt import Ack, App

from bot.interactions.interaction import Interaction, read_interaction
from bot.interactions.responder import FormToOpen, Responder
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict
from bot.views.block_kit import Block, Message
from bot.views.home import NOTIFY
from bot.views.preferences import CALLBACK, KINDS, notify_form, notify_saved, read_notify_form
from core.preferences import DmKind
from core.services.preferences import DmChoices


class NotifyInteractions:
    """What Slack sends about a person's choice of direct messages."""

    def __init__(self, responder: Responder, choices: DmChoices, directory: SlackDirectory) -> None:
        self._responder = responder
        self._choices = choices
        self._directory = directory

    def register(self, app: App) -> None:
        """Register our listeners with Bolt. RequestInteractions hands on the line of `/access` that is ours."""
        app.action(NOTIFY)(self.on_open)
        app.view(CALLBACK)(self.on_form)

    def answer(self, interaction: Interaction) -> FormToOpen:
        """What `/access notify` comes to."""
        return FormToOpen(self._form(interaction))

    def on_open(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The button in Home."""
        interaction = read_interaction(body, context)
        self._responder.open_form(ack, interaction, lambda: self._form(interaction))

    def on_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The form was submitted."""
        interaction, view = read_interaction(body, context), get_dict(body, "view")

        def save() -> Message:
            offered, unwanted = read_notify_form(view)
            person = self._directory.actor(interaction.user_id, interaction.team_id)
            chosen = self._choices.choose(person, unwanted, offered)
            return notify_saved([kind for kind in DmKind if not chosen.wants(kind)])

        self._responder.respond_to_view(ack, interaction, save, (KINDS,))

    def _form(self, interaction: Interaction) -> Block:
        return notify_form(self._choices.muted_by(self._directory.actor(interaction.user_id, interaction.team_id)))

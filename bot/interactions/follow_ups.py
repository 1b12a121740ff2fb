"""What follows an emergency in Slack: closing and reviewing events in their forms, and their timelines.

Invariant: a form shows the event as it is recorded, and opens only for a person who may use it, as far as that is
known; what they send is judged again.
"""

from __future__ import annotations

from contextlib import suppress

from slack_bolt import Ack, App

from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id
from bot.interactions.responder import FormToOpen, Responder
from bot.interactions.timeline_queries import TimelineQueries
from bot.observability.logs import about
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict
from bot.views.block_kit import Block, Message
from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE
from bot.views.break_glass.follow_up_forms import (
    CLOSE_CALLBACK,
    CLOSE_FIELDS,
    REVIEW_CALLBACK,
    REVIEW_FIELDS,
    close_form,
    read_close_form,
    read_review_form,
    review_form,
)
from bot.views.break_glass.replies import closed, review_recorded
from bot.views.replies import FORM_NOT_YET
from bot.views.timeline import timeline
from core.actor import Actor, UserId, check_user_id
from core.break_glass import BreakGlassEvent, EventId
from core.errors import CountersignError
from core.services import BreakGlassService
from core.services.previews import Previews


class FollowUpInteractions:
    """What Slack sends about events that are live or have ended."""

    def __init__(
        self,
        responder: Responder,
        service: BreakGlassService,
        directory: SlackDirectory,
        timelines: TimelineQueries,
        previews: Previews,
    ) -> None:
        self._responder = responder
        self._service = service
        self._directory = directory
        self._timelines = timelines
        self._previews = previews

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.action(CLOSE)(self.on_close)
        app.view(CLOSE_CALLBACK)(self.on_close_form)
        app.action(REVIEW)(self.on_review)
        app.view(REVIEW_CALLBACK)(self.on_review_form)
        app.action(TIMELINE)(self.on_timeline)

    def on_close(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Close was clicked: show the event, and ask how it ended, or answer why this person can't close it."""
        interaction = read_interaction(body, context, is_emergency=True)

        def show() -> FormToOpen:
            with about(_chain(event_id := _event_of(action))):
                return FormToOpen(close_form(self._previews.to_close(event_id, *self._presser(interaction))))

        self._responder.respond_to_action(ack, interaction, show, not_yet=FORM_NOT_YET)

    def on_close_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The close form was submitted."""
        interaction = read_interaction(body, context, is_emergency=True)

        def close() -> Message:
            event_id, reason = read_close_form(get_dict(body, "view"))
            with about(_chain(event_id)):
                return closed(self._service.close(event_id, self._actor(interaction), reason))

        self._responder.respond_to_view(ack, interaction, close, CLOSE_FIELDS, closes=True)

    def on_review(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Review was clicked: show the event, and ask what was found, or answer why this person can't review it."""
        interaction = read_interaction(body, context)

        def show() -> FormToOpen:
            with about(_chain(event_id := _event_of(action))):
                return FormToOpen(self._review_form(interaction, event_id))

        self._responder.respond_to_action(ack, interaction, show, not_yet=FORM_NOT_YET)

    def on_review_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The review form was submitted."""
        interaction = read_interaction(body, context)

        def review() -> Message:
            event_id, found = read_review_form(get_dict(body, "view"))
            with about(_chain(event_id)):
                event = self._service.review(
                    event_id, self._actor(interaction), found.verdict, found.notes, found.follow_up
                )
                return review_recorded(event)

        self._responder.respond_to_view(ack, interaction, review, REVIEW_FIELDS, closes=True)

    def on_timeline(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Timeline was clicked."""
        interaction = read_interaction(body, context)

        def show() -> Message:
            return timeline(self._timelines.of_event(_event_of(action), self._actor(interaction)))

        self._responder.show(ack, interaction, show)

    def _review_form(self, interaction: Interaction, event_id: EventId) -> Block:
        event = self._previews.to_review(event_id, *self._presser(interaction))
        with suppress(CountersignError):
            # Where to see what was done is more, and keeps no form shut when it can't be read.
            return review_form(event, self._timelines.activity(event_id, self._known(interaction)))
        return review_form(event)

    def _presser(self, interaction: Interaction) -> tuple[UserId, Actor | None]:
        # Slack isn't asked: a form can't wait for that.
        return check_user_id(interaction.user_id), self._directory.known(interaction.user_id)

    def _known(self, interaction: Interaction) -> Actor:
        # A cached answer is good enough for a form; a person not looked up yet is looked up now, for a second at most.
        return self._directory.known(interaction.user_id) or self._actor(interaction)

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)


def _event_of(action: Payload) -> EventId:
    return EventId(read_pressed_id(action))


def _chain(event_id: EventId) -> str:
    return f"{BreakGlassEvent.KIND}#{event_id}"

"""Requests in Slack: the command, the shortcut, the form, and the buttons of cards and lists.

Invariant: each listener reads a click and makes one service call, through the Responder. What a button means is decided
from the record; the message that it stands in is not even read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slack_bolt import Ack, App

from bot.interactions.commands.access import AccessCommand, parse_access
from bot.interactions.commands.tokens import OpenForm, ShowHelp, ShowList, parse_once
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id
from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import Responder
from bot.observability.logs import about
from bot.slack.app_surface import ACCESS, REQUEST_ACCESS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, Message
from bot.views.home import ASK
from bot.views.pagination import read_page_button
from bot.views.replies import cancelled, denied, reply, submitted, voted
from bot.views.request.card import APPROVE, CANCEL, DENY, MORE
from bot.views.request.decision_forms import (
    APPROVE_CALLBACK,
    COMMENT,
    DENY_CALLBACK,
    REASON,
    approve_form,
    deny_form,
    read_decision_form,
)
from bot.views.request.form import CALLBACK, FIELDS, RequestDraft, read_request_form
from bot.views.request.list import HELP, NEWER, OLDER, ListKind
from core.actor import Actor
from core.errors import InvalidInput
from core.request import Request, RequestId
from core.services import RequestService


class RequestInteractions:
    """What Slack sends about requests."""

    def __init__(
        self, responder: Responder, service: RequestService, lists: RequestQueries, directory: SlackDirectory
    ) -> None:
        self._responder = responder
        self._service = service
        self._lists = lists
        self._directory = directory

    def register(self, app: App) -> None:
        """Tell Bolt which payloads are ours."""
        app.command(ACCESS)(self.on_command)
        app.shortcut(REQUEST_ACCESS)(self.on_ask)
        app.action(ASK)(self.on_ask)
        app.view(CALLBACK)(self.on_request_form)
        app.action(APPROVE)(self.on_approve)
        app.action(CANCEL)(self.on_cancel)
        app.action(DENY)(self.on_deny)
        app.view(DENY_CALLBACK)(self.on_deny_form)
        app.action(MORE)(self.on_more)
        app.view(APPROVE_CALLBACK)(self.on_approve_form)
        app.action(OLDER)(self.on_page)
        app.action(NEWER)(self.on_page)

    def on_command(self, ack: Ack, body: Payload, context: Payload) -> None:
        """`/access …`."""
        interaction = read_interaction(body, context)
        typed = parse_once(parse_access, body.get("text"))
        if isinstance(typed, OpenForm):
            self._responder.open_form(ack, interaction, lambda: self._form_for(interaction))
        else:
            self._responder.respond_to_command(ack, interaction, lambda: self._answer(interaction, typed))

    def on_ask(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The global shortcut, or the button in Home."""
        interaction = read_interaction(body, context)
        self._responder.open_form(ack, interaction, lambda: self._form_for(interaction))

    def on_request_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The form was sent. The view's id marks the wish, so that a second delivery asks for nothing new."""
        interaction = read_interaction(body, context)

        def ask() -> Message:
            asked = read_request_form(get_dict(body, "view", "state", "values"))
            return self._submit(interaction, asked, key=interaction.view_id)

        self._responder.respond_to_view(ack, interaction, ask, FIELDS)

    def on_approve(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Approve was pressed."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            with _naming(_pressed_request(action)) as request_id:
                return voted(self._service.approve(request_id, self._actor(interaction)))

        self._responder.respond_to_action(ack, interaction, decide)

    def on_cancel(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Cancel was pressed."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            with _naming(_pressed_request(action)) as request_id:
                return cancelled(self._service.cancel(request_id, self._actor(interaction)))

        self._responder.respond_to_action(ack, interaction, decide)

    def on_deny(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Deny was pressed: ask why. Whether this person may deny is judged when the reason comes."""
        interaction = read_interaction(body, context)
        self._responder.open_form(ack, interaction, lambda: deny_form(_pressed_request(action)))

    def on_more(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Approve with a comment was chosen: ask for it. Whether this person may is judged when it comes."""
        interaction = read_interaction(body, context)
        self._responder.open_form(ack, interaction, lambda: approve_form(_pressed_request(action)))

    def on_deny_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """A denial came with its reason."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            pressed, reason = read_decision_form(get_dict(body, "view"), REASON)
            with _naming(pressed) as request_id:
                return denied(self._service.deny(request_id, self._actor(interaction), reason))

        self._responder.respond_to_view(ack, interaction, decide, (REASON,))

    def on_approve_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """An approval came with its comment."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            pressed, comment = read_decision_form(get_dict(body, "view"), COMMENT)
            with _naming(pressed) as request_id:
                return voted(self._service.approve(request_id, self._actor(interaction), comment))

        self._responder.respond_to_view(ack, interaction, decide, (COMMENT,))

    def on_page(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Older or Newer was pressed under a list."""
        interaction = read_interaction(body, context)

        def turn() -> Message:
            kind, page = read_page_button(
                ListKind, get_str(action, "value"), f"Write {ACCESS} mine or {ACCESS} pending."
            )
            return self._lists.page(kind, self._actor(interaction), page)

        self._responder.respond_with_page(ack, interaction, turn)

    def _answer(self, interaction: Interaction, typed: AccessCommand | InvalidInput) -> Message:
        match typed:
            case InvalidInput() as mistake:
                raise mistake
            case ShowList(kind, page):
                return self._lists.page(kind, self._actor(interaction), page)
            case RequestDraft() as asked:
                # A trigger belongs to one act of one person: the same act delivered twice has the same one.
                return self._submit(interaction, asked, key=interaction.trigger_id, in_channel=True)
            case OpenForm() | ShowHelp():
                return reply(HELP)

    def _submit(
        self, interaction: Interaction, asked: RequestDraft, key: str | None, *, in_channel: bool = False
    ) -> Message:
        person = self._actor(interaction)
        request = self._service.submit(
            person, asked.profile, asked.duration, asked.justification, idempotency_key=key or None
        )
        # A form stands in a modal, from which no other one can be opened.
        return submitted(request, may_declare=in_channel and self._lists.may_declare(person, request.profile))

    def _form_for(self, interaction: Interaction) -> Block:
        # What is at hand is good enough for a form; somebody whom nobody looked up yet is asked for, for a second.
        person = self._directory.known(interaction.user_id) or self._actor(interaction)
        return self._lists.form(person)

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)


@contextmanager
def _naming(request_id: RequestId) -> Iterator[RequestId]:
    """Let whatever is logged while it is decided on name the request."""
    with about(f"{Request.KIND}#{request_id}"):
        yield request_id


def _pressed_request(action: Payload) -> RequestId:
    return RequestId(read_pressed_id(action))

"""Requests in Slack: the command, the shortcut, the form, and the buttons of cards and lists.

Invariant: each listener reads a click and makes one service call, through the desk. What a button means is decided
from the record; the message that it stands in is not even read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slack_bolt import Ack, App

from bot.interactions.commands.access import ListMine, ListPending, parse_access
from bot.interactions.commands.tokens import OpenForm, ShowHelp
from bot.interactions.interaction import Click, read_click, read_pressed_id
from bot.interactions.request_queries import RequestLists
from bot.interactions.responder import Desk
from bot.observability.logs import about
from bot.slack.app_surface import ACCESS, REQUEST_ACCESS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, find_object, find_text
from bot.views.block_kit import Block, Message
from bot.views.home import ASK
from bot.views.pagination import read_turn
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
from bot.views.request.form import CALLBACK, FIELDS, Asked, read_request_form
from bot.views.request.list import HELP, NEWER, OLDER, ListKind
from core.actor import Actor
from core.request import Request, RequestId
from core.services import RequestService


class RequestListeners:
    """What Slack sends about requests."""

    def __init__(self, desk: Desk, service: RequestService, lists: RequestLists, directory: SlackDirectory) -> None:
        self._desk = desk
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
        app.action(OLDER)(self.on_turn)
        app.action(NEWER)(self.on_turn)

    def on_command(self, ack: Ack, body: Payload, context: Payload) -> None:
        """`/access …`."""
        click = read_click(body, context)
        if not (find_text(body, "text") or "").strip():
            self._desk.open_form(ack, click, lambda: self._form_for(click))
        else:
            self._desk.answer_command(ack, click, lambda: self._answer(click, body.get("text")))

    def on_ask(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The global shortcut, or the button in Home."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: self._form_for(click))

    def on_request_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The form was sent. The view's id marks the wish, so that a second delivery asks for nothing new."""
        click = read_click(body, context)

        def ask() -> Message:
            asked = read_request_form(find_object(body, "view", "state", "values"))
            return self._submit(click, asked, key=click.view_id)

        self._desk.answer_form(ack, click, ask, FIELDS)

    def on_approve(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Approve was pressed."""
        click = read_click(body, context)

        def decide() -> Message:
            with _naming(_pressed_request(action)) as request_id:
                return voted(self._service.approve(request_id, self._actor(click)))

        self._desk.answer_press(ack, click, decide)

    def on_cancel(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Cancel was pressed."""
        click = read_click(body, context)

        def decide() -> Message:
            with _naming(_pressed_request(action)) as request_id:
                return cancelled(self._service.cancel(request_id, self._actor(click)))

        self._desk.answer_press(ack, click, decide)

    def on_deny(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Deny was pressed: ask why. Whether this person may deny is judged when the reason comes."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: deny_form(_pressed_request(action)))

    def on_more(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Approve with a comment was chosen: ask for it. Whether this person may is judged when it comes."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: approve_form(_pressed_request(action)))

    def on_deny_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """A denial came with its reason."""
        click = read_click(body, context)

        def decide() -> Message:
            pressed, reason = read_decision_form(find_object(body, "view"), REASON)
            with _naming(pressed) as request_id:
                return denied(self._service.deny(request_id, self._actor(click), reason))

        self._desk.answer_form(ack, click, decide, (REASON,))

    def on_approve_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """An approval came with its comment."""
        click = read_click(body, context)

        def decide() -> Message:
            pressed, comment = read_decision_form(find_object(body, "view"), COMMENT)
            with _naming(pressed) as request_id:
                return voted(self._service.approve(request_id, self._actor(click), comment))

        self._desk.answer_form(ack, click, decide, (COMMENT,))

    def on_turn(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Older or Newer was pressed under a list."""
        click = read_click(body, context)

        def turn() -> Message:
            kind, page = read_turn(ListKind, find_text(action, "value"), f"Write {ACCESS} mine or {ACCESS} pending.")
            return self._lists.page(kind, self._actor(click), page)

        self._desk.turn_page(ack, click, turn)

    def _answer(self, click: Click, text: object) -> Message:
        match parse_access(text):
            case ListMine(page):
                return self._lists.page(ListKind.MINE, self._actor(click), page)
            case ListPending(page):
                return self._lists.page(ListKind.PENDING, self._actor(click), page)
            case Asked() as asked:
                # A trigger belongs to one act of one person: the same act delivered twice has the same one.
                return self._submit(click, asked, key=click.trigger_id, in_channel=True)
            case OpenForm() | ShowHelp():
                return reply(HELP)

    def _submit(self, click: Click, asked: Asked, key: str | None, *, in_channel: bool = False) -> Message:
        person = self._actor(click)
        request = self._service.submit(
            person, asked.profile, asked.duration, asked.justification, idempotency_key=key or None
        )
        # A form stands in a modal, from which no other one can be opened.
        return submitted(request, may_declare=in_channel and self._lists.may_declare(person, request.profile))

    def _form_for(self, click: Click) -> Block:
        # What is at hand is good enough for a form; somebody whom nobody looked up yet is asked for, for a second.
        person = self._directory.known(click.user_id) or self._actor(click)
        return self._lists.form(person)

    def _actor(self, click: Click) -> Actor:
        return self._directory.actor(click.user_id, click.team_id)


@contextmanager
def _naming(request_id: RequestId) -> Iterator[RequestId]:
    """Let whatever is logged while it is decided on name the request."""
    with about(f"{Request.KIND}#{request_id}"):
        yield request_id


def _pressed_request(action: Payload) -> RequestId:
    return RequestId(read_pressed_id(action))

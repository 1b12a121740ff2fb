"""Requests in Slack: the command, the shortcut, the form, and the buttons of cards and lists.

Invariant: each listener reads an interaction and makes one service call, through the responder. What a button means is
decided from the record; the message around it isn't even read. A form to approve is drawn from the record, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from slack_bolt import Ack, App

from bot.interactions.access import AccessInteractions, is_ending
from bot.interactions.commands.access import AccessCommand, ShowNotify, parse_access
from bot.interactions.commands.devices import PairDevice, ShowDevices
from bot.interactions.commands.tokens import OpenForm, ShowHelp, ShowList, parse_once
from bot.interactions.devices import DeviceInteractions
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id
from bot.interactions.naming import naming
from bot.interactions.notify import NotifyInteractions
from bot.interactions.request_lines import RequestLines
from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import FormToOpen, Responder
from bot.slack.app_surface import ACCESS, REQUEST_ACCESS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.asking.on_card import QUESTION
from bot.views.block_kit import Block, Message
from bot.views.help import access_help
from bot.views.home import ASK
from bot.views.pagination import one_of, read_page_button
from bot.views.replies import FORM_NOT_YET, cancelled
from bot.views.request.card import APPROVE, CANCEL, DENY, MORE
from bot.views.request.decision_forms import (
    APPROVE_CALLBACK,
    DENY_CALLBACK,
    REASON,
    approve_form,
    deny_form,
    fields_of,
    read_approve_form,
    read_deny_form,
)
from bot.views.request.form import CALLBACK, NOTHING_BEGUN, BegunRequest, RequestDraft, read_request_form
from bot.views.request.form import fields_of as request_fields_of
from bot.views.request.list import NEWER, OLDER, ListKind
from bot.views.request.replies import denied, voted
from core import mfa
from core.actor import Actor, check_user_id
from core.errors import InvalidInput, NotAllowed
from core.request import RequestId
from core.services import RequestService
from core.services.previews import Previews
from core.services.vote import ApprovalFormNeeded


class RequestInteractions:
    """What Slack sends about requests. `lines` submits what was filled in or typed.

    `access` answers the lines of `/access` that are about open access, `devices` those about terminals, `notify` the
    one about direct messages; `form_to_ask` makes the form to ask a question.
    """

    def __init__(
        self,
        responder: Responder,
        service: RequestService,
        lists: RequestQueries,
        directory: SlackDirectory,
        lines: RequestLines,
        access: AccessInteractions,
        devices: DeviceInteractions,
        previews: Previews,
        form_to_ask: Callable[[Interaction, Payload], FormToOpen],
        notify: NotifyInteractions,
    ) -> None:
        self._notify = notify
        self._previews = previews
        self._form_to_ask = form_to_ask
        self._notify = notify
        self._devices = devices
        self._responder = responder
        self._service = service
        self._lists = lists
        self._directory = directory
        self._lines = lines
        self._access = access

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.command(ACCESS)(self.on_command)
        app.shortcut(REQUEST_ACCESS)(self.on_request)
        app.action(ASK)(self.on_request)
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
        parse = partial(parse_access, is_ticket=self._lists.is_ticket)
        typed = parse_once(parse, body.get("text"), self._lists.profile_names())
        interaction = read_interaction(body, context, is_emergency=is_ending(typed))
        if isinstance(typed, OpenForm | BegunRequest):
            begun = typed if isinstance(typed, BegunRequest) else NOTHING_BEGUN
            self._responder.open_form(ack, interaction, lambda: self._form_for(interaction, begun))
        else:
            self._responder.respond_to_command(ack, interaction, lambda: self._answer(interaction, typed))

    def on_request(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The global shortcut, or the button in Home."""
        interaction = read_interaction(body, context)
        self._responder.open_form(ack, interaction, lambda: self._form_for(interaction))

    def on_request_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The form was submitted. The view's id is the idempotency key: a second delivery requests nothing new."""
        interaction = read_interaction(body, context)

        fields = request_fields_of(get_dict(body, "view"))

        def submit() -> Message | FormToOpen:
            draft = read_request_form(get_dict(body, "view", "state", "values"))
            return self._lines.submit_form(self._actor(interaction), draft, interaction.view_id or None, fields)

        self._responder.respond_to_view(ack, interaction, submit, fields, closes=True)

    def on_approve(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Approve was clicked: decide, or open the form that the rule wants, which decides nothing yet."""
        interaction, pressed_at = read_interaction(body, context), self._responder.now()

        def decide() -> Message | FormToOpen:
            with naming(_request_of(action)) as request_id:
                try:
                    person = self._actor(interaction)
                    return voted(self._service.approve(request_id, person), person.id, pressed_at)
                except ApprovalFormNeeded as needed:
                    return FormToOpen(approve_form(needed.request, needed.needs))

        self._responder.respond_to_action(ack, interaction, decide)

    def on_cancel(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Cancel was clicked."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            with naming(_request_of(action)) as request_id:
                return cancelled(self._service.cancel(request_id, self._actor(interaction)))

        self._responder.respond_to_action(ack, interaction, decide)

    def on_deny(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Deny was clicked: show the request, and ask why, or answer why this person can't deny it."""
        interaction = read_interaction(body, context)

        def show() -> Message | FormToOpen:
            with naming(_request_of(action)) as request_id:
                user, person = check_user_id(interaction.user_id), self._directory.known(interaction.user_id)
                return FormToOpen(deny_form(self._previews.to_deny(request_id, user, person)))

        self._responder.respond_to_action(ack, interaction, show, not_yet=FORM_NOT_YET)

    def on_more(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """An option of a card's menu: show the request as it is recorded, for a comment, less time or a question."""
        interaction, pressed_at = read_interaction(body, context), self._responder.now()

        def show() -> Message | FormToOpen:
            if (get_str(action, "selected_option", "value") or "").startswith(f"{QUESTION}:"):
                return self._form_to_ask(interaction, action)
            with naming(_request_of(action)) as request_id:
                person = self._actor(interaction)
                request, needs = self._lists.to_approve(request_id, person)
                if request.has_approval_by(person.id):
                    # A form would ask for what this vote can't take any more.
                    return voted(request, person.id, pressed_at)
                return FormToOpen(approve_form(request, needs))

        self._responder.respond_to_action(ack, interaction, show)

    def on_deny_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The denial form was submitted."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            pressed_id, reason = read_deny_form(get_dict(body, "view"))
            with naming(pressed_id) as request_id:
                return denied(self._service.deny(request_id, self._actor(interaction), reason))

        self._responder.respond_to_view(ack, interaction, decide, (REASON,), closes=True)

    def on_approve_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The approval form was submitted. What it showed has to be what is recorded."""
        interaction, view, pressed_at = read_interaction(body, context), get_dict(body, "view"), self._responder.now()

        def decide() -> Message | FormToOpen:
            draft, person = read_approve_form(view), self._actor(interaction)
            with naming(draft.request_id) as request_id:
                try:
                    request = self._service.approve(
                        request_id,
                        person,
                        draft.comment,
                        shown=draft.shown,
                        code=draft.code,
                        duration=draft.duration,
                    )
                    return voted(request, person.id, pressed_at)
                except ApprovalFormNeeded as needed:
                    # A form of an older version, which showed nothing: the one that shows the request takes its place.
                    return FormToOpen(approve_form(needed.request, needed.needs, begun=draft.comment))
                except NotAllowed as refusal:
                    if mfa.FIELD not in refusal.unmet or mfa.FIELD in fields_of(view):
                        raise
                    # The rule wants a code since this form was opened.
                    request, needs = self._lists.to_approve(request_id, person)
                    return FormToOpen(approve_form(request, needs, begun=draft.comment, duration=draft.duration))

        self._responder.respond_to_view(ack, interaction, decide, fields_of(view), closes=True)

    def on_page(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Older or Newer was clicked under a list."""
        interaction = read_interaction(body, context)

        def show() -> Message:
            fix = one_of(f"{ACCESS} mine", f"{ACCESS} pending")
            kind, page = read_page_button(ListKind, get_str(action, "value"), fix)
            return self._lists.page(kind, self._actor(interaction), page)

        self._responder.respond_with_page(ack, interaction, show)

    def _answer(self, interaction: Interaction, typed: AccessCommand | InvalidInput) -> Message | FormToOpen:
        match typed:
            case InvalidInput() as mistake:
                raise mistake
            case ShowList(kind, page):
                return self._lists.page(kind, self._actor(interaction), page)
            case RequestDraft() as draft:
                # A trigger belongs to one command of one person: the same command delivered twice has the same one.
                key = interaction.trigger_id or None
                return self._lines.submit(self._actor(interaction), draft, key)
            case ShowNotify():
                return self._notify.answer(interaction)
            case OpenForm() | BegunRequest() | ShowHelp():
                return access_help(self._lists.abilities(self._actor(interaction)))
            case PairDevice() | ShowDevices():
                return self._devices.answer(interaction, typed)
            case _:
                return self._access.answer(interaction, typed)

    def _form_for(self, interaction: Interaction, begun: BegunRequest = NOTHING_BEGUN) -> Block:
        # A cached answer is good enough for a form; a person not looked up yet is looked up now, for a second at most.
        person = self._directory.known(interaction.user_id) or self._actor(interaction)
        return self._lists.form(person, self._lines.begin(person, begun))

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)


def _request_of(action: Payload) -> RequestId:
    return RequestId(read_pressed_id(action))

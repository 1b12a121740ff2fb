"""Break-glass in Slack: the command, the forms, and the buttons of cards and lists.

Invariant: each listener reads an interaction and makes one service call, through the responder. What a button means is
decided from the record; and nobody reads that they have access before the store has confirmed it.
"""

from __future__ import annotations

from contextlib import suppress

from slack_bolt import Ack, App

from bot.interactions.abilities import find_abilities
from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.close_line import CloseLines
from bot.interactions.commands.breakglass import BreakGlassCommand, CloseEvent, parse_break_glass
from bot.interactions.commands.tokens import OpenForm, ShowHelp, ShowList, parse_once
from bot.interactions.declaring import Declaring
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id
from bot.interactions.responder import FormToOpen, Responder
from bot.slack.app_surface import BREAK_GLASS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, Message
from bot.views.break_glass.form import (
    CALLBACK,
    BegunBreakGlass,
    BreakGlassDraft,
    Origin,
    begun_by,
    fields_of,
    read_break_glass_form,
)
from bot.views.break_glass.list import NEWER, OLDER, BreakGlassListKind
from bot.views.break_glass.replies import (
    NOT_DECLARED_YET,
    refuse_other_requester,
)
from bot.views.help import break_glass_help
from bot.views.home import BREAK
from bot.views.pagination import one_of, read_page_button
from bot.views.request.card import DECLARE_INSTEAD
from core.actor import Actor, ChannelId, check_channel_id
from core.break_glass import BreakGlassEvent, EventId
from core.errors import CountersignError, InvalidInput, StoreError
from core.policy import PolicySource
from core.request import Request, RequestId
from core.stores.base import Stores


class BreakGlassInteractions:
    """What Slack sends about break-glass."""

    def __init__(
        self,
        responder: Responder,
        stores: Stores,
        policy: PolicySource,
        lists: BreakGlassQueries,
        directory: SlackDirectory,
        declaring: Declaring,
        closes: CloseLines,
    ) -> None:
        self._declaring = declaring
        self._closes = closes
        self._responder = responder
        self._stores = stores
        self._policy = policy
        self._lists = lists
        self._directory = directory

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.command(BREAK_GLASS)(self.on_command)
        app.action(BREAK)(self.on_break)
        app.action(DECLARE_INSTEAD)(self.on_instead)
        app.view(CALLBACK)(self.on_form)
        app.action(OLDER)(self.on_page)
        app.action(NEWER)(self.on_page)

    def on_command(self, ack: Ack, body: Payload, context: Payload) -> None:
        """`/breakglass …`."""
        interaction, origin = read_interaction(body, context, is_emergency=True), Origin(_read_channel(body))
        typed = parse_once(parse_break_glass, body.get("text"), self._policy.current().document.profiles.keys())
        if isinstance(typed, OpenForm | BegunBreakGlass):
            begun = typed if isinstance(typed, BegunBreakGlass) else None
            self._responder.open_form(ack, interaction, lambda: self._form_for(interaction, origin, begun=begun))
        elif isinstance(typed, BreakGlassDraft) and self._needs_code(interaction, typed.profile):
            # A command line is no place for a code: others could read it while it is still valid.
            self._responder.open_form(
                ack, interaction, lambda: self._form_for(interaction, origin, begun=begun_by(typed))
            )
        else:
            self._responder.respond_to_command(
                ack, interaction, lambda: self._answer(interaction, typed, origin), not_yet=NOT_DECLARED_YET
            )

    def on_break(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The button in Home."""
        interaction = read_interaction(body, context, is_emergency=True)
        self._responder.open_form(ack, interaction, lambda: self._form_for(interaction, Origin()))

    def on_instead(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Break the glass instead: a person can't wait for the approvals of their request."""
        interaction = read_interaction(body, context, is_emergency=True)
        self._responder.open_form(
            ack, interaction, lambda: self._form_instead(interaction, RequestId(read_pressed_id(action)))
        )

    def on_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The form was submitted. The view's id is the idempotency key: a second delivery declares nothing new."""
        interaction, view = read_interaction(body, context, is_emergency=True), get_dict(body, "view")

        def declare() -> Message:
            declaration, code, origin = read_break_glass_form(view)
            person = self._actor(interaction)
            return self._declaring.declare(person, declaration, origin, interaction.view_id, code)

        self._responder.respond_to_view(ack, interaction, declare, fields_of(view), not_yet=NOT_DECLARED_YET)

    def on_page(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """More or Back was clicked under a list."""
        interaction = read_interaction(body, context)

        def show() -> Message:
            fix = one_of(f"{BREAK_GLASS} active", f"{BREAK_GLASS} reviews")
            kind, page = read_page_button(BreakGlassListKind, get_str(action, "value"), fix)
            return self._lists.page(kind, self._actor(interaction), page)

        self._responder.respond_with_page(ack, interaction, show)

    def _answer(
        self, interaction: Interaction, typed: BreakGlassCommand | InvalidInput, origin: Origin
    ) -> Message | FormToOpen:
        match typed:
            case InvalidInput() as mistake:
                raise mistake
            case ShowList(kind, page):
                return self._lists.page(kind, self._actor(interaction), page)
            case CloseEvent():
                return self._closes.close(self._actor(interaction), typed)
            case BreakGlassDraft() as declaration:
                # A trigger belongs to one command of one person: the same command delivered twice has the same one.
                person = self._actor(interaction)
                return self._declaring.declare_line(person, declaration, origin, interaction.trigger_id)
            case OpenForm() | BegunBreakGlass() | ShowHelp():
                return break_glass_help(find_abilities(self._policy, self._directory, self._actor(interaction)))

    def _needs_code(self, interaction: Interaction, profile: str) -> bool:
        """True when this person has to enter a code; for a person not looked up yet, when anybody has to."""
        person = self._directory.known(interaction.user_id)
        if person is None:
            return self._policy.current().may_need_code(profile)
        return self._lists.needs_code(person, profile)

    def _form_for(self, interaction: Interaction, origin: Origin, *, begun: BegunBreakGlass | None = None) -> Block:
        return self._lists.form(self._known(interaction), origin, begun=begun)

    def _form_instead(self, interaction: Interaction, request_id: RequestId) -> Block:
        replaced: Request | None = None
        with suppress(StoreError):
            # Only its justification is used; whether it can be replaced is judged on submission.
            replaced = self._stores.requests.get(request_id)
        person = self._known(interaction)
        if replaced is not None and replaced.requester != person.id:
            refuse_other_requester()
        return self._lists.form(person, Origin(instead_of=request_id), replaced=replaced)

    def _known(self, interaction: Interaction) -> Actor:
        # A cached answer is good enough for a form; a person not looked up yet is looked up now, for a second at most.
        return self._directory.known(interaction.user_id) or self._actor(interaction)

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)


def _read_channel(body: Payload) -> ChannelId | None:
    """The channel it was typed in; None for anything that isn't a channel id, as the declaration matters more."""
    try:
        return check_channel_id(get_str(body, "channel_id"))
    except CountersignError:
        return None


def _event_of(action: Payload) -> EventId:
    return EventId(read_pressed_id(action))


def _chain(event_id: EventId) -> str:
    return f"{BreakGlassEvent.KIND}#{event_id}"

"""Break-glass in Slack: the command, the forms, and the buttons of cards and lists.

Invariant: each listener reads a click and makes one service call, through the desk. What a button means is decided
from the record; and nobody is told that they have access unless the store has said so.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from slack_bolt import Ack, App

from bot.interactions.break_glass_queries import EventLists
from bot.interactions.commands.breakglass import Close, ListActive, ListReviews, parse_break_glass
from bot.interactions.commands.tokens import OpenForm, ShowHelp
from bot.interactions.interaction import Click, read_click, read_pressed_id
from bot.interactions.responder import Desk, note_store_error
from bot.observability.logs import about
from bot.slack.app_surface import BREAK_GLASS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, find_object, find_text
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
from bot.views.break_glass.form import CALLBACK, Declared, Origin, fields_of, read_break_glass_form
from bot.views.break_glass.list import HELP, NEWER, OLDER, BreakGlassListKind
from bot.views.break_glass.replies import NOT_DECLARED_YET, closed, declared, review_recorded, without_store
from bot.views.break_glass.timeline import timeline
from bot.views.home import BREAK
from bot.views.pagination import read_turn
from bot.views.replies import reply
from bot.views.request.card import DECLARE_INSTEAD
from core.actor import Actor, ChannelId, check_channel_id
from core.break_glass import BreakGlassEvent, EventId
from core.errors import CountersignError, InvalidInput, StoreError
from core.policy import PolicySource
from core.request import Request, RequestId
from core.services import BreakGlassService
from core.services.timeline import read_timeline
from core.stores.base import Stores


class BreakGlassListeners:
    """What Slack sends about break-glass."""

    def __init__(
        self,
        desk: Desk,
        service: BreakGlassService,
        stores: Stores,
        policy: PolicySource,
        lists: EventLists,
        directory: SlackDirectory,
    ) -> None:
        self._desk = desk
        self._service = service
        self._stores = stores
        self._policy = policy
        self._lists = lists
        self._directory = directory

    def register(self, app: App) -> None:
        """Tell Bolt which payloads are ours."""
        app.command(BREAK_GLASS)(self.on_command)
        app.action(BREAK)(self.on_break)
        app.action(DECLARE_INSTEAD)(self.on_instead)
        app.view(CALLBACK)(self.on_form)
        app.action(CLOSE)(self.on_close)
        app.view(CLOSE_CALLBACK)(self.on_close_form)
        app.action(REVIEW)(self.on_review)
        app.view(REVIEW_CALLBACK)(self.on_review_form)
        app.action(TIMELINE)(self.on_timeline)
        app.action(OLDER)(self.on_turn)
        app.action(NEWER)(self.on_turn)

    def on_command(self, ack: Ack, body: Payload, context: Payload) -> None:
        """`/breakglass …`."""
        click, channel = read_click(body, context), _read_channel(body)
        typed = None
        with suppress(InvalidInput):
            # A mistake is answered with the rest, below.
            typed = parse_break_glass(body.get("text"))
        if isinstance(typed, OpenForm):
            self._desk.open_form(ack, click, lambda: self._form_for(click, Origin(channel)))
        elif isinstance(typed, Declared) and self._needs_code(click, typed.profile):
            # A line has no place for a code: others may read it over somebody's shoulder for as long as it counts.
            self._desk.open_form(ack, click, lambda: self._form_for(click, Origin(channel), begun=typed))
        else:
            self._desk.answer_command(
                ack, click, lambda: self._answer(click, body.get("text"), channel), not_yet=NOT_DECLARED_YET
            )

    def on_break(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The button in Home."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: self._form_for(click, Origin()))

    def on_instead(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Somebody cannot wait for the approvals of their request."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: self._form_instead(click, RequestId(read_pressed_id(action))))

    def on_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The form was sent. The view's id marks the declaration, so that a second delivery declares nothing new."""
        click, view = read_click(body, context), find_object(body, "view")

        def declare() -> Message:
            wish, code, origin = read_break_glass_form(view)
            return self._declare(click, wish, origin, key=click.view_id, code=code)

        self._desk.answer_form(ack, click, declare, fields_of(view), not_yet=NOT_DECLARED_YET)

    def on_close(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Close was pressed: ask how it ended. Whether this person may close it is judged when that comes."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: close_form(_pressed_event(action)))

    def on_close_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """A close came with its reason."""
        click = read_click(body, context)

        def close() -> Message:
            event_id, reason = read_close_form(find_object(body, "view"))
            with about(_chain(event_id)):
                return closed(self._service.close(event_id, self._actor(click), reason))

        self._desk.answer_form(ack, click, close, CLOSE_FIELDS)

    def on_review(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Review was pressed: ask what was found. Whether this person may review it is judged when that comes."""
        click = read_click(body, context)
        self._desk.open_form(ack, click, lambda: review_form(_pressed_event(action)))

    def on_review_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """A review came."""
        click = read_click(body, context)

        def review() -> Message:
            event_id, found = read_review_form(find_object(body, "view"))
            with about(_chain(event_id)):
                event = self._service.review(event_id, self._actor(click), found.verdict, found.notes, found.follow_up)
                return review_recorded(event)

        self._desk.answer_form(ack, click, review, REVIEW_FIELDS)

    def on_timeline(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Timeline was pressed."""
        click = read_click(body, context)

        def show() -> Message:
            return timeline(read_timeline(self._stores, self._policy, _pressed_event(action), self._actor(click)))

        self._desk.answer_press(ack, click, show)

    def on_turn(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """More or Back was pressed under a list."""
        click = read_click(body, context)

        def turn() -> Message:
            fix = f"Write {BREAK_GLASS} active or {BREAK_GLASS} reviews."
            kind, page = read_turn(BreakGlassListKind, find_text(action, "value"), fix)
            return self._lists.page(kind, self._actor(click), page)

        self._desk.turn_page(ack, click, turn)

    def _answer(self, click: Click, text: object, channel: ChannelId | None) -> Message:
        match parse_break_glass(text):
            case ListActive(page):
                return self._lists.page(BreakGlassListKind.ACTIVE, self._actor(click), page)
            case ListReviews(page):
                return self._lists.page(BreakGlassListKind.REVIEWS, self._actor(click), page)
            case Close(event_id, reason):
                with about(_chain(event_id)):
                    return closed(self._service.close(event_id, self._actor(click), reason))
            case Declared() as wish:
                # A trigger belongs to one act of one person: the same act delivered twice has the same one.
                return self._declare(click, wish, Origin(channel), key=click.trigger_id)
            case OpenForm() | ShowHelp():
                return reply(HELP)

    def _declare(
        self, click: Click, wish: Declared, origin: Origin, *, key: str | None, code: str | None = None
    ) -> Message:
        def invoke() -> BreakGlassEvent:
            return self._service.invoke(
                self._actor(click),
                wish.profile,
                wish.reason_code,
                wish.justification,
                wish.duration,
                code=code,
                instead_of=origin.instead_of,
                declared_in=origin.channel,
                idempotency_key=key or None,
            )

        return self._or_without_store(wish.profile, lambda: declared(invoke()))

    def _or_without_store(self, profile: str, declare: Callable[[], Message]) -> Message:
        try:
            return declare()
        except StoreError as error:
            note_store_error(error)
            return without_store(error, self._policy.current().fallbacks_for(profile))

    def _needs_code(self, click: Click, profile: str) -> bool:
        """Whether this person has to type a code; of somebody who is not known yet, whether anybody has to."""
        person = self._directory.known(click.user_id)
        if person is None:
            return self._policy.current().may_need_code(profile)
        return self._lists.needs_code(person, profile)

    def _form_for(self, click: Click, origin: Origin, *, begun: Declared | None = None) -> Block:
        return self._lists.form(self._known(click), origin, begun=begun)

    def _form_instead(self, click: Click, request_id: RequestId) -> Block:
        replaced: Request | None = None
        with suppress(StoreError):
            # Only its words are taken from it; whether it can be replaced is judged when the form comes.
            replaced = self._stores.requests.get(request_id)
        person = self._known(click)
        if replaced is not None and replaced.requester != person.id:
            raise InvalidInput(
                "request",
                "only the requester can replace a request by break-glass",
                f"To declare it yourself, type {BREAK_GLASS}.",
            )
        return self._lists.form(person, Origin(instead_of=request_id), replaced=replaced)

    def _known(self, click: Click) -> Actor:
        # What is at hand is good enough for a form; somebody whom nobody looked up yet is asked for, for a second.
        return self._directory.known(click.user_id) or self._actor(click)

    def _actor(self, click: Click) -> Actor:
        return self._directory.actor(click.user_id, click.team_id)


def _read_channel(body: Payload) -> ChannelId | None:
    """Where it was typed. What is no channel's id is nowhere: the declaration is worth more than its place."""
    try:
        return check_channel_id(find_text(body, "channel_id"))
    except CountersignError:
        return None


def _pressed_event(action: Payload) -> EventId:
    return EventId(read_pressed_id(action))


def _chain(event_id: EventId) -> str:
    return f"{BreakGlassEvent.KIND}#{event_id}"

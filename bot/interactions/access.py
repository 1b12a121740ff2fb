"""Open access in Slack: "I'm done", Extend, and `/access end`, `extend`, `revoke` and `live`.

Invariant: each listener reads an interaction and makes one service call, through the responder; what it means is
decided from the record. Ending has right of way, like closing break-glass. Extending requests nothing: it opens a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from slack_bolt import Ack, App

from bot.interactions.access_queries import AccessQueries
from bot.interactions.commands.open_access import (
    EndAccess,
    ExtendAccess,
    NamedAccess,
    OpenAccessCommand,
    RevokeAccess,
    RevokePerson,
    ShowLive,
)
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id, read_pressed_source
from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import FormToOpen, Responder
from bot.interactions.timeline_queries import TimelineQueries
from bot.observability.logs import about
from bot.slack.app_surface import ACCESS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_str
from bot.views.access.buttons import END_ACCESS, EXTEND_ACCESS
from bot.views.access.choice import RevokedAccess, no_access_named, nothing_to_extend, person_revoked
from bot.views.access.list import NEWER, OLDER, AccessListKind
from bot.views.access.replies import (
    access_ended,
    access_revoked,
    cannot_extend,
    nothing_to_end,
    nothing_to_revoke,
)
from bot.views.block_kit import Message, code
from bot.views.break_glass.replies import closed
from bot.views.pagination import one_of, read_page_button
from bot.views.replies import reply
from bot.views.request.card import TIMELINE
from bot.views.request.form import BegunRequest
from bot.views.timeline import request_timeline
from core.actor import Actor
from core.break_glass import BreakGlassEvent
from core.duration import format_duration
from core.errors import InvalidInput, StoreError
from core.request import Request, RequestId
from core.services.grants import GrantService


def is_ending(typed: object) -> bool:
    """True for a command that ends access: it has right of way."""
    return isinstance(typed, EndAccess | RevokeAccess | RevokePerson)


class AccessInteractions:
    """What Slack sends about open access."""

    def __init__(
        self,
        responder: Responder,
        service: GrantService,
        lists: AccessQueries,
        requests: RequestQueries,
        directory: SlackDirectory,
        timelines: TimelineQueries,
    ) -> None:
        self._timelines = timelines
        self._responder = responder
        self._service = service
        self._lists = lists
        self._requests = requests
        self._directory = directory

    def register(self, app: App) -> None:
        """Register our listeners with Bolt. RequestInteractions hands on the lines of `/access` that are ours."""
        app.action(END_ACCESS)(self.on_end)
        app.action(EXTEND_ACCESS)(self.on_extend)
        app.action(TIMELINE)(self.on_timeline)
        app.action(OLDER)(self.on_page)
        app.action(NEWER)(self.on_page)

    def on_end(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """The button "I'm done" was clicked."""
        interaction = read_interaction(body, context, is_emergency=True)
        self._responder.respond_to_action(
            ack, interaction, lambda: self._end_source(read_pressed_source(action), self._actor(interaction))
        )

    def on_extend(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Extend was clicked: open the form, filled in from the record."""
        interaction = read_interaction(body, context)

        def show() -> Message | FormToOpen:
            # Not from the lists: these may lag, and the button names a record.
            source, person = read_pressed_source(action), self._actor(interaction)
            return self._extend_source(source, person, ExtendAccess(NamedAccess(sources=(source,))))

        self._responder.respond_to_action(ack, interaction, show)

    def on_timeline(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Timeline was clicked on the card of a request."""
        interaction = read_interaction(body, context)

        def show() -> Message:
            request_id = RequestId(read_pressed_id(action))
            with about(f"{Request.KIND}#{request_id}"):
                return request_timeline(self._timelines.of_request(request_id, self._actor(interaction)))

        self._responder.show(ack, interaction, show)

    def on_page(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """More or Back was clicked under the list of live access."""
        interaction = read_interaction(body, context)

        def show() -> Message:
            kind, page = read_page_button(AccessListKind, get_str(action, "value"), one_of(f"{ACCESS} live"))
            return self._lists.page(kind, self._actor(interaction), page)

        self._responder.respond_with_page(ack, interaction, show)

    def answer(self, interaction: Interaction, typed: OpenAccessCommand) -> Message | FormToOpen:
        """What a line of `/access` comes to."""
        person = self._actor(interaction)
        match typed:
            case ShowLive(page):
                return self._lists.page(AccessListKind.LIVE, person, page)
            case EndAccess(named):
                return self._end_named(named, person)
            case ExtendAccess():
                return self._extend_named(typed, person)
            case RevokeAccess(sources, reason):
                return self._revoke_source(sources, person, reason)
            case RevokePerson():
                return self._revoke_person(typed, person)

    def _end_named(self, named: NamedAccess, person: Actor) -> Message:
        found = self._lists.own(person).matching(named)
        match found.sources:
            case ():
                if (other := self._lists.find(named.sources)) is not None:
                    # Somebody else's, or over: the service says which, and notes a refusal.
                    return self._end_source(other, person)
                return nothing_to_end() if named.is_empty else no_access_named(_written(named))
            case (source,):
                return self._end_source(source, person)
        return self._lists.which("Which access are you done with?", found, f"{ACCESS} end")

    def _end_source(self, source: str, person: Actor) -> Message:
        with about(source):
            access = self._lists.summarize(self._service.end(source, person))
            # Nothing that is read from now on may deny what was committed.
            return access_ended(access) if access is not None else self._closed(source)

    def _extend_named(self, typed: ExtendAccess, person: Actor) -> Message | FormToOpen:
        found = self._lists.own(person).matching(typed.named)
        extendable = found.extendable()
        if len(extendable.sources) == 1:
            return self._extend_source(extendable.sources[0], person, typed)
        if not extendable.sources:
            access = next(iter(found.accesses), None)
            if access is not None:
                return cannot_extend(access)
            return nothing_to_extend(typed.named.profile if not typed.named.sources else None, _words(typed))
        if typed.duration is not None or typed.justification:
            # A choice by buttons would lose what was typed; the form asks for the profile, too.
            return FormToOpen(self._requests.form(person, BegunRequest((), typed.duration, typed.justification)))
        return self._lists.which("Which access do you need for longer?", extendable, f"{ACCESS} extend")

    def _extend_source(self, source: str, person: Actor, typed: ExtendAccess) -> Message | FormToOpen:
        with about(source):
            record = self._lists.get(source)
            if record.person not in self._lists.ids_of(person):
                _refuse_other(record.profile)
            access = self._lists.summary(record)
            if not isinstance(record, Request) or access is None or not access.may_extend:
                return cannot_extend(access)
            begun = BegunRequest(
                (record.profile,), typed.duration, typed.justification, extended=record, until=access.until
            )
            return FormToOpen(self._requests.form(person, begun))

    def _revoke_source(self, sources: tuple[str, ...], person: Actor, reason: str) -> Message:
        source = self._lists.find(sources)
        if source is None:
            record_id = sources[0].rpartition("#")[2]
            fix = f"Copy the id from the card, or from the list:\n{code(f'{ACCESS} live')}"
            raise InvalidInput("id", f"there is no request or break-glass event with the id `{record_id}`", fix)
        with about(source):
            access = self._lists.summarize(self._service.revoke(source, person, reason))
            if access is None:
                return self._closed(source)
            # People are not notified of what they end themselves.
            is_own = access.grantee in self._lists.ids_of(person)
            return access_ended(access) if is_own else access_revoked([access], access.grantee)

    def _revoke_person(self, typed: RevokePerson, person: Actor) -> Message:
        ends = self._service.revoke_person(typed.person, person, typed.reason)
        profiles: Mapping[str, str] = {}
        with suppress(StoreError):
            profiles = self._lists.profiles((*ends.ended, *(each.source for each in ends.failed)))
        outcomes = [RevokedAccess(each, profiles.get(each)) for each in ends.ended]
        outcomes += [RevokedAccess(each.source, profiles.get(each.source), each.problem) for each in ends.failed]
        return person_revoked(typed.person, outcomes) if outcomes else nothing_to_revoke(typed.person)

    def _closed(self, source: str) -> Message:
        """What ending an event without access has done."""
        with suppress(StoreError):
            if isinstance(event := self._lists.get(source), BreakGlassEvent):
                return closed(event)
        return reply("Ended.")

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)


def _written(named: NamedAccess) -> str:
    """What was typed, for a reply."""
    return named.profile or named.sources[0].rpartition("#")[2]


def _words(typed: ExtendAccess) -> str:
    """The duration and the justification as a person would type them for a new request."""
    if typed.duration is None and not typed.justification:
        return ""
    return f"{format_duration(typed.duration) if typed.duration is not None else '2h'} {typed.justification}".strip()


def _refuse_other(profile: str) -> NoReturn:
    fix = f"To request it for yourself, send:\n{code(ACCESS)}"
    raise InvalidInput("button", f"this access to {code(profile)} is somebody else's, and only they can extend it", fix)

"""Lines of /breakglass that need a second look: which event to close, and what to do about a refused declaration.

Invariant: without an id, only an event of the person who typed is closed, and only if it is their single live one.
Whether they may close it is judged before what they wrote; a reason that is missing or too short opens the form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.commands.breakglass import CloseEvent
from bot.interactions.responder import FormToOpen
from bot.observability.logs import about
from bot.slack.app_surface import BREAK_GLASS
from bot.views.block_kit import Message
from bot.views.break_glass.close_line import nothing_to_close, which_to_close
from bot.views.break_glass.follow_up_forms import close_form
from bot.views.break_glass.form import BreakGlassDraft, Origin, begun_by
from bot.views.break_glass.replies import closed
from bot.views.inputs import fill_in
from bot.views.too_long import is_about_duration, too_long
from core.actor import Actor
from core.break_glass import MAX_DURATION, REASON_LENGTH, BreakGlassEvent, EventId
from core.clock import Clock
from core.directory import Directory
from core.duration import format_duration
from core.errors import InvalidInput, NotAllowed
from core.policy import PolicySource
from core.services import BreakGlassService
from core.services.membership import Judging
from core.stores.base import BreakGlassStore
from core.stores.record_store import iterate_newest_first
from core.text import clean_text


class EventLines:
    """Answers the lines that close an event, and those that declare one but can't."""

    def __init__(
        self,
        service: BreakGlassService,
        store: BreakGlassStore,
        policy: PolicySource,
        clock: Clock,
        directory: Directory,
        lists: BreakGlassQueries,
    ) -> None:
        self._lists = lists
        self._service = service
        self._store = store
        self._policy = policy
        self._clock = clock
        self._directory = directory

    def declare(
        self, draft: BreakGlassDraft, person: Actor, origin: Origin, declare: Callable[[], Message]
    ) -> Message | FormToOpen:
        """Declare what was typed. Too long: offer the line with the longest time. Another reason needed: the form."""
        try:
            return declare()
        except NotAllowed as refusal:
            longest = self._lists.longest(person, draft.profile) if is_about_duration(refusal) else None
            if longest is not None and longest < draft.duration:
                words = (draft.profile, draft.reason_code, format_duration(longest), draft.justification)
                return too_long(refusal, BREAK_GLASS, *words, now=self._clock.now(), reader=person.id)
            if tuple(refusal.unmet) != ("reason",):
                raise
            begun = replace(begun_by(draft), reason_code=None, unread=(draft.reason_code,))
            return FormToOpen(self._lists.form(person, origin, begun=begun))

    def close(self, person: Actor, typed: CloseEvent) -> Message | FormToOpen:
        """Close the event that is meant, or ask for what is missing. Raises what closing raises."""
        if typed.event_id is not None:
            return self._close(typed.event_id, person, typed.reason)
        live = self._own_live(person, typed.profile)
        if len(live) == 1:
            return self._close(EventId(live[0].id), person, typed.reason)
        return which_to_close(live, typed.reason) if live else nothing_to_close(typed.profile)

    def _close(self, event_id: EventId, person: Actor, reason: str) -> Message | FormToOpen:
        with about(f"{BreakGlassEvent.KIND}#{event_id}"):
            try:
                clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])
            except InvalidInput:
                event = self._may_close(event_id, person)
                return FormToOpen(fill_in(close_form(EventId(event.id)), "reason", reason))
            return closed(self._service.close(event_id, person, reason))

    def _may_close(self, event_id: EventId, person: Actor) -> BreakGlassEvent:
        """The event, if this person may close it now. Raises as closing it would."""
        people = Judging(self._policy.current(), self._directory)
        event = people.noting(self._store.get_with_notes(event_id))
        people.judge_close(event, person).require()
        event.close(person.id, self._clock.now(), "asked for in the form")
        return event

    def _own_live(self, person: Actor, profile: str | None) -> list[BreakGlassEvent]:
        now = self._clock.now()
        listed = [
            event
            for each in self._policy.current().ids_of(person.id)
            for event in iterate_newest_first(self._store, "invoker", each, now - MAX_DURATION)
            if profile in {None, event.profile} and event.is_granting(now)
        ]
        # The list may be older than the records.
        current = {event.id: event for event in self._store.get_each([event.id for event in listed])} if listed else {}
        return [event for each in listed if (event := current.get(each.id)) is not None and event.is_granting(now)]

"""`/breakglass close …`: which event is meant, and whether what was typed is enough to close it.

Invariant: without an id, only an event of the person who typed is closed, and only if it is their single live one.
Whether they may close it is judged before what they wrote; a reason that is missing or too short opens the form.
"""

from __future__ import annotations

from bot.interactions.commands.breakglass import CloseEvent
from bot.interactions.responder import FormToOpen
from bot.observability.logs import about
from bot.views.block_kit import Message
from bot.views.break_glass.close_line import nothing_to_close, which_to_close
from bot.views.break_glass.follow_up_forms import close_form
from bot.views.break_glass.replies import closed
from bot.views.inputs import fill_in
from core.actor import Actor
from core.break_glass import MAX_DURATION, REASON_LENGTH, BreakGlassEvent, EventId
from core.clock import Clock
from core.directory import Directory
from core.errors import InvalidInput
from core.policy import PolicySource
from core.services import BreakGlassService
from core.services.membership import Judging
from core.stores.base import BreakGlassStore
from core.stores.record_store import iterate_newest_first
from core.text import clean_text


class CloseLines:
    """Answers the lines that close an event. Safe for threads."""

    def __init__(
        self,
        service: BreakGlassService,
        store: BreakGlassStore,
        policy: PolicySource,
        clock: Clock,
        directory: Directory,
    ) -> None:
        self._service = service
        self._store = store
        self._policy = policy
        self._clock = clock
        self._directory = directory

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
                return FormToOpen(fill_in(close_form(event), "reason", reason))
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

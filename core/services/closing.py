"""Close an event before its time: judge who closes it, and commit its end with the end of its access.

Invariant: the event and its grants end in one transaction. One read and one write; one read more for an event that gave
rights. A grant that can't be read keeps no event open: it is named in the entry.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import JsonValue

from core.access.grant import Grant
from core.actor import Actor, DeciderId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.policy import Decision
from core.services.granting import end_early, observe
from core.services.membership import Judging
from core.services.observer import Observer
from core.services.open_access import read_grants, unread_details
from core.services.use_case import acting_as
from core.stores.access import GrantWrite
from core.stores.base import Stores

MayClose = Callable[[BreakGlassEvent], Decision | None]
"""Judges whether somebody may close an event; None where nobody has to be judged."""


class Closing:
    """One person's close of an event, in one use case. Not safe for threads."""

    def __init__(
        self, stores: Stores, observer: Observer, people: Judging, closer: Actor, reason: str, may_close: MayClose
    ) -> None:
        self._stores = stores
        self._observer = observer
        self._people = people
        self._closer = closer
        self._reason = reason
        self._may_close = may_close
        self._grants: tuple[Grant, ...] = ()
        self._ended: tuple[GrantWrite, ...] = ()

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """The event, with the notes of the directory and, while it is active, its grants."""
        event = self._people.noting(self._stores.break_glass.get_with_notes(event_id))
        self._ended, self._grants = (), ()
        if event.status is EventStatus.ACTIVE:
            self._grants = read_grants(self._stores, event)
        return event

    def judge(self, event: BreakGlassEvent, now: datetime) -> tuple[BreakGlassEvent, EntryDraft]:
        """The event as this person closes it, with its entry. Raises like BreakGlassService.close."""
        details: dict[str, JsonValue] = {"reason": self._reason}
        if event.status is EventStatus.ACTIVE:
            decision = self._may_close(event)
            if decision is not None:
                decision.require()
                details |= decision.to_details()
        # The other id of the invoker closes as the invoker, or it would close without a cooldown.
        own = event.invoker in self._people.policy.ids_of(self._closer.id)
        by, using = (event.invoker, acting_as(self._closer.id, event.invoker)) if own else (self._closer.id, {})
        closed = event.close(by, now, self._reason)
        if closed is not event:
            self._ended = end_early(self._grants, DeciderId(by), now, self._reason, using)
            details |= unread_details(event, self._grants)
        return closed, EntryDraft.of(closed, AuditAction.BREAK_GLASS_CLOSED, by, details | using)

    def update(self, event: BreakGlassEvent, entry: EntryDraft) -> BreakGlassEvent:
        """Store the close, and the end of the access with it."""
        ended = self._ended if entry.event is AuditAction.BREAK_GLASS_CLOSED else ()
        updated = self._stores.break_glass.update(event, entry, ended=ended)
        observe(ended, self._observer)
        return updated

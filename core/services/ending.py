"""End the access of one decision before its time: all of its grants at once, and an active event with them.

Invariant: what is ended was read last. When the reconciler or somebody else was quicker, all is read and judged again.
Access that has ended is answered with who ended it and when; the person who ended it gets the same answer again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from core.access.grant import SOURCE_PATTERN, Grant, GrantStatus
from core.actor import CLOCK, Actor, DeciderId, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.clock import Clock, is_trusted
from core.errors import InvalidInput, InvalidStateTransition, StoreUnavailable
from core.policy import Decision
from core.request import Request, RequestId, RequestStatus
from core.services.closing import Closing
from core.services.granting import end_early, grant_ids_of, is_open, observe
from core.services.membership import Judging
from core.services.observer import Observer
from core.services.open_access import read_grants, unread_details
from core.services.pacing import Pacing
from core.services.use_case import (
    AuditedAttempt,
    ChangeRunner,
    acting_as,
    audit_refusals,
    reading_again_if_decided,
    retry_on_conflict,
)
from core.stores.base import Stores

GivesAccess = Request | BreakGlassEvent
"""What access rests on: a decision."""
ENDED: Final = "ended"
NO_ACCESS: Final = "it gave no access"
DECISION_ONLY: Final = "Countersign doesn't open access to this profile, so it can't end it either"
NO_TIME_LEFT: Final = "its time has passed"
NEVER_OPENED: Final = "it could not be opened"


class _NotActive(Exception):
    """The event isn't active, or not any more: its grants are all that is left to end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Who ends access, and why. `actor` is None for the clock.

    `judge` says whether they may, raises NotAllowed, or gives None where no rule has to be asked.
    """

    actor: Actor | None
    reason: str
    people: Judging
    judge: Callable[[GivesAccess], Decision | None]

    def decider(self, person: UserId) -> tuple[DeciderId, dict[str, JsonValue]]:
        """As whom the end is recorded, and what the entry adds: another id of the person acts as the person."""
        if self.actor is None:
            return CLOCK, {}
        if person in self.people.policy.ids_of(self.actor.id):
            return DeciderId(person), acting_as(self.actor.id, person)
        return DeciderId(self.actor.id), {}


def parse_source(source: str) -> RequestId | EventId:
    """The id that the name of a decision's chain has. Raises InvalidInput."""
    if not re.fullmatch(SOURCE_PATTERN, source):
        fix = "It looks like REQUEST#0123456789abcdef or BREAKGLASS#0123456789abcdef."
        raise InvalidInput("decision", f"{source!r:.60} does not name one", fix)
    return RequestId(source.partition("#")[2])


def read_source(stores: Stores, source: str, people: Judging) -> GivesAccess:
    """The record of a decision. Raises InvalidInput, RequestNotFound, EventNotFound, MalformedRecord."""
    record_id = parse_source(source)
    if is_event(source):
        return people.noting(stores.break_glass.get_with_notes(EventId(record_id)))
    return people.noting(stores.requests.get_with_notes(RequestId(record_id)))


def is_event(source: str) -> bool:
    """True when the decision is a break-glass event."""
    return source.startswith(f"{BreakGlassEvent.KIND}#")


class EarlyEnds:
    """Ends the access of decisions. Safe for threads."""

    def __init__(self, stores: Stores, clock: Clock, observer: Observer, pacing: Pacing) -> None:
        self._stores = stores
        self._clock = clock
        self._observer = observer
        self._pacing = pacing

    def end(self, source: str, ending: Ending, attempt: AuditedAttempt | None) -> tuple[Grant, ...]:
        """End it, and return its grants. Raises like GrantService.end; a refusal of an attempt is audited."""
        record_id = parse_source(source)
        if is_event(source) and ending.actor is not None and attempt is not None:
            with suppress(_NotActive):
                return self._close(EventId(record_id), ending.actor, ending, attempt)
        audited = (
            audit_refusals(attempt, self._stores.refusals, self._observer) if attempt is not None else nullcontext()
        )
        with audited:
            return retry_on_conflict(lambda: self._end_grants(source, ending, attempt), self._observer, self._pacing)

    def _close(self, event_id: EventId, closer: Actor, ending: Ending, attempt: AuditedAttempt) -> tuple[Grant, ...]:
        """Close an active event with its grants. Raises _NotActive when it has ended."""
        closing = Closing(self._stores, self._observer, ending.people, closer, ending.reason, ending.judge)

        def judge(event: BreakGlassEvent, now: datetime) -> tuple[BreakGlassEvent, EntryDraft]:
            if event.status is not EventStatus.ACTIVE:
                raise _NotActive
            return closing.judge(event, now)

        refusals, expired = self._stores.refusals, AuditAction.BREAK_GLASS_EXPIRED
        changes = ChangeRunner(closing.update, expired, refusals, self._clock, self._observer, self._pacing)
        closed = changes.run(attempt, lambda: closing.get(event_id), judge, ends=True)
        return read_grants(self._stores, closed)

    def _end_grants(self, source: str, ending: Ending, attempt: AuditedAttempt | None) -> tuple[Grant, ...]:
        record = read_source(self._stores, source, ending.people)
        if attempt is not None:
            attempt.record = record
        grants, now = read_grants(self._stores, record), self._clock.now()
        by, using = ending.decider(record.person)
        if not any(is_open(grant, now) for grant in grants):
            if _has_ended_it(record, grants, by):
                return grants
            raise self._explain(record, grants)
        decision = ending.judge(record)
        details = using | unread_details(record, grants)
        if decision is not None:
            decision.require()
            details |= decision.to_details()
        writes = end_early(grants, by, now, ending.reason, details)
        with reading_again_if_decided(record):
            stored = {grant.id: grant for grant in self._stores.access.end(writes)}
        observe(writes, self._observer)
        return tuple(stored.get(grant.id, grant) for grant in grants)

    def _explain(self, record: GivesAccess, grants: Sequence[Grant]) -> InvalidStateTransition | StoreUnavailable:
        """Why there is nothing to end: who ended it and when, or that it gave nothing.

        Raises MalformedRecord, GrantNotFound when that can't be said.
        """
        early = [grant.ended_early for grant in grants if grant.ended_early is not None]
        if early:
            last = max(early, key=lambda each: each.at)
            return InvalidStateTransition(record.chain, ENDED, ENDED, decided_by=last.by, decided_at=last.at)
        if grants and all(grant.status is GrantStatus.FAILED for grant in grants):
            return InvalidStateTransition(record.chain, GrantStatus.FAILED, ENDED, reason=NEVER_OPENED)
        if grants and not is_trusted(self._clock):
            return StoreUnavailable("this instance's clock is off; nothing was recorded")
        if grants:
            ends_at = max(grant.ends_at for grant in grants)
            return InvalidStateTransition(record.chain, ENDED, ENDED, decided_at=ends_at, reason=NO_TIME_LEFT)
        gave_access = record.state in {RequestStatus.APPROVED, *EventStatus}
        if gave_access and record.rights:
            # They are there and can't be read, or are gone: the store says which.
            self._stores.access.get(grant_ids_of(record)[0])
        by, at = record.ended_by
        why = DECISION_ONLY if gave_access else NO_ACCESS
        return InvalidStateTransition(record.chain, record.state, ENDED, decided_by=by, decided_at=at, reason=why)


def _has_ended_it(record: GivesAccess, grants: Sequence[Grant], by: DeciderId) -> bool:
    """True when this person ended the access already: they get the same answer."""
    if isinstance(record, BreakGlassEvent) and not grants:
        return record.closed_by is not None and DeciderId(record.closed_by) == by
    return any(grant.ended_early is not None and grant.ended_early.by == by for grant in grants)

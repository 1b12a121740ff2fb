"""What a form shows before somebody decides: the record, judged as the decision itself will be.

Invariant: nothing is decided here, and everything is judged again when the form comes back. A refusal is noted like one
of the decision. A person who isn't known yet gets the form: to look them up takes longer than a form has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from core.actor import Actor, UserId
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.clock import Clock
from core.directory import Directory
from core.errors import InvalidStateTransition, NotKnown
from core.policy import PolicySource
from core.policy.decision import Decision
from core.request import Request, RequestId, RequestStatus
from core.review import Verdict
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.use_case import AuditedAttempt, audit_refusals
from core.stores.base import Stores

_SAID: Final = "not decided yet"
"""In place of what the person will type; it is never stored."""


class Previews:
    """Reads what forms show. Safe for threads. Raises like the decision: NotFound, NotAllowed, InvalidStateTransition.

    `person` is None while they aren't known yet.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        directory: Directory,
        observer: Observer | None = None,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._directory = directory
        self._observer = observer or Unobserved()

    def to_deny(self, request_id: RequestId, user: UserId, person: Actor | None) -> Request:
        """A request that this person can deny."""
        people = self._judging()
        with self._noting(AuditAction.DENY_REFUSED, user, person) as attempt:
            request = people.noting(self._stores.requests.get_with_notes(request_id))
            attempt.record = request
            if request.status is not RequestStatus.PENDING or request.is_overdue(self._clock.now()):
                denied = request.deny(user, self._clock.now(), _SAID)
                raise _done_already(denied, denied.approver, denied.decided_at)
            _require(person, lambda known: people.judge_decider("deny", request, known, self._clock.now()))
            request.deny(user, self._clock.now(), _SAID)
        return request

    def to_close(self, event_id: EventId, user: UserId, person: Actor | None) -> BreakGlassEvent:
        """An event that this person can close."""
        people = self._judging()
        with self._noting(AuditAction.CLOSE_REFUSED, user, person) as attempt:
            event = people.noting(self._stores.break_glass.get_with_notes(event_id))
            attempt.record = event
            _require(person, lambda known: people.judge_close(event, known))
            event.close(user, self._clock.now(), _SAID)
            if event.status is EventStatus.CLOSED:
                raise _done_already(event, event.closed_by, event.closed_at)
        return event

    def to_review(self, event_id: EventId, user: UserId, person: Actor | None) -> BreakGlassEvent:
        """An event that this person can review."""
        people = self._judging()
        with self._noting(AuditAction.REVIEW_REFUSED, user, person) as attempt:
            event = people.noting(self._stores.break_glass.get_with_notes(event_id))
            attempt.record = event
            _require(person, lambda known: people.judge_review(event, known))
            event.add_review(user, self._clock.now(), Verdict.JUSTIFIED, _SAID)
            if event.review is not None:
                raise _done_already(event, event.review.reviewer, event.review.at, "reviewed")
        return event

    @contextmanager
    def _noting(self, refused: AuditAction, user: UserId, person: Actor | None) -> Iterator[AuditedAttempt]:
        attempt = AuditedAttempt(refused, person or Actor(id=user))
        if person is None:
            # Nobody has confirmed yet who this is; the decision itself notes it.
            yield attempt
            return
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            yield attempt

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)


def _require(person: Actor | None, judge: Callable[[Actor], Decision]) -> None:
    """Raises NotAllowed when the person may not; what isn't known yet is judged when the form comes back."""
    if person is None:
        return
    try:
        judge(person).require()
    except NotKnown:
        return


def _done_already(
    record: Request | BreakGlassEvent, by: str | None, at: datetime | None, status: str | None = None
) -> InvalidStateTransition:
    """This person did it before: there is nothing left to fill in a form for."""
    state = status or str(record.state)
    return InvalidStateTransition(record.chain, state, state, decided_by=by, decided_at=at)

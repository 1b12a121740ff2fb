"""What the clock does to a request that waits for its approvers: a reminder, and each step of its escalation.

Invariant: each is recorded once per request, however many instances look, and people are notified from that record
alone. Who may decide never depends on it. Nothing is announced about a request that its requester has to confirm first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import JsonValue

from core.actor import CLOCK
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.duration import to_nanoseconds
from core.policy import PolicySource
from core.policy.escalation_config import TimedStep
from core.request import Request, RequestId, RequestStatus
from core.services.due import PER_PAGE, DueWatch, Rest, Watched
from core.services.observer import Observer
from core.services.pacing import Pacing
from core.services.use_case import ChangeRunner, retry_on_conflict
from core.stores.base import Stores
from core.stores.record_store import Page


def watch_pending(
    stores: Stores, policy: PolicySource, clock: Clock, due_at: Callable[[Request], datetime | None]
) -> DueWatch[Request]:
    """A watch over the pending requests, each due when `due_at` says."""

    def read(cursor: str | None, since: datetime | None) -> Page[Request]:
        return stores.requests.list_by_status(RequestStatus.PENDING, limit=PER_PAGE, cursor=cursor, since=since)

    watched = Watched(read, lambda each: stores.requests.get(RequestId(each)), due_at)
    return DueWatch(watched, clock, lambda: policy.current().digest)


class WaitingRequests:
    """Reminds and escalates. Safe for threads, and for any number of processes."""

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        changes: ChangeRunner[Request],
        observer: Observer,
        pacing: Pacing,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._changes = changes
        self._observer = observer
        self._pacing = pacing
        self._reminding = watch_pending(stores, policy, clock, self._reminder_at)
        self._escalating = watch_pending(stores, policy, clock, self._next_step_at)

    def remind_due(self, rest: Rest) -> tuple[Request, ...]:
        """Record a reminder for every request that has waited for its rule's `remind_after`."""
        return self._reminding.change(lambda request, _: self._commit(request, self._remind), rest)

    def escalate_due(self, rest: Rest) -> tuple[Request, ...]:
        """Record every step of an escalation that has come and wasn't announced yet."""
        return self._escalating.change(lambda request, _: self._commit(request, self._escalate), rest)

    def _commit(
        self, listed: Request, change: Callable[[Request, datetime], tuple[Request, EntryDraft] | None]
    ) -> Request | None:
        def decide() -> Request | None:
            # The list may be older than the table, and a vote may come in between: neither loses the announcement.
            request = self._stores.requests.get(RequestId(listed.id))
            changed = change(request, self._clock.now())
            return self._changes.commit(*changed) if changed is not None else None

        return retry_on_conflict(decide, self._observer, self._pacing)

    def _remind(self, request: Request, now: datetime) -> tuple[Request, EntryDraft] | None:
        at = self._reminder_at(request)
        wait = self._policy.current().waiting.remind_after(request.rule, request.profile)
        if at is None or wait is None or now < at or not _waits(request, now) or self._come(request, now):
            return None
        details: dict[str, JsonValue] = {"rule": request.rule, "remind_after": to_nanoseconds(wait)}
        reminded = request.remind(now)
        return reminded, EntryDraft.of(reminded, AuditAction.REQUEST_REMINDED, CLOCK, details)

    def _escalate(self, request: Request, now: datetime) -> tuple[Request, EntryDraft] | None:
        come = self._come(request, now)
        if not come or not _waits(request, now):
            return None
        escalated = request.escalate(come[-1].number, now)
        to: list[JsonValue] = [str(each) for each in dict.fromkeys(each for step in come for each in step.to)]
        details: dict[str, JsonValue] = {
            "rule": request.rule,
            "from_step": come[0].number,
            "steps": escalated.escalated_steps,
            "escalate_after": to_nanoseconds(come[-1].at - request.waits_since),
            "to": to,
        }
        return escalated, EntryDraft.of(escalated, AuditAction.REQUEST_ESCALATED, CLOCK, details)

    def _steps(self, request: Request) -> tuple[TimedStep, ...]:
        return self._policy.current().waiting.steps_of(request)

    def _come(self, request: Request, now: datetime) -> tuple[TimedStep, ...]:
        """The steps that have come and that nobody was notified of yet."""
        steps = self._steps(request)
        return tuple(each for each in steps if each.number > request.escalated_steps and each.has_come(now))

    def _next_step_at(self, request: Request) -> datetime | None:
        steps = self._steps(request) if _may_be_announced(request) else ()
        at = next((each.at for each in steps if each.number > request.escalated_steps), None)
        return at if at is not None and at < request.expires_at else None

    def _reminder_at(self, request: Request) -> datetime | None:
        if not _may_be_announced(request) or request.reminded_at is not None:
            return None
        at = self._policy.current().waiting.reminder_at(request)
        return at if at is not None and at < request.expires_at else None


def _may_be_announced(request: Request) -> bool:
    # Whom a newer version would call, this one can't know.
    return request.status is RequestStatus.PENDING and request.is_understood


def _waits(request: Request, now: datetime) -> bool:
    is_pending = _may_be_announced(request) and not request.is_overdue(now)
    return is_pending and not request.awaits_confirmation

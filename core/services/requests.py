"""The use cases of a request: load, decide by a pure function, commit.

Invariant: a click is decided from the stored record and the policy in force, and committed only if that record has not
changed since.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import JsonValue

from core.actor import CLOCK, Actor, ProfileName, UserId, by_policy, check_profile_name
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock, format_time
from core.duration import to_nanoseconds
from core.errors import RequestExists
from core.policy import PolicySource, RequestDecision
from core.request import COMMENT_LENGTH, JUSTIFICATION_LENGTH, Request, RequestId, RequestStatus
from core.services.due import PER_PAGE, DueWatch, Rest, Watched, expires_at, no_rest
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.services.use_case import AuditedAttempt, ChangeRunner, audit_refusals, find_own, id_from, retry_on_conflict
from core.stores.base import Page, Stores
from core.text import clean_optional_text, clean_text

REASON_LENGTH: Final = (3, COMMENT_LENGTH[1])
"""A denial needs a reason that the requester can understand: at least three characters, such as "dup"."""


class RequestService:
    """Make requests and decide on them. Safe for threads, and for any number of processes."""

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        pacing: Pacing = PACING,
    ) -> None:
        self._pacing = pacing
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._changes = ChangeRunner(
            stores.requests.update, AuditAction.REQUEST_EXPIRED, stores.refusals, clock, self._observer, pacing
        )
        self._expiring = self._watch(expires_at)
        self._reminding = self._watch(self._reminder_at)

    def submit(
        self,
        requester: Actor,
        profile: str,
        duration: timedelta,
        justification: str,
        *,
        idempotency_key: str | None = None,
    ) -> Request:
        """Request access. The request is pending, or approved at once if the policy approves it automatically.

        The same `idempotency_key` from the same person gives the request that it gave the first time. Raises
        InvalidInput, NotAllowed, StoreError.
        """
        name = check_profile_name(profile)
        reason = clean_text(
            "justification", justification, at_least=JUSTIFICATION_LENGTH[0], at_most=JUSTIFICATION_LENGTH[1]
        )
        attempt = AuditedAttempt(AuditAction.SUBMIT_REFUSED, requester, name)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            now = self._clock.now()
            request_id = id_from(RequestId, requester.id, idempotency_key)
            decision = self._policy.current().judge_request(requester, name, duration, now)
            known = None if decision.is_allowed else find_own(self._stores.requests.get, request_id, requester.id)
            if known is not None:
                # The same request, delivered again: a policy that changed since then does not undo it.
                return known
            decision.require()
            request = Request.submit(
                requester=requester.id,
                profile=name,
                justification=reason,
                duration=duration,
                rule=decision.rule or "",
                required_approvals=decision.required_approvals,
                decide_within=decision.decide_within,
                now=now,
                request_id=request_id,
            )
            return self._create(request, decision, now)

    def approve(self, request_id: RequestId, approver: Actor, comment: str | None = None) -> Request:
        """Count this approver's vote; the last one needed approves. A second vote by the same person changes nothing.

        Raises RequestNotFound, NotAllowed, InvalidStateTransition (which says who decided), InvalidInput, StoreError.
        """
        said = clean_optional_text("comment", comment, at_least=COMMENT_LENGTH[0], at_most=COMMENT_LENGTH[1])

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            details = self._judge("approve", request, approver)
            approved = request.approve(approver.id, now, said)
            return approved, _vote_entry(approved, approver, said, details)

        return self._change(request_id, approver, AuditAction.APPROVE_REFUSED, judge)

    def deny(self, request_id: RequestId, approver: Actor, reason: str) -> Request:
        """Deny the request. Raises like `approve`."""
        why = clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            details = self._judge("deny", request, approver)
            denied = request.deny(approver.id, now, why)
            return denied, EntryDraft.of(denied, AuditAction.REQUEST_DENIED, approver.id, {**details, "reason": why})

        return self._change(request_id, approver, AuditAction.DENY_REFUSED, judge)

    def cancel(self, request_id: RequestId, requester: Actor) -> Request:
        """Cancel your own request. Raises RequestNotFound, NotAllowed, InvalidStateTransition, StoreError."""

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            # The policy is not asked: the requester may cancel it even if the rule no longer exists.
            cancelled = request.cancel(requester.id, now)
            return cancelled, EntryDraft.of(cancelled, AuditAction.REQUEST_CANCELLED, requester.id)

        return self._change(request_id, requester, AuditAction.CANCEL_REFUSED, judge)

    def expire_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
        """Record the end of every request whose deadline has passed. Returns those that this call recorded.

        Any number of instances may do this at once: each request is expired once. `rest` is taken
        between the pages of what is read. Raises StoreUnavailable.
        """
        return self._expiring.change(self._expire_if_overdue, rest)

    def remind_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
        """Record a reminder for every pending request that has waited for its rule's `remind_after`.

        Returns those that this call recorded. The outbox delivers the reminder, like every change. Any number of
        instances may do this at once: people are reminded of each request once. Raises StoreUnavailable.
        """
        return self._reminding.change(self._remind_if_due, rest)

    def find_access(self, person: UserId, profile: ProfileName) -> Request | None:
        """The approved request that gives this person access to the profile now. One read of an index."""
        return self._stores.requests.find_granting(person, profile, self._clock.now())

    def _watch(self, due_at: Callable[[Request], datetime | None]) -> DueWatch[Request]:
        watched = Watched(self._read_pending, lambda each: self._stores.requests.get(RequestId(each)), due_at)
        return DueWatch(watched, self._clock, lambda: self._policy.current().digest)

    def _read_pending(self, cursor: str | None, since: datetime | None) -> Page[Request]:
        return self._stores.requests.list_by_status(RequestStatus.PENDING, limit=PER_PAGE, cursor=cursor, since=since)

    def _expire_if_overdue(self, request: Request, now: datetime) -> Request | None:
        return self._changes.expire(request, now) if request.is_overdue(now) else None

    def _reminder_at(self, request: Request) -> datetime | None:
        if request.status is not RequestStatus.PENDING or request.reminded_at is not None:
            return None
        wait = self._policy.current().remind_after(request.rule, request.profile)
        due_at = request.created_at + wait if wait is not None else None
        return due_at if due_at is not None and due_at < request.expires_at else None

    def _remind_if_due(self, listed: Request, now: datetime) -> Request | None:
        if self._wait_before_reminder(listed, now) is None:
            return None

        def decide() -> Request | None:
            # The list may be older than the table, and a vote may come in between: neither loses the reminder.
            request, now = self._stores.requests.get(RequestId(listed.id)), self._clock.now()
            wait = self._wait_before_reminder(request, now)
            if wait is None:
                return None
            details: dict[str, JsonValue] = {"rule": request.rule, "remind_after": to_nanoseconds(wait)}
            reminded = request.remind(now)
            return self._changes.commit(reminded, EntryDraft.of(reminded, AuditAction.REQUEST_REMINDED, CLOCK, details))

        return retry_on_conflict(decide, self._observer, self._pacing)

    def _wait_before_reminder(self, request: Request, now: datetime) -> timedelta | None:
        """The wait before its reminder, if the request has waited that long; None when nobody has to be reminded."""
        if request.status is not RequestStatus.PENDING or request.is_overdue(now) or request.reminded_at is not None:
            return None
        wait = self._policy.current().remind_after(request.rule, request.profile)
        return wait if wait is not None and now >= request.created_at + wait else None

    def _create(self, request: Request, decision: RequestDecision, now: datetime) -> Request:
        details: dict[str, JsonValue] = {
            **decision.to_details(),
            "justification": request.justification,
            "duration": to_nanoseconds(request.duration),
            "required_approvals": request.required_approvals,
            "expires_at": format_time(request.expires_at),
        }
        entries = [EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, request.requester, details)]
        automatic = decision.auto_approval
        if automatic is not None and automatic.is_allowed:
            request = request.approve_by_policy(now)
            decided_by = by_policy(request.rule)
            entries.append(
                EntryDraft.of(
                    request, AuditAction.REQUEST_APPROVED, decided_by, automatic.to_details() | _window(request)
                )
            )
        try:
            created = self._stores.requests.create(request, *entries)
        except RequestExists:
            existing = self._stores.requests.get(RequestId(request.id))
            if existing.requester != request.requester:
                raise
            return existing
        for entry in entries:
            self._observer.committed(created, entry.event)
        return created

    def _change(
        self,
        request_id: RequestId,
        actor: Actor,
        refused: AuditAction,
        judge: Callable[[Request, datetime], tuple[Request, EntryDraft]],
    ) -> Request:
        return self._changes.run(AuditedAttempt(refused, actor), lambda: self._stores.requests.get(request_id), judge)

    def _judge(self, action: Literal["approve", "deny"], request: Request, approver: Actor) -> dict[str, JsonValue]:
        """Ask the policy, unless the request is decided: then everybody gets that decision as the answer."""
        if request.status is not RequestStatus.PENDING:
            return {}
        decision = self._policy.current().judge_decider(
            action, approver, profile=request.profile, rule=request.rule, requester=request.requester
        )
        decision.require()
        return decision.to_details()


def _vote_entry(request: Request, approver: Actor, comment: str | None, details: dict[str, JsonValue]) -> EntryDraft:
    said: dict[str, JsonValue] = {"comment": comment} if comment is not None else {}
    votes: dict[str, JsonValue] = {
        "approvals": len(request.approvals),
        "required_approvals": request.required_approvals,
    }
    if request.status is RequestStatus.PENDING:
        return EntryDraft.of(request, AuditAction.APPROVAL_ADDED, approver.id, {**details, **said, **votes})
    return EntryDraft.of(
        request, AuditAction.REQUEST_APPROVED, approver.id, {**details, **said, **votes, **_window(request)}
    )


def _window(request: Request) -> dict[str, JsonValue]:
    return {"access_ends_at": format_time(request.life_ends_at())}

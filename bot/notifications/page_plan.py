"""What an entry means for the pager: a page, the end of one, or nothing.

Invariant: pure, and judged on the record as it is now: nobody is paged for what is decided, closed or reviewed
meanwhile. A page has nothing that a person typed, unless the policy asks for the justification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.access.grant import Grant
from core.access.session import Session
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent
from core.duration import format_duration
from core.pagers.base import PagerAlert, Severity
from core.policy.evaluator import Policy
from core.request import Request, RequestStatus

PageSubject = Request | BreakGlassEvent | Grant | Session
FindName = Callable[[str], str | None]
"""What people call somebody, if that is known at once."""

_PAGES: Final[Mapping[str, frozenset[AuditAction]]] = {
    Request.KIND: frozenset({AuditAction.REQUEST_SUBMITTED, AuditAction.REQUEST_CONFIRMED}),
    BreakGlassEvent.KIND: frozenset({AuditAction.BREAK_GLASS_INVOKED, AuditAction.REVIEW_REMINDED}),
    Grant.KIND: frozenset({AuditAction.REVOKE_FAILING}),
    Session.KIND: frozenset({AuditAction.DENY_FAILING}),
}
_ENDS: Final[Mapping[str, frozenset[AuditAction]]] = {
    Request.KIND: frozenset(
        {
            AuditAction.REQUEST_APPROVED,
            AuditAction.REQUEST_DENIED,
            AuditAction.REQUEST_CANCELLED,
            AuditAction.REQUEST_EXPIRED,
        }
    ),
    BreakGlassEvent.KIND: frozenset(
        {AuditAction.BREAK_GLASS_CLOSED, AuditAction.BREAK_GLASS_EXPIRED, AuditAction.BREAK_GLASS_REVIEWED}
    ),
    Grant.KIND: frozenset({AuditAction.GRANT_CLOSED, AuditAction.GRANT_FAILED}),
    Session.KIND: frozenset({AuditAction.DENY_PUT, AuditAction.DENY_REMOVED}),
}


def may_page(chain: str, event: AuditAction) -> bool:
    """True for an entry that pages people, if its record still needs somebody."""
    return event in _PAGES.get(chain.partition("#")[0], ())


def ends_page(chain: str, event: AuditAction) -> bool:
    """True for an entry after which nothing is left to do about the page of its record."""
    return event in _ENDS.get(chain.partition("#")[0], ())


@dataclass(frozen=True, slots=True)
class PagePlanner:
    """Makes pages. `find_name` says what people call somebody."""

    find_name: FindName

    def plan(self, record: PageSubject, event: AuditAction, policy: Policy, now: datetime) -> PagerAlert | None:
        """The page that this entry means for its record; None when nobody has to be paged (any more)."""
        match record:
            case Request():
                return self._request(record, policy, now)
            case BreakGlassEvent():
                is_review = event is AuditAction.REVIEW_REMINDED
                return self._review(record, policy, now) if is_review else self._event(record, policy, now)
            case Grant():
                return self._revoke(record, now)
            case Session():
                return self._deny(record, now)

    def _request(self, request: Request, policy: Policy, now: datetime) -> PagerAlert | None:
        is_waiting = request.status is RequestStatus.PENDING and not request.is_overdue(now)
        if not is_waiting or request.awaits_confirmation or not policy.notifications.pages_request(request.rule):
            return None
        since = policy.waiting.urgent_since(request)
        if now < since:
            # Nobody is woken for access next week.
            return None
        who, length = self._who(request.requester), format_duration(request.duration)
        later = f" from {_at(request.starts_at)}" if request.starts_at is not None else ""
        details = {"rule": request.rule, "decide by": _at(request.expires_at)}
        return PagerAlert(
            key=request.id,
            summary=f"{who} requests {request.profile} for {length}{later}: approval needed",
            severity=Severity.ERROR,
            at=since,
            kind="request",
            profile=request.profile,
            details=details | self._about(request, request.requester, policy),
        )

    def _event(self, event: BreakGlassEvent, policy: Policy, now: datetime) -> PagerAlert | None:
        if not event.is_granting(now) or not policy.notifications.pages_event(event.rule):
            return None
        who, length = self._who(event.invoker), format_duration(event.duration)
        details = {"reason": event.reason_code.value, "until": _at(event.expires_at), "rule": event.rule}
        return PagerAlert(
            key=event.id,
            summary=f"Break-glass: {who} took {event.profile} for {length} ({event.reason_code.value})",
            severity=Severity.CRITICAL,
            at=event.created_at,
            kind="break_glass",
            profile=event.profile,
            details=details | self._about(event, event.invoker, policy),
        )

    def _review(self, event: BreakGlassEvent, policy: Policy, now: datetime) -> PagerAlert | None:
        if not event.is_waiting_for_review:
            return None
        due_at = event.review_due_at(policy.notifications.times_of(event.rule).review_within)
        return PagerAlert(
            key=event.id,
            summary=f"Review overdue: break-glass access of {self._who(event.invoker)} to {event.profile}",
            severity=Severity.WARNING,
            at=event.reminded_at or now,
            kind="review",
            profile=event.profile,
            details={"review due": _at(due_at)} | self._about(event, event.invoker, policy),
        )

    def _revoke(self, grant: Grant, now: datetime) -> PagerAlert | None:
        if not grant.is_live or grant.is_wanted(now):
            return None
        return PagerAlert(
            key=grant.id,
            summary=f"Revoke failing: {self._who(grant.grantee)} still has {grant.profile} at {grant.right.target}",
            severity=Severity.CRITICAL,
            at=grant.ended_at,
            kind="revoke",
            profile=grant.profile,
            details=self._ids(grant.id, grant.grantee) | {"target": grant.right.target},
        )

    def _deny(self, session: Session, now: datetime) -> PagerAlert | None:
        if session.denied_at is not None or session.cleaned_at is not None or now >= session.credentials_until:
            return None
        return PagerAlert(
            key=session.id,
            summary=f"Revoke failing: credentials of {self._who(session.user)} for {session.profile} still work at AWS",
            severity=Severity.CRITICAL,
            at=session.revoked_at or session.expires_at,
            kind="revoke",
            profile=session.profile,
            details=self._ids(session.id, session.user) | {"until": _at(session.credentials_until)},
        )

    def _about(self, record: Request | BreakGlassEvent, person: str, policy: Policy) -> dict[str, str]:
        pager = policy.notifications.pager
        said = {"justification": record.justification} if pager is not None and pager.justification else {}
        return self._ids(record.id, person) | said

    def _ids(self, record_id: str, person: str) -> dict[str, str]:
        return {"record": record_id, "person": person}

    def _who(self, person: str) -> str:
        name = self.find_name(person)
        return name if name is not None else person


def _at(moment: datetime) -> str:
    """A moment as people read it on a telephone."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"

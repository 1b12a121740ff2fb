"""The notifications of a request: its card, a reply in the thread for each event, and the outcome for the requester.

Invariant: the requester is notified of every end that they didn't cause themselves, and of no other; trouble with the
channel delays that by one attempt at most. No reminder is sent about a request that is already decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from bot.notifications.plan import DirectMessage, NotificationPlan, Notifier
from bot.views.block_kit import Message
from bot.views.mentions import mention_deciders
from bot.views.request.card import request_card
from bot.views.request.notices import approval_added, ended, outcome, still_waiting
from core.audit.trail import AuditAction, AuditEntry
from core.policy.evaluator import Policy
from core.request import Request, RequestId, RequestStatus
from core.stores.base import RequestStore


def request_notifier(requests: RequestStore) -> Notifier[Request]:
    """The notifier of requests."""
    return Notifier(load=lambda record_id: requests.get(RequestId(record_id)), draw=_draw, plans=_PLANS)


def _draw(request: Request, policy: Policy, now: datetime) -> Message:
    return request_card(request, now, _mention_deciders(request, policy))


def _mention_deciders(request: Request, policy: Policy) -> str:
    """The people who can still decide: neither the requester nor those who voted."""
    voters = (approval.approver for approval in request.counting_approvals)
    return mention_deciders(policy.notifications.deciders_of(request.rule), leave_out={request.requester, *voters})


def _submitted(_entry: AuditEntry, request: Request, policy: Policy) -> NotificationPlan:
    return NotificationPlan(ahead=_outcome(request, policy))


def _vote(entry: AuditEntry, request: Request, policy: Policy) -> NotificationPlan:
    return NotificationPlan(reply=approval_added(entry.actor, request), ahead=_outcome(request, policy))


def _reminder(_entry: AuditEntry, request: Request, policy: Policy) -> NotificationPlan:
    if request.status is not RequestStatus.PENDING:
        return NotificationPlan(ahead=_outcome(request, policy))
    return NotificationPlan(reply=still_waiting(request, _mention_deciders(request, policy)))


def _end(_entry: AuditEntry, request: Request, policy: Policy) -> NotificationPlan:
    return NotificationPlan(reply=ended(request), directs=_outcome(request, policy))


def _outcome(request: Request, policy: Policy) -> tuple[DirectMessage, ...]:
    if request.status in {RequestStatus.PENDING, RequestStatus.CANCELLED}:
        return ()
    profile = policy.document.profiles.get(request.profile)
    where = profile.channel if profile is not None else None
    return (DirectMessage("outcome", request.requester, outcome(request, where)),)


_PLANS: Final[Mapping[AuditAction, Callable[[AuditEntry, Request, Policy], NotificationPlan]]] = {
    AuditAction.REQUEST_SUBMITTED: _submitted,
    AuditAction.APPROVAL_ADDED: _vote,
    AuditAction.REQUEST_APPROVED: _end,
    AuditAction.REQUEST_DENIED: _end,
    AuditAction.REQUEST_CANCELLED: _end,
    AuditAction.REQUEST_EXPIRED: _end,
    AuditAction.REQUEST_REMINDED: _reminder,
}

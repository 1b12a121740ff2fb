"""How a request is told: its card, a reply in the thread for each thing that happens, its outcome to the requester.

Invariant: the requester hears every end that somebody else, or the clock, gave to their request, and no other one; and
a channel in trouble keeps them waiting no longer than its next try. A reminder of what is decided by now is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from bot.notifications.plan import Direct, Teller, Telling
from bot.views.block_kit import Message
from bot.views.mentions import mention
from bot.views.request.card import request_card
from bot.views.request.notices import approval_added, ended, outcome, still_waiting
from core.audit.trail import AuditEntry, AuditEvent
from core.policy.evaluator import Policy
from core.request import Request, RequestId, RequestStatus
from core.stores.base import RequestStore


def request_teller(requests: RequestStore) -> Teller[Request]:
    """The teller of requests."""
    return Teller(load=lambda record_id: requests.get(RequestId(record_id)), draw=_draw, tellings=_TELLINGS)


def _draw(request: Request, policy: Policy, now: datetime) -> Message:
    return request_card(request, now, _mention_deciders(request, policy))


def _mention_deciders(request: Request, policy: Policy) -> str:
    """Those who may still decide: neither the requester nor whoever voted."""
    voters = (approval.approver for approval in request.approvals)
    return mention(policy.notifications.deciders_of(request.rule), leave_out={request.requester, *voters})


def _submitted(_entry: AuditEntry, request: Request, policy: Policy) -> Telling:
    return Telling(ahead=_outcome(request, policy))


def _vote(entry: AuditEntry, request: Request, policy: Policy) -> Telling:
    return Telling(reply=approval_added(entry.actor, request), ahead=_outcome(request, policy))


def _reminder(_entry: AuditEntry, request: Request, policy: Policy) -> Telling:
    if request.status is not RequestStatus.PENDING:
        return Telling(ahead=_outcome(request, policy))
    return Telling(reply=still_waiting(request, _mention_deciders(request, policy)))


def _end(_entry: AuditEntry, request: Request, policy: Policy) -> Telling:
    return Telling(reply=ended(request), directs=_outcome(request, policy))


def _outcome(request: Request, policy: Policy) -> tuple[Direct, ...]:
    if request.status in {RequestStatus.PENDING, RequestStatus.CANCELLED}:
        return ()
    profile = policy.document.profiles.get(request.profile)
    where = profile.channel if profile is not None else None
    return (Direct("outcome", request.requester, outcome(request, where)),)


_TELLINGS: Final[Mapping[AuditEvent, Callable[[AuditEntry, Request, Policy], Telling]]] = {
    AuditEvent.REQUEST_SUBMITTED: _submitted,
    AuditEvent.APPROVAL_ADDED: _vote,
    AuditEvent.REQUEST_APPROVED: _end,
    AuditEvent.REQUEST_DENIED: _end,
    AuditEvent.REQUEST_CANCELLED: _end,
    AuditEvent.REQUEST_EXPIRED: _end,
    AuditEvent.REQUEST_REMINDED: _reminder,
}

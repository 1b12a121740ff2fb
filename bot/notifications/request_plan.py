"""The notifications of a request: its card, a reply in the thread for each event, and the outcome for the requester.

Invariant: the requester is notified of every end that they didn't cause themselves, and of no other; trouble with the
channel delays that by one attempt at most. No reminder is sent about a request that is already decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from bot.notifications.asking_plan import plan_answer, plan_confirmed, plan_question, to_asker, to_confirm
from bot.notifications.page_news import FindPage, no_page
from bot.notifications.plan import DirectMessage, NotificationPlan, Notifier, ShownRecord
from bot.notifications.shown import load_shown, place_of, way_in_of
from bot.views.block_kit import Block, Message
from bot.views.links import where_with_id
from bot.views.mentions import mention_deciders
from bot.views.paging import with_page
from bot.views.request.card import request_card
from bot.views.request.notices import approval_added, ended, outcome, still_waiting
from core.audit.trail import AuditAction, AuditEntry
from core.clock import Clock
from core.policy.evaluator import Policy
from core.preferences import DmKind
from core.request import Request, RequestId, RequestStatus
from core.stores.base import Stores


def request_notifier(stores: Stores, clock: Clock, find_page: FindPage = no_page) -> Notifier[Request]:
    """The notifier of requests."""

    def load(record_id: str) -> ShownRecord[Request]:
        return load_shown(stores.requests.get(RequestId(record_id)), stores, clock, find_page)

    return Notifier(load=load, draw=_draw, plans=_PLANS)


def _draw(shown: ShownRecord[Request], policy: Policy, now: datetime) -> Message:
    deciders = _mention_deciders(shown.record, policy)
    ticket = policy.tickets.link(shown.record.rule, shown.record.ticket)
    card = request_card(shown.record, now, deciders, shown.access, way_in_of(shown, policy), ticket)
    return with_page(card, shown.page)


def _mention_deciders(request: Request, policy: Policy) -> str:
    """The people who can still decide: neither the requester, nor who asked for them, nor those who voted."""
    involved = {each for each in (request.requester, request.asked_by) if each is not None}
    voters = (approval.approver for approval in request.counting_approvals)
    return mention_deciders(policy.notifications.deciders_of(request.rule), leave_out={*involved, *voters})


def _submitted(_entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    return NotificationPlan(directs=to_confirm(shown.record, _where(shown, policy)), ahead=_outcome(shown, policy))


def _confirmed(_entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    return plan_confirmed(shown.record, _mention_deciders(shown.record, policy), _where(shown, policy))


def _asked(entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    return plan_question(entry, shown, _where(shown, policy))


def _answered(entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    return plan_answer(entry, shown, _where(shown, policy))


def _vote(entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    return NotificationPlan(reply=approval_added(entry.actor, shown.record), ahead=_outcome(shown, policy))


def _reminder(_entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    request = shown.record
    if request.status is not RequestStatus.PENDING:
        return NotificationPlan(ahead=_outcome(shown, policy))
    return NotificationPlan(reply=still_waiting(request, _mention_deciders(request, policy), place_of(shown, policy)))


def _end(_entry: AuditEntry, shown: ShownRecord[Request], policy: Policy) -> NotificationPlan:
    directs = (*_outcome(shown, policy), *to_asker(shown.record, _where(shown, policy)))
    return NotificationPlan(reply=ended(shown.record, shown.access), directs=directs)


def _where(shown: ShownRecord[Request], policy: Policy) -> Block:
    """The link to the card, for people who don't read its channel."""
    return where_with_id(place_of(shown, policy), shown.record.id)


def _outcome(shown: ShownRecord[Request], policy: Policy) -> tuple[DirectMessage, ...]:
    request = shown.record
    if request.status in {RequestStatus.PENDING, RequestStatus.CANCELLED}:
        return ()
    told = outcome(request, place_of(shown, policy), shown.access)
    return (DirectMessage("outcome", request.requester, told, DmKind.DECISIONS),)


_PLANS: Final[Mapping[AuditAction, Callable[[AuditEntry, ShownRecord[Request], Policy], NotificationPlan]]] = {
    AuditAction.REQUEST_SUBMITTED: _submitted,
    AuditAction.APPROVAL_ADDED: _vote,
    AuditAction.REQUEST_APPROVED: _end,
    AuditAction.REQUEST_DENIED: _end,
    AuditAction.REQUEST_CANCELLED: _end,
    AuditAction.REQUEST_EXPIRED: _end,
    AuditAction.REQUEST_REMINDED: _reminder,
    AuditAction.REQUEST_CONFIRMED: _confirmed,
    AuditAction.QUESTION_ASKED: _asked,
    AuditAction.QUESTION_ANSWERED: _answered,
}

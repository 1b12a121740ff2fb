"""The notifications of what people say to each other about a request: confirmations, questions and answers.

Invariant: pure. Each is sent once, to the person whose turn it is, and says the same in the card's thread. What is
planned is true of the record as it is now: nobody is asked to confirm, or to answer, what is decided already.
"""

from __future__ import annotations

from bot.notifications.plan import DirectMessage, NotificationPlan, ShownRecord
from bot.views.asking.confirm import (
    cancelled_by_other,
    confirmed_in_thread,
    confirmed_to_asker,
    ended_for_asker,
    please_confirm,
)
from bot.views.asking.question import answered_directly, answered_in_thread, asked_directly, asked_in_thread
from bot.views.block_kit import Block
from core.audit.trail import AuditEntry
from core.preferences import DmKind
from core.question import Question
from core.request import Request, RequestStatus


def to_confirm(request: Request, *where: Block) -> tuple[DirectMessage, ...]:
    """The message to the person whom somebody asked for, while they can still confirm."""
    if not request.awaits_confirmation:
        return ()
    return (DirectMessage("confirm", request.requester, please_confirm(request, *where)),)


def plan_confirmed(request: Request, deciders: str, *where: Block) -> NotificationPlan:
    """The requester wants it: those who can decide are asked now."""
    reply = confirmed_in_thread(request, deciders)
    if request.asked_by is None or request.status is not RequestStatus.PENDING:
        return NotificationPlan(reply=reply)
    told = DirectMessage("confirmed", request.asked_by, confirmed_to_asker(request, *where), DmKind.DECISIONS)
    return NotificationPlan(reply=reply, directs=(told,))


def plan_question(entry: AuditEntry, shown: ShownRecord[Request], *where: Block) -> NotificationPlan:
    """Somebody asked: in the thread, and to those who can answer."""
    request, question = shown.record, _find(entry, shown.record)
    if question is None:
        return NotificationPlan()
    people = [each for each in (request.requester, request.asked_by) if each is not None]
    is_open = request.status is RequestStatus.PENDING and not question.is_answered
    message = asked_directly(request, question, *where)
    directs = tuple(DirectMessage(f"question:{question.number}", each, message) for each in people if is_open)
    return NotificationPlan(reply=asked_in_thread(request, question), directs=directs)


def plan_answer(entry: AuditEntry, shown: ShownRecord[Request], *where: Block) -> NotificationPlan:
    """Somebody answered: in the thread, and to the person who asked."""
    request, question = shown.record, _find(entry, shown.record)
    if question is None:
        return NotificationPlan()
    told = DirectMessage(f"answer:{question.number}", question.asker, answered_directly(request, question, *where))
    return NotificationPlan(reply=answered_in_thread(question), directs=(told,))


def to_asker(request: Request, *where: Block) -> tuple[DirectMessage, ...]:
    """How what somebody asked for ended: to them, and of a cancellation to the other one of the two."""
    if request.asked_by is None or request.status is RequestStatus.PENDING:
        return ()
    if request.status is RequestStatus.CANCELLED:
        by = request.cancelled_by or request.requester
        other = request.requester if by == request.asked_by else request.asked_by
        return (DirectMessage("outcome", other, cancelled_by_other(request, by, *where)),)
    return (DirectMessage("outcome", request.asked_by, ended_for_asker(request, *where), DmKind.DECISIONS),)


def _find(entry: AuditEntry, request: Request) -> Question | None:
    number = entry.details.get("number")
    return next((each for each in request.questions if each.number == number), None)

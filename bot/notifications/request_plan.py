"""The notifications of a request: its card, a reply in the thread for each event, and the outcome for the requester.

Invariant: the requester is notified of every end that they didn't cause themselves, and of no other; trouble with the
channel delays that by one attempt at most. Nobody is reminded of a request, or asked to decide on it, that is already
decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bot.notifications.asking_plan import plan_answer, plan_confirmed, plan_question, to_asker, to_confirm
from bot.notifications.on_call_people import OnCallPeople
from bot.notifications.page_news import FindPage, no_page
from bot.notifications.plan import DirectMessage, NotificationPlan, Notifier, ShownRecord
from bot.notifications.shown import load_shown, place_of, way_in_of
from bot.views.block_kit import Block, Message
from bot.views.links import where_with_id
from bot.views.paging import with_page
from bot.views.request.card import request_card
from bot.views.request.notices import (
    approval_added,
    ended,
    escalated_in_thread,
    outcome,
    please_decide,
    still_waiting,
)
from core.actor import UserId
from core.audit.trail import AuditAction, AuditEntry
from core.clock import Clock
from core.on_call import NoRoster, Roster
from core.policy.evaluator import Policy
from core.preferences import DmKind
from core.request import Request, RequestId, RequestStatus
from core.stores.base import Stores

ShownRequest: TypeAlias = ShownRecord[Request]


def request_notifier(
    stores: Stores, clock: Clock, find_page: FindPage = no_page, roster: Roster | None = None
) -> Notifier[Request]:
    """The notifier of requests. `roster` says who is on call, to notify them."""

    def load(record_id: str) -> ShownRequest:
        return load_shown(stores.requests.get(RequestId(record_id)), stores, clock, find_page)

    plans = RequestPlans(OnCallPeople(roster or NoRoster()))
    return Notifier(load=load, draw=plans.draw, plans=plans.by_action())


@dataclass(frozen=True, slots=True)
class RequestPlans:
    """Draws the card, and plans what each event adds to it. `people` names who can decide at this moment."""

    people: OnCallPeople

    def by_action(self) -> Mapping[AuditAction, Callable[[AuditEntry, ShownRequest, Policy], NotificationPlan]]:
        """The plan for each event that adds something."""
        return {
            AuditAction.REQUEST_SUBMITTED: self._submitted,
            AuditAction.APPROVAL_ADDED: _vote,
            AuditAction.REQUEST_APPROVED: _end,
            AuditAction.REQUEST_DENIED: _end,
            AuditAction.REQUEST_CANCELLED: _end,
            AuditAction.REQUEST_EXPIRED: _end,
            AuditAction.REQUEST_REMINDED: self._reminder,
            AuditAction.REQUEST_ESCALATED: self._escalated,
            AuditAction.REQUEST_CONFIRMED: self._confirmed,
            AuditAction.QUESTION_ASKED: _asked,
            AuditAction.QUESTION_ANSWERED: _answered,
        }

    def draw(self, shown: ShownRequest, policy: Policy, now: datetime) -> Message:
        """The card as it stands at this moment."""
        request = shown.record
        deciders = self.people.mention_deciders(request, policy, now)
        terms = self.people.find_terms(request, policy, now)
        ticket = policy.tickets.link(request.rule, request.ticket)
        card = request_card(request, now, deciders, shown.access, way_in_of(shown, policy), ticket, terms)
        return with_page(card, shown.page)

    def _submitted(self, _entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
        to_person = to_confirm(shown.record, _where(shown, policy))
        directs = (*to_person, *self._to_on_call(shown, policy))
        return NotificationPlan(directs=directs, ahead=_outcome(shown, policy))

    def _confirmed(self, _entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
        deciders = self.people.mention_deciders(shown.record, policy, shown.read_at)
        plan = plan_confirmed(shown.record, deciders, _where(shown, policy))
        return NotificationPlan(reply=plan.reply, directs=(*plan.directs, *self._to_on_call(shown, policy)))

    def _reminder(self, _entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
        request = shown.record
        if request.status is not RequestStatus.PENDING:
            return NotificationPlan(ahead=_outcome(shown, policy))
        deciders = self.people.mention_deciders(request, policy, shown.read_at)
        return NotificationPlan(reply=still_waiting(request, deciders, place_of(shown, policy)))

    def _escalated(self, entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
        """Whom the steps of this entry name are notified, by the policy in force: it says who can decide."""
        request, number = shown.record, entry.details.get("steps")
        steps = policy.waiting.steps_of(request)
        first = entry.details.get("from_step")
        come = [each for each in steps if _is_within(each.number, first, number) and each.has_come(shown.read_at)]
        if request.status is not RequestStatus.PENDING:
            return NotificationPlan(ahead=_outcome(shown, policy))
        if not come:
            return NotificationPlan()
        waited, place = come[-1].at - request.waits_since, place_of(shown, policy)
        people = self.people.mention_step(request, policy, come)
        asked = self.people.find_stepped(request, policy, come)
        return NotificationPlan(
            reply=escalated_in_thread(request, people, waited, place),
            directs=_to_decide(asked, please_decide(request, place, waited)),
        )

    def _to_on_call(self, shown: ShownRequest, policy: Policy) -> tuple[DirectMessage, ...]:
        """To who is on call, and may not read the channel."""
        request = shown.record
        if request.status is not RequestStatus.PENDING or request.awaits_confirmation:
            return ()
        on_call = self.people.find_on_call(request, policy, shown.read_at)
        return _to_decide(on_call, please_decide(request, place_of(shown, policy)))


def _to_decide(people: Iterable[UserId], message: Message) -> tuple[DirectMessage, ...]:
    # One name, so that nobody gets two of them for one request.
    return tuple(DirectMessage("to-decide", each, message, DmKind.ON_CALL) for each in people)


def _is_within(number: int, first: object, last: object) -> bool:
    return isinstance(first, int) and isinstance(last, int) and first <= number <= last


def _asked(entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
    return plan_question(entry, shown, _where(shown, policy))


def _answered(entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
    return plan_answer(entry, shown, _where(shown, policy))


def _vote(entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
    return NotificationPlan(reply=approval_added(entry.actor, shown.record), ahead=_outcome(shown, policy))


def _end(_entry: AuditEntry, shown: ShownRequest, policy: Policy) -> NotificationPlan:
    directs = (*_outcome(shown, policy), *to_asker(shown.record, _where(shown, policy)))
    return NotificationPlan(reply=ended(shown.record, shown.access), directs=directs)


def _where(shown: ShownRequest, policy: Policy) -> Block:
    """The link to the card, for people who don't read its channel."""
    return where_with_id(place_of(shown, policy), shown.record.id)


def _outcome(shown: ShownRequest, policy: Policy) -> tuple[DirectMessage, ...]:
    request = shown.record
    if request.status in {RequestStatus.PENDING, RequestStatus.CANCELLED}:
        return ()
    told = outcome(request, place_of(shown, policy), shown.access)
    return (DirectMessage("outcome", request.requester, told, DmKind.DECISIONS),)

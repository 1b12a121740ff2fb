"""Whom a notification names: the people who can decide at this moment, with who is on call in place of schedules.

Invariant: it only chooses whom to notify; nobody gets a right by it. It never waits for a schedule. Who is part of the
request, or voted already, is not asked, and nobody gets a direct message who couldn't decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.views.mentions import MAX_IN_STEP, OnCallNow, mention_deciders, name_on_call, name_silently
from bot.views.request.waiting import WaitingTerms
from core.actor import UserId
from core.on_call import OnCallName, Roster, on_call_name
from core.policy.conditions import is_in_force
from core.policy.escalation_config import TimedStep
from core.policy.evaluator import Policy
from core.policy.principals import PrincipalKind, PrincipalSelector
from core.request import Request


@dataclass(frozen=True, slots=True)
class OnCallPeople:
    """Names people by one roster. Safe for threads."""

    roster: Roster

    def of(self, leaves: Iterable[PrincipalSelector]) -> OnCallNow:
        """Who is on call now in each of the schedules among these."""
        names = dict.fromkeys(each.value for each in leaves if each.kind is PrincipalKind.ON_CALL)
        return {name: self.roster.on_call_now(on_call_name(name)) for name in names}

    def of_deciders(self, leaves: Collection[PrincipalSelector]) -> OnCallNow:
        """The same without those who couldn't decide now: to be named, an older answer will do."""
        return {
            name: tuple(each for each in people or () if self._may_approve(on_call_name(name), each))
            for name, people in self.of(leaves).items()
        }

    def mention_deciders(self, request: Request, policy: Policy, now: datetime) -> str:
        """The people who can still decide."""
        deciders = _find_deciders(request, policy, now)
        return mention_deciders(deciders, leave_out=involved_in(request, policy), on_call=self.of(deciders))

    def mention_step(self, request: Request, policy: Policy, steps: Collection[TimedStep]) -> str:
        """Everybody whom these steps of its escalation name."""
        named = self._named(request, policy, steps)
        return mention_deciders(named, leave_out=involved_in(request, policy), on_call=self.of(named), most=MAX_IN_STEP)

    def find_on_call(self, request: Request, policy: Policy, now: datetime) -> tuple[UserId, ...]:
        """Each person who can decide because they are on call."""
        deciders = _find_deciders(request, policy, now)
        schedules = [each for each in deciders if each.kind is PrincipalKind.ON_CALL]
        return _find_people(schedules, self.of_deciders(schedules), involved_in(request, policy))

    def find_stepped(self, request: Request, policy: Policy, steps: Collection[TimedStep]) -> tuple[UserId, ...]:
        """Each single person whom these steps name, by id or by a schedule."""
        named = self._named(request, policy, steps)
        return _find_people(named, self.of_deciders(named), involved_in(request, policy))

    def find_terms(self, request: Request, policy: Policy, now: datetime) -> WaitingTerms:
        """What its card says about the wait."""
        waiting, about = policy.waiting, (request.rule, request.profile)
        steps = waiting.steps_of(request)
        come = [each for each in steps if each.has_come(now)]
        named = self._named(request, policy, come)
        hours = waiting.hours(*about)
        anytime = waiting.anytime(*about, waiting.urgent_since(request), now) if hours is not None else ()
        return WaitingTerms(
            escalated=mention_deciders(named, leave_out=involved_in(request, policy), on_call=self.of(named)),
            escalated_at=come[-1].at if come else None,
            next_step=next((each for each in steps if now < each.at < request.expires_at), None),
            hours=hours,
            anytime=name_silently(anytime),
        )

    def _may_approve(self, name: OnCallName, person: UserId) -> bool:
        duty = self.roster.duties(person, {name}).get(name)
        return duty is not None and duty.holds(for_approving=True) is True

    def _named(self, request: Request, policy: Policy, steps: Collection[TimedStep]) -> frozenset[PrincipalSelector]:
        leaves = policy.notifications.people.leaves(tuple(each for step in steps for each in step.to))
        involved = involved_in(request, policy)
        return frozenset(each for each in leaves if each.value not in involved)


def _find_deciders(request: Request, policy: Policy, now: datetime) -> frozenset[PrincipalSelector]:
    """Who may decide; nobody under a rule that no longer covers the profile."""
    if not is_in_force(policy.document, request.rule, request.profile).is_met:
        return frozenset()
    return policy.notifications.deciders_of(request.rule, policy.waiting.urgent_since(request), now)


def involved_in(request: Request, policy: Policy) -> frozenset[str]:
    """Who can't decide (any more), under any of their ids: the requester, who asked for them, and those who voted."""
    people = {each for each in (request.requester, request.asked_by) if each is not None}
    people |= {approval.approver for approval in request.counting_approvals}
    return frozenset(same for each in people for same in policy.ids_of(each))


def _find_people(
    leaves: Iterable[PrincipalSelector], on_call: OnCallNow, leave_out: Collection[str]
) -> tuple[UserId, ...]:
    named = name_on_call(leaves, on_call)
    people = {each.value for each in named if each.kind is PrincipalKind.USER and each.value not in leave_out}
    return tuple(UserId(each) for each in sorted(people))

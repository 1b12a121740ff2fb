"""What one version of the policy says about requests that wait: when people are reminded, and to whom they escalate.

Invariant: nothing here depends on what was announced. A rule that is gone, or no longer covers the profile, reminds
nobody and escalates to nobody, because then nobody could decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.policy import conditions
from core.policy.conditions import Selectors
from core.policy.deciding import find_anytime, find_stepped
from core.policy.escalation_config import TimedStep, find_reminder, time_steps
from core.policy.principals import People
from core.policy.rules import ApprovalRule, PolicyDocument
from core.policy.time_window import TimeWindow
from core.request import Request


@dataclass(frozen=True, slots=True)
class WaitingRules:
    """The part of one policy version that is about waiting."""

    document: PolicyDocument
    people: People

    def remind_after(self, rule: str, profile: str) -> timedelta | None:
        """How long a request that was made under this rule waits before people are reminded; None for never."""
        made_under = self._in_force(rule, profile)
        return made_under.remind_after if made_under is not None else None

    def urgent_since(self, request: Request) -> datetime:
        """Since when people are to decide soon: at once, or some time before a start that is far ahead.

        A request escalates and pages from then on. It depends on nothing but the request and this policy version.
        """
        made_under = self._in_force(request.rule, request.profile)
        if request.starts_at is None or made_under is None:
            return request.waits_since
        return max(request.waits_since, request.starts_at - made_under.urgent_before)

    def reminder_at(self, request: Request) -> datetime | None:
        """When people are reminded: not while a step has just asked them, nor while nobody may approve."""
        rule, profile, since = request.rule, request.profile, self.urgent_since(request)
        wait, steps = self.remind_after(rule, profile), self.steps(rule, profile, since)
        if wait is None:
            return None
        # Long before a start, people are reminded too: that wakes nobody. Of one that is near, halfway to it.
        due_at = min(request.waits_since + wait, request.halfway or request.waits_since + wait)
        at, hours = find_reminder(steps, due_at), self.hours(rule, profile)
        if hours is None or hours.is_open(at) or self.anytime(rule, profile, since, at):
            return at
        opens = hours.next_opening(at)
        return find_reminder(steps, opens) if opens is not None else at

    def steps_of(self, request: Request) -> tuple[TimedStep, ...]:
        """The steps of this request's escalation, in order, with the time of each."""
        return self.steps(request.rule, request.profile, self.urgent_since(request))

    def steps(self, rule: str, profile: str, waits_since: datetime) -> tuple[TimedStep, ...]:
        """The steps of its escalation, in order, with the time of each."""
        made_under = self._in_force(rule, profile)
        return time_steps(made_under.steps(), waits_since) if made_under is not None else ()

    def hours(self, rule: str, profile: str) -> TimeWindow | None:
        """The hours in which its approvers may approve; None for any hour."""
        made_under = self._in_force(rule, profile)
        return made_under.approver_hours if made_under is not None else None

    def anytime(self, rule: str, profile: str, waits_since: datetime, now: datetime) -> Selectors:
        """Whom the hours don't bind at this moment: who is on call, and those of the steps that have come."""
        made_under = self._in_force(rule, profile)
        if made_under is None:
            return ()
        return find_anytime(self.people, made_under, find_stepped(made_under, waits_since, now))

    def _in_force(self, rule: str, profile: str) -> ApprovalRule | None:
        made_under = self.document.approval_rule(rule)
        return made_under if conditions.is_in_force(self.document, rule, profile).is_met else None

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


@dataclass(frozen=True, slots=True)
class WaitingRules:
    """The part of one policy version that is about waiting."""

    document: PolicyDocument
    people: People

    def remind_after(self, rule: str, profile: str) -> timedelta | None:
        """How long a request that was made under this rule waits before people are reminded; None for never."""
        made_under = self._in_force(rule, profile)
        return made_under.remind_after if made_under is not None else None

    def reminder_at(
        self, rule: str, profile: str, waits_since: datetime, halfway: datetime | None = None
    ) -> datetime | None:
        """When people are reminded: not while a step has just asked them, nor while nobody may approve.

        `halfway` is when half of the wait for a start is over: if it comes first, they are reminded then.
        """
        wait, steps = self.remind_after(rule, profile), self.steps(rule, profile, waits_since)
        if wait is None:
            return None
        due_at = min(waits_since + wait, halfway or waits_since + wait)
        at, hours = find_reminder(steps, due_at), self.hours(rule, profile)
        if hours is None or hours.is_open(at) or self.anytime(rule, profile, waits_since, at):
            return at
        opens = hours.next_opening(at)
        return find_reminder(steps, opens) if opens is not None else at

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

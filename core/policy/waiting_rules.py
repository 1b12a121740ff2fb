"""What one version of the policy says about requests that wait: when people are reminded, and to whom they escalate.

Invariant: nothing here depends on what was announced. A rule that is gone, or no longer covers the profile, reminds
nobody and escalates to nobody, because then nobody could decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.policy import conditions
from core.policy.escalation_config import TimedStep, find_reminder, time_steps
from core.policy.rules import ApprovalRule, PolicyDocument


@dataclass(frozen=True, slots=True)
class WaitingRules:
    """The part of one policy version that is about waiting."""

    document: PolicyDocument

    def remind_after(self, rule: str, profile: str) -> timedelta | None:
        """How long a request that was made under this rule waits before people are reminded; None for never."""
        made_under = self._in_force(rule, profile)
        return made_under.remind_after if made_under is not None else None

    def reminder_at(self, rule: str, profile: str, waits_since: datetime) -> datetime | None:
        """When people are reminded of it: not while they have just been asked by a step of the escalation."""
        wait = self.remind_after(rule, profile)
        return find_reminder(self.steps(rule, profile, waits_since), waits_since + wait) if wait is not None else None

    def steps(self, rule: str, profile: str, waits_since: datetime) -> tuple[TimedStep, ...]:
        """The steps of its escalation, in order, with the time of each."""
        made_under = self._in_force(rule, profile)
        return time_steps(made_under.steps(), waits_since) if made_under is not None else ()

    def _in_force(self, rule: str, profile: str) -> ApprovalRule | None:
        made_under = self.document.approval_rule(rule)
        return made_under if conditions.is_in_force(self.document, rule, profile).is_met else None

"""What one version of the policy says about break-glass events: who may declare, close and review them.

Invariant: nobody reviews their own event; ending access is always the safe direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.actor import Actor, UserId
from core.break_glass import ReasonCode
from core.policy import conditions
from core.policy.conditions import judge
from core.policy.decision import BreakGlassDecision, Condition, Decision, are_all_met, decide
from core.policy.principals import People
from core.policy.rule_search import RuleSearch
from core.policy.rules import Mfa, PolicyDocument


@dataclass(frozen=True, slots=True)
class EventRules:
    """Judges break-glass events by one policy version."""

    document: PolicyDocument
    people: People
    search: RuleSearch
    digest: str

    def judge_break_glass(
        self,
        invoker: Actor,
        profile: str,
        reason_code: ReasonCode,
        duration: timedelta,
        now: datetime,
        *,
        has_mfa: bool,
    ) -> BreakGlassDecision:
        """May this person break the glass for the profile now?"""
        rule, found = self.search.find_break_glass(invoker, profile)
        if rule is None:
            return BreakGlassDecision(
                action="break glass", is_allowed=False, rule=None, conditions=found, policy_digest=self.digest
            )
        found = (
            *found,
            judge("reason", lambda: conditions.is_reason_allowed(reason_code, rule.allowed_reason_codes)),
            judge("duration", lambda: conditions.is_short_enough(duration, rule.max_duration)),
        )
        if rule.time is not None:
            window = rule.time
            found = (*found, judge("time", lambda: conditions.is_open(window, now)))
        if rule.mfa is Mfa.REQUIRED:
            found = (*found, judge("code", lambda: conditions.is_mfa_given(has_mfa=has_mfa)))
        return BreakGlassDecision(
            action="break glass",
            is_allowed=are_all_met(found),
            rule=rule.name,
            conditions=found,
            policy_digest=self.digest,
            limits=rule.limits(),
            max_duration=rule.max_duration,
            requires_mfa=rule.mfa is Mfa.REQUIRED,
        )

    def judge_close(self, actor: Actor, *, profile: str, invoker: UserId) -> Decision:
        """May this person end a live event? Its invoker may, and anyone who may approve for the profile."""
        if invoker in self.people.ids_of(actor.id) and actor.service is None:
            itself = Condition(name="closer", is_met=True, text=f"{actor.id} broke the glass")
            return decide("close", None, (itself,), self.digest)
        rule, found = self.search.find_approver_rule(actor, profile)
        return decide("close", rule.name if rule else None, found, self.digest)

    def judge_review(self, actor: Actor, *, profile: str, invoker: UserId) -> Decision:
        """May this person review an event? Anyone who may approve for the profile and did not invoke it."""
        rule, found = self.search.find_approver_rule(actor, profile)
        other = judge(
            "two people",
            lambda: conditions.is_someone_else(
                self.people, actor, invoker, role="the one who broke the glass", act="reviews their own event"
            ),
        )
        return decide("review", rule.name if rule else None, (*found, other), self.digest)

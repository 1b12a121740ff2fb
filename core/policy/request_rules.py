"""What one version of the policy says about requests: who may ask for what, and who decides about them.

Invariant: nobody decides on their own request. A request is judged under the rule that it was made under.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal

from core.actor import Actor, UserId
from core.policy import conditions
from core.policy.asking_next import LaterStep, find_next
from core.policy.conditions import judge
from core.policy.deciding import HOURS, find_come, find_own_step, find_stepped, is_decider, is_in_hours
from core.policy.decision import Condition, Decision, GivenWithVote, RequestDecision, are_all_met, decide
from core.policy.escalation_config import TimedStep
from core.policy.principals import People
from core.policy.rule_search import RuleSearch
from core.policy.rules import ApprovalRule, PolicyDocument
from core.policy.service_rules import no_service
from core.policy.start_rules import judge_start

TWO_PEOPLE: Final = "two people"
"""The name of the condition that nobody decides about themselves."""


@dataclass(frozen=True, slots=True)
class RequestRules:
    """Judges requests by one policy version."""

    document: PolicyDocument
    people: People
    search: RuleSearch
    digest: str

    def judge_request(
        self, requester: Actor, profile: str, duration: timedelta, now: datetime, starts_at: datetime | None = None
    ) -> RequestDecision:
        """May this person request this profile for this long, from then on, and what approvals does it need?"""
        rule, found = self.search.find_approval(requester, profile)
        if rule is None:
            return RequestDecision(
                action="request", is_allowed=False, rule=None, conditions=found, policy_digest=self.digest
            )
        longest = self.search.services.longest(requester, rule.max_duration)
        found = (*found, judge("duration", lambda: conditions.is_short_enough(duration, longest)))
        found = (*found, *judge_start(rule, starts_at - now if starts_at is not None else None))
        is_allowed = are_all_met(found)
        return RequestDecision(
            action="request",
            is_allowed=is_allowed,
            rule=rule.name,
            conditions=found,
            policy_digest=self.digest,
            required_approvals=rule.required_approvals,
            max_duration=longest,
            decide_within=rule.decide_within,
            limits=rule.limits(),
            auto_approval=self._judge_auto_approval(rule, requester, duration, starts_at or now)
            if is_allowed
            else None,
        )

    def judge_waiting(
        self, requester: Actor, *, profile: str, rule: str, duration: timedelta, ahead: timedelta | None = None
    ) -> RequestDecision:
        """May this person still have what they requested under this rule?"""
        made_under = self.document.approval_rule(rule)
        in_force = judge("rule", lambda: conditions.is_in_force(self.document, rule, profile))
        found: tuple[Condition, ...] = (in_force,)
        if made_under is not None and in_force.is_met:
            applies, why = self.search.find_approval(requester, profile)
            found = (*found, *why)
            if applies is not None:
                longest = self.search.services.longest(requester, made_under.max_duration)
                length = judge("duration", lambda: conditions.is_short_enough(duration, longest))
                found = (*found, judge("rule", lambda: conditions.is_same_rule(requester, applies, made_under)), length)
                found = (*found, *judge_start(made_under, ahead))
        return RequestDecision(
            action="approve",
            is_allowed=are_all_met(found),
            rule=rule if made_under else None,
            conditions=found,
            policy_digest=self.digest,
            required_approvals=made_under.required_approvals if made_under else 0,
            max_duration=made_under.max_duration if made_under else timedelta(),
        )

    def judge_decider(
        self,
        action: Literal["approve", "deny"],
        approver: Actor,
        *,
        profile: str,
        rule: str,
        requester: UserId,
        given: GivenWithVote | None,
        asked_by: UserId | None = None,
        waits_since: datetime | None = None,
        now: datetime | None = None,
    ) -> Decision:
        """May this person decide on a request that was made under this rule?"""
        made_under = self.document.approval_rule(rule)
        found = [judge("rule", lambda: conditions.is_in_force(self.document, rule, profile))]
        if approver.service is not None:
            found.append(no_service(approver))
        if made_under is not None:
            stepped = find_stepped(made_under, waits_since, now)
            found.append(judge("approver", lambda: is_decider(self.people, approver, made_under, stepped)))
            if action == "approve" and made_under.approver_hours is not None:
                found.append(judge(HOURS, lambda: is_in_hours(self.people, approver, made_under, stepped, now)))
        others = self._are_others(approver, requester, asked_by)
        found += others
        if made_under is not None:
            # Whom to ask instead, or when they may decide themselves.
            involved = {requester, asked_by or requester}
            if not are_all_met(others):
                found += self._find_next(approver, involved, made_under, waits_since, now)
            found += self._find_own_step(approver, made_under, found, find_come(made_under, waits_since, now))
        if made_under is not None and given is not None:
            found += conditions.are_given(made_under, given)
        return decide(action, rule if made_under else None, tuple(found), self.digest)

    def judge_asking(self, asker: Actor, profile: str) -> Decision:
        """May this person ask for the profile on behalf of somebody? Those may who may ask for it themselves."""
        if asker.service is not None:
            return decide("request", None, (no_service(asker),), self.digest)
        rule, found = self.search.find_approval(asker, profile)
        return decide("request", rule.name if rule is not None else None, found, self.digest)

    def _find_next(
        self,
        approver: Actor,
        involved: Collection[UserId],
        rule: ApprovalRule,
        waits_since: datetime | None,
        now: datetime | None,
    ) -> list[Condition]:
        """Whom to ask instead of deciding on their own request, for who is on call; nobody who is involved in it."""
        come = find_come(rule, waits_since, now)
        deciders = (*rule.approvers, *(each for step in come for each in step.to))
        later = [LaterStep(each.after, each.to) for each in rule.steps()[len(come) :]]
        left_out = frozenset(same for each in (approver.id, *involved) for same in self.people.ids_of(each))
        found = find_next(self.people, approver, rule.name, deciders, later, left_out)
        return [found] if found is not None else []

    def _find_own_step(
        self, approver: Actor, rule: ApprovalRule, found: Sequence[Condition], come: Sequence[TimedStep]
    ) -> list[Condition]:
        """When they may decide, for a person who can't yet."""
        unmet = [each for each in found if not each.is_met]
        if not unmet or any(each.needs or each.name not in {"approver", HOURS} for each in unmet):
            return []
        own = find_own_step(self.people, approver, rule, come)
        return [own] if own is not None else []

    def _are_others(self, approver: Actor, requester: UserId, asked_by: UserId | None) -> tuple[Condition, ...]:
        """Is this person neither the requester nor who asked for them?"""
        roles = [(requester, "the requester", "decides on their own request")]
        if asked_by is not None:
            roles.append((asked_by, "the person who asked for it", "decides on what they asked for"))
        check = conditions.is_someone_else
        return tuple(
            judge(TWO_PEOPLE, partial(check, self.people, approver, each, role=role, act=act))
            for each, role, act in roles
        )

    def _judge_auto_approval(
        self, rule: ApprovalRule, requester: Actor, duration: timedelta, opens_at: datetime
    ) -> Decision | None:
        # What counts is when the access opens: its hours, and who is on call then.
        automatic = rule.auto_approve
        if automatic is None or requester.service is not None:
            # What a machine asks for, a person decides.
            return None
        found = conditions.are_automatic(self.people, rule, automatic, requester, duration, opens_at)
        return decide("auto-approve", rule.name, tuple(found), self.digest)

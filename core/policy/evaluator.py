"""The evaluator: what one version of the policy says about a request, a vote, a break-glass event, a close or a review.

Invariant: no rule, no access. An answer is yes only when a rule says so and each of its conditions is met; nobody
decides on their own request or reviews their own event. An answer that depends on user groups which aren't known is no
yet, and says which they are. Preview, form and enforcement all ask here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict

from core.actor import Actor, UserGroupId, UserId
from core.break_glass import ReasonCode
from core.errors import InvalidInput
from core.policy import conditions
from core.policy.conditions import judge
from core.policy.decision import (
    ApprovalNeeds,
    BreakGlassDecision,
    Condition,
    Decision,
    GivenWithVote,
    RequestDecision,
    are_all_met,
)
from core.policy.document import suggest
from core.policy.notifications import NotificationRules
from core.policy.principals import People
from core.policy.rule_search import RuleSearch
from core.policy.rules import ApprovalRule, BreakGlassRule, Mfa, PolicyDocument, Profile


class PolicySource(Protocol):
    """Gives the policy that is in force at this moment. A Policy is one; so is a PolicyFile."""

    def current(self) -> Policy:
        """The policy in force."""
        ...


class Policy(BaseModel):
    """One version of the policy. `digest` is the SHA-256 of the file's bytes, as hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    document: PolicyDocument

    def current(self) -> Self:
        """This policy: a version never changes."""
        return self

    def profile(self, name: str) -> Profile:
        """The profile of this name. Raises InvalidInput, with the nearest name as the fix, when there is none."""
        if name not in self.document.profiles:
            raise InvalidInput(
                "profile", f"there is no profile {name!r:.60}", suggest(name, tuple(self.document.profiles))
            )
        return self.document.profile(name)

    def judge_request(self, requester: Actor, profile: str, duration: timedelta, now: datetime) -> RequestDecision:
        """May this person request this profile for this long, and what approvals does it need?

        Raises InvalidInput when there is no such profile.
        """
        self.profile(profile)
        rule, found = self._search.find_approval(requester, profile)
        if rule is None:
            return RequestDecision(
                action="request", is_allowed=False, rule=None, conditions=found, policy_digest=self.digest
            )
        found = (*found, judge("duration", lambda: conditions.is_short_enough(duration, rule.max_duration)))
        is_allowed = are_all_met(found)
        return RequestDecision(
            action="request",
            is_allowed=is_allowed,
            rule=rule.name,
            conditions=found,
            policy_digest=self.digest,
            required_approvals=rule.required_approvals,
            max_duration=rule.max_duration,
            decide_within=rule.decide_within,
            limits=rule.limits(),
            auto_approval=self._judge_auto_approval(rule, requester, duration, now) if is_allowed else None,
        )

    def judge_waiting(self, requester: Actor, *, profile: str, rule: str, duration: timedelta) -> RequestDecision:
        """May this person still have what they requested under this rule? Asked again before the request is approved.

        If another rule decides about them now, the answer is no. `required_approvals` are those in force now.
        """
        made_under = self.document.approval_rule(rule)
        in_force = judge("rule", lambda: conditions.is_in_force(self.document, rule, profile))
        found: tuple[Condition, ...] = (in_force,)
        if made_under is not None and in_force.is_met:
            applies, why = self._search.find_approval(requester, profile)
            found = (*found, *why)
            if applies is not None:
                length = judge("duration", lambda: conditions.is_short_enough(duration, made_under.max_duration))
                found = (*found, judge("rule", lambda: conditions.is_same_rule(requester, applies, made_under)), length)
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
        given: GivenWithVote | None = None,
    ) -> Decision:
        """May this person decide on a request that was made under this rule? Approve and deny need the same right.

        `given` is what came with an approval; without it, only the person is judged.
        """
        made_under = self.document.approval_rule(rule)
        found = [judge("rule", lambda: conditions.is_in_force(self.document, rule, profile))]
        if made_under is not None:
            role = f"the approvers of rule {rule}"
            found.append(
                judge("approver", lambda: conditions.is_among(self._people, approver, made_under.approvers, role))
            )
        found.append(
            judge(
                "two people",
                lambda: conditions.is_someone_else(
                    self._people, approver, requester, role="the requester", act="decides on their own request"
                ),
            )
        )
        if made_under is not None and given is not None:
            found += conditions.are_given(made_under, given)
        return self._decide(action, rule if made_under else None, tuple(found))

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
        """May this person break the glass now? The limits in the answer are judged on the usage ledgers.

        Raises InvalidInput when there is no such profile.
        """
        self.profile(profile)
        rule, found = self._search.find_break_glass(invoker, profile)
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
        """May this person end a live event? Its invoker may, and anyone who may approve for the profile.

        This also holds for a profile that is no longer in the policy: ending access is always the safe direction.
        """
        if invoker in self.ids_of(actor.id):
            return self._decide(
                "close", None, (Condition(name="closer", is_met=True, text=f"{actor.id} broke the glass"),)
            )
        rule, found = self._search.find_approver_rule(actor, profile)
        return self._decide("close", rule.name if rule else None, found)

    def judge_review(self, actor: Actor, *, profile: str, invoker: UserId) -> Decision:
        """May this person review an event? Anyone who may approve for the profile and did not invoke it."""
        rule, found = self._search.find_approver_rule(actor, profile)
        other = judge(
            "two people",
            lambda: conditions.is_someone_else(
                self._people, actor, invoker, role="the one who broke the glass", act="reviews their own event"
            ),
        )
        return self._decide("review", rule.name if rule else None, (*found, other))

    def requestable_profiles(self, actor: Actor) -> tuple[Profile, ...]:
        """The profiles that this person may request, in the order of the file."""
        names = (name for name in self.document.profiles if self._search.find_approval(actor, name)[0] is not None)
        return tuple(self.document.profile(name) for name in names)

    def declarable_profiles(self, actor: Actor) -> tuple[Profile, ...]:
        """The profiles for which this person may break the glass, in the order of the file."""
        names = (name for name in self.document.profiles if self._search.find_break_glass(actor, name)[0] is not None)
        return tuple(self.document.profile(name) for name in names)

    def needed_to_request(self, actor: Actor) -> frozenset[UserGroupId]:
        """The user groups that have to be known, so that `requestable_profiles` and its terms are complete."""
        return self._search.needed_to_request(actor)

    def needed_to_declare(self, actor: Actor) -> frozenset[UserGroupId]:
        """The user groups that have to be known, so that `declarable_profiles` and its terms are complete."""
        return self._search.needed_to_declare(actor)

    def ids_of(self, user_id: UserId) -> tuple[UserId, ...]:
        """Every id that belongs to the same person, as `same_person` says. The first one stands for all of them."""
        return self._people.ids_of(user_id)

    def approvers_for(self, profile: str, requester: Actor) -> tuple[str, ...]:
        """Who would have to approve, as the rule names them. Empty when this person may not request the profile."""
        rule = self.terms_for(profile, requester)
        return tuple(str(each) for each in rule.approvers) if rule else ()

    def terms_for(self, profile: str, requester: Actor) -> ApprovalRule | None:
        """The rule under which this person may request the profile, for a form to show; None if they may not."""
        return self._search.find_approval(requester, profile)[0]

    def break_glass_terms_for(self, profile: str, invoker: Actor) -> BreakGlassRule | None:
        """The rule under which this person may break the glass, for a form to show; None if they may not."""
        return self._search.find_break_glass(invoker, profile)[0]

    def remind_after(self, rule: str, profile: str) -> timedelta | None:
        """How long a request that was made under this rule waits before its approvers are reminded; None for never.

        Also None when the rule no longer covers the profile, because then nobody could decide.
        """
        made_under = self.document.approval_rule(rule)
        in_force = conditions.is_in_force(self.document, rule, profile)
        return made_under.remind_after if made_under is not None and in_force.is_met else None

    def approval_needs(self, rule: str) -> ApprovalNeeds:
        """What an approval under this rule takes besides a press; nothing when the rule is gone."""
        return conditions.find_approval_needs(self.document.approval_rule(rule))

    def may_need_code(self, profile: str) -> bool:
        """True when a break-glass rule for this profile asks for MFA, from everybody or from some."""
        return any(rule.needs_code for rule in self.document.break_glass_rules(profile))

    def named_for_codes(self) -> frozenset[UserId]:
        """Everybody whom a rule with MFA names by their id, to break the glass or to approve."""
        return self._search.named_for_codes()

    def fallbacks_for(self, profile: str) -> tuple[str, ...]:
        """What to do when Countersign cannot record a declaration for this profile, according to its rules."""
        return self.document.fallbacks_for(profile)

    def user_groups(self) -> frozenset[UserGroupId]:
        """Every Slack user group that can give somebody a right; each person who is judged is looked up in all."""
        return self._search.named_user_groups()

    @cached_property
    def notifications(self) -> NotificationRules:
        """What this version says about notifications."""
        return NotificationRules(self.document, self._people)

    @cached_property
    def _people(self) -> People:
        return self.document.people()

    @cached_property
    def _search(self) -> RuleSearch:
        return RuleSearch(self.document, self._people)

    def _judge_auto_approval(
        self, rule: ApprovalRule, requester: Actor, duration: timedelta, now: datetime
    ) -> Decision | None:
        automatic = rule.auto_approve
        if automatic is None:
            return None
        found = conditions.are_automatic(self._people, rule.name, automatic, requester, duration, now)
        return self._decide("auto-approve", rule.name, tuple(found))

    def _decide(self, action: str, rule: str | None, found: tuple[Condition, ...]) -> Decision:
        is_allowed = are_all_met(found)
        return Decision(action=action, is_allowed=is_allowed, rule=rule, conditions=found, policy_digest=self.digest)

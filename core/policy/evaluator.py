"""The evaluator: what one version of the policy says about a request, a vote, a break-glass event, a close or a review.

Invariant: no rule, no access. An answer is yes only when a rule says so and each of its conditions is met; nobody
decides on their own request or reviews their own event. An answer that depends on what isn't known, such as who is on
call, is no yet, and says what that is. Preview, form and enforcement all ask here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict

from core.access.principals import SoughtPerson
from core.access.right import Permission, Right
from core.actor import Actor, Need, UserGroupId, UserId
from core.break_glass import ReasonCode
from core.duty import OnCallName
from core.errors import InvalidInput
from core.policy import conditions
from core.policy.access_rules import AccessRules
from core.policy.decision import (
    ApprovalNeeds,
    BreakGlassDecision,
    Decision,
    GivenWithVote,
    RequestDecision,
)
from core.policy.document import suggest
from core.policy.event_rules import EventRules
from core.policy.notifications import NotificationRules
from core.policy.principals import People
from core.policy.profile import Profile
from core.policy.request_rules import RequestRules
from core.policy.rule_search import RuleSearch
from core.policy.rules import ApprovalRule, BreakGlassRule, PolicyDocument
from core.policy.target_config import AnyTargetConfig
from core.policy.ticket_rules import TicketRules
from core.policy.waiting_rules import WaitingRules


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

    def judge_request(
        self, requester: Actor, profile: str, duration: timedelta, now: datetime, starts_at: datetime | None = None
    ) -> RequestDecision:
        """May this person request this profile for this long, and what approvals does it need?

        `starts_at` is when the access is to start, if not at once. Raises InvalidInput when there is no such profile.
        """
        self.profile(profile)
        return self._requests.judge_request(requester, profile, duration, now, starts_at)

    def judge_waiting(
        self, requester: Actor, *, profile: str, rule: str, duration: timedelta, ahead: timedelta | None = None
    ) -> RequestDecision:
        """May this person still have what they requested under this rule? Asked again before the request is approved.

        `ahead` is how far ahead its start was when it was made. If another rule decides about them now, the answer is
        no. `required_approvals` are those in force now.
        """
        return self._requests.judge_waiting(requester, profile=profile, rule=rule, duration=duration, ahead=ahead)

    def judge_decider(
        self,
        action: Literal["approve", "deny"],
        approver: Actor,
        *,
        profile: str,
        rule: str,
        requester: UserId,
        given: GivenWithVote | None = None,
        asked_by: UserId | None = None,
        waits_since: datetime | None = None,
        now: datetime | None = None,
    ) -> Decision:
        """May this person decide on a request that was made under this rule? Approve and deny need the same right.

        `given` is what came with an approval; without it, only the person is judged. `asked_by` is who asked for it on
        behalf of the requester: like the requester, they decide nothing. Who is of a step of the rule's escalation may
        decide once the request has waited long enough: `waits_since` then, at `now`. Without these, no step has come.
        """
        return self._requests.judge_decider(
            action, approver, profile=profile, rule=rule, requester=requester, given=given, asked_by=asked_by,
            waits_since=waits_since, now=now,
        )  # fmt: skip

    def judge_asking(self, asker: Actor, profile: str) -> Decision:
        """May this person ask for the profile on behalf of somebody else? Those may who may ask for it themselves."""
        return self._requests.judge_asking(asker, profile)

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
        return self._events.judge_break_glass(invoker, profile, reason_code, duration, now, has_mfa=has_mfa)

    def judge_close(self, actor: Actor, *, profile: str, invoker: UserId) -> Decision:
        """May this person end a live event? Its invoker may, and anyone who may approve for the profile.

        This also holds for a profile that is no longer in the policy: ending access is always the safe direction.
        """
        return self._events.judge_close(actor, profile=profile, invoker=invoker)

    def judge_review(self, actor: Actor, *, profile: str, invoker: UserId) -> Decision:
        """May this person review an event? Anyone who may approve for the profile and did not invoke it."""
        return self._events.judge_review(actor, profile=profile, invoker=invoker)

    def judge_revoke(self, revoker: Actor, *, profile: str, rule: str, source_kind: str) -> Decision:
        """May this person end somebody's access early? Admins may, and the approvers of the rule it was given under.

        `source_kind` is the kind of the record that gave it: `REQUEST` or `BREAKGLASS`.
        """
        return self._access.judge_revoke(revoker, profile=profile, rule=rule, source_kind=source_kind)

    def judge_live(self, viewer: Actor, profile: str) -> Decision:
        """May this person see who has access to the profile now? Admins may, and anyone who may approve for it."""
        return self._access.judge_live(viewer, profile)

    def judge_device(self, actor: Actor, action: str = "use a terminal") -> Decision:
        """May this person act from a device, as themselves or as the service that they act for? Its owner alone may."""
        return self._search.services.judge_acting(actor, action, self.digest)

    def judge_admin(self, person: Actor) -> Decision:
        """Is this person an admin: may they revoke any access, and see all that is live?"""
        return self._access.judge_admin(person)

    def access_of(self, profile: str) -> tuple[Permission, ...]:
        """What the profile gives. Empty for one that is a decision only, or is not in the policy."""
        return self._access.access_of(profile)

    @property
    def device_max_age(self) -> timedelta:
        """How long a paired device lives at most."""
        return self.document.devices.max_age

    @property
    def targets(self) -> Mapping[str, AnyTargetConfig]:
        """The targets, by name."""
        return self.document.targets

    def mapped(self, person: UserId, target: str) -> str | None:
        """What the policy says that the target calls this person; None if it doesn't say."""
        return self._access.mapped(person, target)

    def is_of_another(self, person: UserId, right: Right) -> bool:
        """True when the right was found for this person, and the policy says by now that it is somebody else's."""
        return self._access.is_of_another(person, right)

    def find_sought(self, person: Actor, target: str) -> SoughtPerson:
        """What the target may be asked about this person; without their e-mail address unless e-mail is trusted."""
        return self._access.find_sought(person, target)

    def ask_before_end(self, rule: str) -> timedelta:
        """How long before the end of access, under this approval rule, its requester is asked what is next."""
        return self._access.ask_before_end(rule)

    def requestable_profiles(self, actor: Actor) -> tuple[Profile, ...]:
        """The profiles that this person may request, in the order of the file."""
        names = (name for name in self.document.profiles if self._search.find_approval(actor, name)[0] is not None)
        return tuple(self.document.profile(name) for name in names)

    def declarable_profiles(self, actor: Actor) -> tuple[Profile, ...]:
        """The profiles for which this person may break the glass, in the order of the file."""
        names = (name for name in self.document.profiles if self._search.find_break_glass(actor, name)[0] is not None)
        return tuple(self.document.profile(name) for name in names)

    def needed_to_request(self, actor: Actor) -> frozenset[Need]:
        """What has to be known, so that `requestable_profiles` and its terms are complete."""
        return self._search.needed_to_request(actor)

    def needed_to_declare(self, actor: Actor) -> frozenset[Need]:
        """What has to be known, so that `declarable_profiles` and its terms are complete."""
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

    def named_to_act(self) -> tuple[UserId, ...]:
        """Everybody whom a rule names by their id: break-glass users first, then approvers, then requesters."""
        return self._search.named_to_act()

    def user_groups(self) -> frozenset[UserGroupId]:
        """Every Slack user group that can give somebody a right; each person who is judged is looked up in all."""
        return self._search.named_user_groups()

    def schedules(self) -> frozenset[OnCallName]:
        """Every on-call schedule that can give somebody a right."""
        return self._search.named_schedules()

    @cached_property
    def notifications(self) -> NotificationRules:
        """What this version says about notifications."""
        return NotificationRules(self.document, self._people)

    @cached_property
    def tickets(self) -> TicketRules:
        """What this version says about tickets."""
        return TicketRules(self.document, self.digest)

    @cached_property
    def waiting(self) -> WaitingRules:
        """What this version says about requests that wait: reminders and escalation."""
        return WaitingRules(self.document, self._people)

    @cached_property
    def _requests(self) -> RequestRules:
        return RequestRules(self.document, self._people, self._search, self.digest)

    @cached_property
    def _access(self) -> AccessRules:
        return AccessRules(self.document, self._people, self._search, self.digest)

    @cached_property
    def _events(self) -> EventRules:
        return EventRules(self.document, self._people, self._search, self.digest)

    @cached_property
    def _people(self) -> People:
        return self.document.named_people()

    @cached_property
    def _search(self) -> RuleSearch:
        return RuleSearch(self.document, self._people)

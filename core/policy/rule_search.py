"""The search for the rule that decides about a person and a profile, and for what has to be known to find it.

Invariant: the first rule that covers both decides. A rule that names a user group or a schedule which isn't known ends
the search, so that nobody falls through to a broader rule below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.actor import Actor, Need, UserGroupId, UserId
from core.duty import OnCallName, on_call_name
from core.policy import conditions
from core.policy.conditions import Judgment, find_any_rule, find_rule
from core.policy.decision import Condition, find_needs
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import ApprovalRule, BreakGlassRule, PolicyDocument
from core.policy.service_rules import ServiceRules, no_service


@dataclass(frozen=True, slots=True)
class RuleSearch:
    """Searches the rules of one policy version. Everything it finds comes with the conditions that say why."""

    document: PolicyDocument
    people: People

    def find_approval(self, requester: Actor, profile: str) -> tuple[ApprovalRule | None, tuple[Condition, ...]]:
        """The rule under which this person, or the service that they act for, may request the profile."""
        found = self.services.find_asking(requester, profile)
        if not all(each.is_met for each in found):
            return None, found
        person = requester.owner
        rule, asked = find_rule(
            self.document.approval,
            person,
            profile,
            role="requester",
            match=lambda rule: conditions.may_request(self.people, person, rule),
        )
        return rule, (*found, *asked)

    def find_break_glass(self, invoker: Actor, profile: str) -> tuple[BreakGlassRule | None, tuple[Condition, ...]]:
        """The rule under which this person may break the glass for the profile; no service ever may."""
        if invoker.service is not None:
            return None, (no_service(invoker),)
        return find_rule(
            self.document.break_glass,
            invoker,
            profile,
            role="user",
            match=lambda rule: conditions.is_among(self.people, invoker, rule.users, f"the users of rule {rule.name}"),
        )

    def find_approver_rule(self, actor: Actor, profile: str) -> tuple[ApprovalRule | None, tuple[Condition, ...]]:
        """A rule under which this person may approve for the profile, so that they may close and review."""
        if actor.service is not None:
            return None, (no_service(actor),)

        def match(rule: ApprovalRule) -> Judgment:
            role = f"the approvers of rule {rule.name}"
            return conditions.is_among(self.people, actor, rule.approvers, role, for_approving=True)

        return find_any_rule(self.document.approval, actor, profile, role="approver", match=match)

    def needed_to_request(self, requester: Actor) -> frozenset[Need]:
        """The user groups and schedules that say which profiles this person may request."""
        return self._needed(lambda profile: self.find_approval(requester, profile)[1])

    def needed_to_declare(self, invoker: Actor) -> frozenset[Need]:
        """The user groups and schedules that say for which profiles this person may break the glass."""
        return self._needed(lambda profile: self.find_break_glass(invoker, profile)[1])

    @property
    def services(self) -> ServiceRules:
        """What this version says about services."""
        return ServiceRules(self.document, self.people)

    def named_user_groups(self) -> frozenset[UserGroupId]:
        """Every user group that gives somebody a right, in a rule or in a group."""
        return frozenset(UserGroupId(each.value) for each in self._named if each.kind is PrincipalKind.USER_GROUP)

    def named_schedules(self) -> frozenset[OnCallName]:
        """Every schedule that gives somebody a right, in a rule or in a group."""
        return frozenset(on_call_name(each.value) for each in self._named if each.kind is PrincipalKind.ON_CALL)

    @property
    def _named(self) -> frozenset[PrincipalSelector]:
        """Everybody to whom the policy gives a right."""
        document = self.document
        named: list[tuple[PrincipalSelector, ...]] = [*document.groups.values()]
        for rule in document.approval:
            automatic = rule.auto_approve.requesters if rule.auto_approve is not None else None
            named += [rule.requesters or (), rule.deciders(), automatic or ()]
        named += [*(rule.users for rule in document.break_glass), document.admins or ()]
        return self.people.leaves(tuple(each for selectors in named for each in selectors))

    def _needed(self, find: Callable[[str], tuple[Condition, ...]]) -> frozenset[Need]:
        return frozenset(need for profile in self.document.profiles for need in find_needs(find(profile)))

    def named_for_codes(self) -> frozenset[UserId]:
        """Everybody whom a rule with MFA names by their id, to break the glass or to approve."""
        users = [rule.users for rule in self.document.break_glass if rule.needs_code]
        approvers = [rule.deciders() for rule in self.document.approval if rule.needs_code]
        leaves = self.people.leaves(tuple(each for named in (*users, *approvers) for each in named))
        return frozenset(UserId(each.value) for each in leaves if each.kind is PrincipalKind.USER)

    def named_to_act(self) -> tuple[UserId, ...]:
        """Whom the policy names by their id to act on others' or on urgent access: break-glass users first."""
        rules = [rule.users for rule in self.document.break_glass] + [
            rule.deciders() for rule in self.document.approval
        ]
        rules += [rule.requesters or () for rule in self.document.approval]
        found = (
            sorted(each.value for each in self.people.leaves(named) if each.kind is PrincipalKind.USER)
            for named in rules
        )
        return tuple(dict.fromkeys(UserId(each) for ids in found for each in ids))

"""What one version of the policy says about access: what profiles give, who people are, who may revoke and watch.

Invariant: taking access away never depends on a rule that might be gone: admins always may, and where the rule that
gave it is no longer there, so may the approvers of any rule for the profile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from core.access.principals import SERVICE_PREFIX, SoughtPerson
from core.access.right import Permission, Right
from core.actor import Actor, UserId
from core.policy import conditions
from core.policy.conditions import judge
from core.policy.decision import Condition, Decision, decide
from core.policy.principals import People
from core.policy.rule_search import RuleSearch
from core.policy.rules import ApprovalRule, EventTimes, PolicyDocument
from core.policy.service_rules import no_service
from core.policy.target_config import AwsRoleConfig, IdentityCenterConfig, LambdaConfig, WebhookConfig
from core.request import Request
from core.targets.aws_names import STORE_ID

_ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Judges access that was given, by one policy version."""

    document: PolicyDocument
    people: People
    search: RuleSearch
    digest: str

    def access_of(self, profile: str) -> tuple[Permission, ...]:
        """What the profile gives."""
        found = self.document.profiles.get(profile)
        entries = found.access or () if found is not None else ()
        return tuple(each.permission_at(self.document.targets.get(each.target)) for each in entries)

    def mapped(self, person: UserId, target: str) -> str | None:
        """What the target calls this person, under any of their ids."""
        named = (self.document.people.get(each, {}).get(target) for each in (person, *self.people.ids_of(person)))
        return next((each for each in named if each is not None), None)

    def is_of_another(self, person: UserId, right: Right) -> bool:
        """True when the policy says by now that the right's principal is somebody else, or that this person isn't it.

        A name that Identity Center has to look up can't be compared with the user's id that was found by it.
        """
        ids = self.people.ids_of(person)
        others = (names.get(right.target) for each, names in self.document.people.items() if each not in ids)
        if any(_is_same(each, right.principal) for each in others):
            return True
        config, named = self.document.targets.get(right.target), self.mapped(person, right.target)
        if isinstance(config, IdentityCenterConfig):
            return named is not None and STORE_ID.fullmatch(named) is not None and not _is_same(named, right.principal)
        if right.principal.startswith(SERVICE_PREFIX):
            # A service's own principal can't be mistaken for a person's.
            return False
        if isinstance(config, AwsRoleConfig):
            return not _is_same(person, right.principal)
        if named is None and isinstance(config, WebhookConfig | LambdaConfig):
            named = person
        return named is not None and not _is_same(named, right.principal)

    def find_sought(self, person: Actor, target: str) -> SoughtPerson:
        """What the target may be asked about this person."""
        email = person.email if self.people.is_email_trusted else None
        return SoughtPerson(person.id, self.mapped(person.id, target), email, person.service)

    def ask_before_end(self, rule: str) -> timedelta:
        """How long before the end the requester is asked; the default when the rule is gone."""
        made_under = self.document.approval_rule(rule)
        return made_under.ask_before_end if made_under is not None else EventTimes().ask_before_end

    def judge_admin(self, person: Actor) -> Decision:
        """Is this person an admin?"""
        return decide("administer access", None, (self._is_admin(person),), self.digest)

    def judge_revoke(self, revoker: Actor, *, profile: str, rule: str, source_kind: str) -> Decision:
        """May this person revoke access that this rule gave?"""
        made_under = self.document.approval_rule(rule) if source_kind == Request.KIND else None
        if made_under is None:
            approver, found = self.search.find_approver_rule(revoker, profile)
        else:
            found = (self._is_approver(revoker, made_under),)
            approver = made_under if found[0].is_met else None
        return self._any_of("revoke", approver, (self._is_admin(revoker), *found))

    def judge_live(self, viewer: Actor, profile: str) -> Decision:
        """May this person see who has access to the profile now?"""
        approver, found = self.search.find_approver_rule(viewer, profile)
        return self._any_of("see live access", approver, (self._is_admin(viewer), *found))

    def _any_of(self, action: str, approver: ApprovalRule | None, found: Iterable[Condition]) -> Decision:
        """One condition that is met is enough; otherwise what isn't known is what decides."""
        found = tuple(found)
        met = next((each for each in found if each.is_met), None)
        open_ = tuple(each for each in found if each.needs)
        rule = approver.name if approver is not None and met is not None and met.name != _ADMIN else None
        return decide(action, rule, (met,) if met is not None else open_ or found, self.digest)

    def _is_admin(self, person: Actor) -> Condition:
        admins = self.document.admins
        if person.service is not None:
            return no_service(person)
        if admins is None:
            return Condition(name=_ADMIN, is_met=False, text="the policy names no admins")
        return judge(_ADMIN, lambda: conditions.is_among(self.people, person, admins, "the admins"))

    def _is_approver(self, person: Actor, rule: ApprovalRule) -> Condition:
        if person.service is not None:
            return no_service(person)
        # Also those to whom it escalates, come or not: to end access is the safe direction.
        deciders, role = rule.deciders(), f"the approvers of rule {rule.name}"
        return judge("approver", lambda: conditions.is_among(self.people, person, deciders, role, for_approving=True))


def _is_same(name: str | None, principal: str) -> bool:
    # Targets may compare names either way.
    return name is not None and name.casefold() == principal.casefold()

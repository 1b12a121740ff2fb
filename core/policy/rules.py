"""The policy file as one value: profiles, groups, rules, targets and what else the file says.

Invariant: each part is checked on its own here: types, bounds, spelling. `lint` checks what only the whole file can
show, such as an undefined group. A Policy consists of parts that passed both.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool

from core.actor import ProfileName, UserId
from core.duty import OnCallName, on_call_name, schedule_of
from core.errors import InvalidInput
from core.policy.approval_rule import ApprovalRule, AutoApproval
from core.policy.break_glass_rule import BreakGlassRule, EventTimes
from core.policy.document import Name, PolicyModel, mistake, suggest
from core.policy.duty_words import name_source
from core.policy.on_call_config import OnCallConfig
from core.policy.pager_config import PagerConfig
from core.policy.principals import People
from core.policy.profile import Profile, ProfileModel
from core.policy.rule_base import Mfa, is_covered
from core.policy.rule_fields import ChannelId, LinkHosts, OnePerson, PeopleKey, PersonName, Selectors, UserField
from core.policy.services import DeviceConfig, ServiceConfig, ServiceField
from core.policy.summary_config import SummaryConfig
from core.policy.target_config import TargetConfig, TargetName

__all__ = [
    "ApprovalRule", "AutoApproval", "BreakGlassRule", "EventTimes", "Identity", "Mfa", "PolicyDocument", "is_covered",
]  # fmt: skip

NamesElsewhere = Annotated[dict[PeopleKey, PersonName], Field(min_length=1)]


def _check_version(value: object) -> object:
    if isinstance(value, bool) or value != 1:
        raise mistake(f"{value!r:.60} is not a version that this Countersign can read", "Write version: 1.")
    return value


class Identity(PolicyModel):
    """How people are recognised."""

    trust_email: StrictBool = Field(
        default=False,
        description="Left out: false. True lets rules name people by e-mail address, as Slack shows it, and finds "
        "them by it in Identity Center.",
    )


class PolicyDocument(PolicyModel):
    """The whole policy file of Countersign."""

    version: Annotated[Literal[1], BeforeValidator(_check_version)] = Field(description="The version of this format.")
    groups: dict[Name, Selectors] = Field(default={}, description="Names for people, used in rules as group:name.")
    on_call: dict[Name, OnCallConfig] = Field(
        default={}, description="Where it is known who is on call, by name, used in rules as on-call:name."
    )
    profiles: dict[Name, ProfileModel] = Field(min_length=1, description="What people can request, by name.")
    approval: tuple[ApprovalRule, ...] = Field(
        default=(), description="The first rule that covers the profile and the requester decides."
    )
    break_glass: tuple[BreakGlassRule, ...] = Field(
        default=(), description="The first rule that covers the profile and the person decides."
    )
    security_channel: ChannelId | None = Field(
        default=None, description="The Slack channel for refusals, escalations and overdue reviews."
    )
    link_hosts: LinkHosts = Field(default=(), description="Hosts to which people's https links can be clicked.")
    summary: SummaryConfig = Field(default=SummaryConfig(), description="What the security channel gets each month.")
    identity: Identity = Field(default=Identity(), description="How people are recognised.")
    same_person: tuple[OnePerson, ...] = Field(
        default=(), description="Slack user ids that belong to one person, a list for each person."
    )
    admins: Selectors | None = Field(
        default=None, description="Who may revoke any access, and see all that is live. Left out: nobody."
    )
    targets: dict[TargetName, TargetConfig] = Field(default={}, description="Where access takes effect, by name.")
    devices: DeviceConfig = Field(default=DeviceConfig(), description="What holds for paired terminals.")
    services: dict[ServiceField, ServiceConfig] = Field(default={}, description="Machines that ask, by their name.")
    people: dict[UserField, NamesElsewhere] = Field(
        default={},
        description="Who people are elsewhere: by Slack user id, then by target, kind of schedule or schedule.",
    )

    pager: PagerConfig | None = Field(default=None, description="Where people are paged. Left out: nobody is.")

    def named_people(self) -> People:
        """Who is meant by the names in this file."""
        same_person = tuple(tuple(UserId(each) for each in ids) for ids in self.same_person)
        return People(
            groups=self.groups,
            is_email_trusted=self.identity.trust_email,
            same_person=same_person,
            sources={on_call_name(name): name_source(config.kind) for name, config in self.on_call.items()},
        )

    def require_schedules(self, named: Collection[OnCallName] = ()) -> frozenset[OnCallName]:
        """Every schedule, as rules name them. Raises InvalidInput when one of those `named` is not there."""
        known = {on_call_name(name): name for name in self.on_call}
        for each in named:
            if each not in known:
                fix = suggest(schedule_of(each), tuple(self.on_call)) if known else "The policy has no on_call."
                raise InvalidInput("on_call", f"there is no schedule {schedule_of(each)!r:.60} in the policy", fix)
        return frozenset(known)

    def approval_rule(self, name: str) -> ApprovalRule | None:
        """The approval rule of this name; None if there is none, or no longer."""
        return next((each for each in self.approval if each.name == name), None)

    def break_glass_rule(self, name: str) -> BreakGlassRule | None:
        """The break-glass rule of this name; None if there is none, or no longer."""
        return next((each for each in self.break_glass if each.name == name), None)

    def break_glass_rules(self, profile: str) -> tuple[BreakGlassRule, ...]:
        """The break-glass rules that cover a profile, in the order of the file."""
        return tuple(rule for rule in self.break_glass if rule.covers(profile))

    def fallbacks_for(self, profile: str) -> tuple[str, ...]:
        """What to do when Countersign cannot record a declaration for this profile, according to its rules."""
        said = (rule.fallback for rule in self.break_glass_rules(profile))
        return tuple(dict.fromkeys(each for each in said if each is not None))

    def profile(self, name: str) -> Profile:
        """The profile of this name. Raises KeyError when there is none."""
        found = self.profiles[name]
        return Profile(
            name=ProfileName(name), description=found.description, channel=found.channel, access=found.access
        )

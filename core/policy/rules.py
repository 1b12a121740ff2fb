"""The policy file as values: profiles, groups, approval rules and break-glass rules.

Invariant: each part is checked on its own here: types, bounds, spelling. `lint` checks what only the whole file can
show, such as an undefined group. A Policy consists of parts that passed both.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from core import request
from core.actor import ProfileName, UserId
from core.break_glass import ReasonCode
from core.open_requests import MAX_PENDING, RequestLimits
from core.policy.document import Name, PolicyModel, mistake
from core.policy.principals import People
from core.policy.profile import Profile, ProfileModel
from core.policy.rule_fields import (
    MAX_FALLBACK_LENGTH,
    ChannelId,
    DecisionTime,
    EventDuration,
    Fallback,
    LimitWindow,
    LinkHosts,
    OnePerson,
    Patterns,
    PrincipalName,
    Quota,
    RequestDuration,
    Selectors,
    UserField,
)
from core.policy.services import DeviceConfig, ServiceConfig, ServiceField
from core.policy.summary_config import SummaryConfig
from core.policy.target_config import TargetConfig, TargetName
from core.policy.time_window import TimeWindow
from core.usage import UsageLimits


def _check_version(value: object) -> object:
    if isinstance(value, bool) or value != 1:
        raise mistake(f"{value!r:.60} is not a version that this Countersign can read", "Write version: 1.")
    return value


def is_covered(profile: str, pattern: str) -> bool:
    """True when the pattern matches the profile's whole name. Case matters."""
    return fnmatchcase(profile, pattern)


class Mfa(StrEnum):
    """Whether a break-glass rule asks for an MFA code."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Commented(StrEnum):
    """Whether an approval needs a comment."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class EventTimes(NamedTuple):
    """How long before the end of an event its invoker is asked whether it is over, and how soon it must be reviewed.

    Three days span a weekend, and the people involved still remember.
    """

    ask_before_end: timedelta = timedelta(minutes=10)
    review_within: timedelta = timedelta(days=3)


_TIMES: Final = EventTimes()
NamesAtTargets = Annotated[dict[TargetName, PrincipalName], Field(min_length=1)]


class Identity(PolicyModel):
    """How people are recognised."""

    trust_email: StrictBool = Field(
        default=False,
        description="Left out: false. True lets rules name people by e-mail address, as Slack shows it, and finds "
        "them by it in Identity Center.",
    )


class AutoApproval(PolicyModel):
    """When a request needs no person's approval: everything given here has to hold."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    requesters: Selectors | None = Field(default=None, description="Only for these people.")
    max_duration: RequestDuration | None = Field(default=None, description="Only up to this long.")
    time: TimeWindow | None = Field(default=None, description="Only in these hours.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.requesters is None and self.max_duration is None and self.time is None:
            raise mistake(
                "auto_approve without a limit would approve everything",
                "Give it at least one of requesters, max_duration and time.",
            )
        return self


class Rule(PolicyModel):
    """What all rules have: a name, and the profiles they cover."""

    name: Name = Field(description="Shown in decisions and in the audit trail. Unique among the rules of its list.")
    profiles: Patterns = Field(description="Names of profiles, or patterns with * and ?.")

    def covers(self, profile: str) -> bool:
        """True when one of the patterns matches the profile's whole name. Case matters."""
        return any(is_covered(profile, pattern) for pattern in self.profiles)


class ApprovalRule(Rule):
    """Who may request which profiles, for how long, and who has to approve."""

    requesters: Selectors | None = Field(
        default=None, description="Who may request it. Left out: every verified person."
    )
    approvers: Selectors = Field(description="Who may approve and deny.")
    required_approvals: StrictInt = Field(
        default=1,
        ge=1,
        le=request.MAX_APPROVALS,
        description="How many people have to approve; 1 if left out.",
    )
    max_duration: RequestDuration = Field(description="The longest access that may be requested, such as 4h.")
    decide_within: DecisionTime = Field(
        default=request.DEFAULT_DECIDE_WITHIN,
        description="How long a request waits for its approvals; 24h if left out.",
    )
    remind_after: DecisionTime | None = Field(
        default=None, description="How long a request waits before the approvers are reminded, once. Left out: never."
    )
    auto_approve: AutoApproval | None = Field(default=None, description="When no person has to approve.")
    max_pending: StrictInt = Field(
        default=1,
        ge=1,
        le=MAX_PENDING,
        description="How many open requests one person may have for one profile; 1 if left out.",
    )
    cooldown_after_denial: LimitWindow | None = Field(
        default=None, description="How long after a denial the person can't request the profile again."
    )
    confirm: StrictBool = Field(
        default=False, description="Whether Approve opens a form that shows the request as it is recorded."
    )
    approver_mfa: Mfa = Field(default=Mfa.OPTIONAL, description="Whether approving needs an MFA code.")
    comment: Commented = Field(default=Commented.OPTIONAL, description="Whether approving needs a comment.")
    ask_before_end: RequestDuration = Field(
        default=_TIMES.ask_before_end,
        description="How long before the end of access its requester is asked to extend it or end it; 10m if left out.",
    )

    @property
    def needs_code(self) -> bool:
        """True when an approver's MFA code has to be verified."""
        return self.approver_mfa is Mfa.REQUIRED

    @property
    def needs_comment(self) -> bool:
        """True when an approval needs a comment."""
        return self.comment is Commented.REQUIRED

    def limits(self) -> RequestLimits:
        """The limits that the ledger of open requests is judged by."""
        return RequestLimits(max_pending=self.max_pending, cooldown_after_denial=self.cooldown_after_denial)


class BreakGlassRule(Rule):
    """Who may break the glass for which profiles, why, for how long, and how often."""

    users: Selectors = Field(description="Who may break the glass.")
    allowed_reason_codes: tuple[ReasonCode, ...] = Field(
        default=tuple(ReasonCode), min_length=1, description="The reason codes that are allowed. Left out: all of them."
    )
    max_duration: EventDuration = Field(description="The longest access, such as 2h.")
    cooldown: LimitWindow | None = Field(default=None, description="The pause after a person's last event.")
    max_per_user: Quota | None = Field(default=None, description="How many events one person may have in the window.")
    max_per_profile: Quota | None = Field(default=None, description="How many events one profile may have in it.")
    quota_window: LimitWindow = Field(default=timedelta(hours=24), description="Window of the quotas; 24h if left out.")
    escalation_threshold: Quota | None = Field(
        default=None, description="The number of events in the window at which the security channel is notified."
    )
    mfa: Mfa = Field(default=Mfa.OPTIONAL, description="Whether an MFA code is needed; optional if left out.")
    time: TimeWindow | None = Field(default=None, description="Only in these hours. Left out: always.")
    notify: Selectors | None = Field(default=None, description="Who is mentioned when it happens.")
    ask_before_end: EventDuration = Field(
        default=_TIMES.ask_before_end,
        description="How long before the end the invoker is asked whether it is over; 10m if left out.",
    )
    review_within: LimitWindow = Field(
        default=_TIMES.review_within,
        description="How soon after its end an event has to be reviewed, and how often reviewers are reminded; "
        "3d if left out.",
    )

    fallback: Fallback | None = Field(
        default=None,
        description="What to do when Countersign cannot record it; "
        f"plain text, up to {MAX_FALLBACK_LENGTH} characters.",
    )

    @property
    def needs_code(self) -> bool:
        """True when an MFA code has to be verified."""
        return self.mfa is Mfa.REQUIRED

    def times(self) -> EventTimes:
        """When people are asked about its events."""
        return EventTimes(self.ask_before_end, self.review_within)

    def limits(self) -> UsageLimits:
        """The limits that the usage ledgers are judged by."""
        return UsageLimits(
            cooldown=self.cooldown,
            max_per_user=self.max_per_user,
            max_per_profile=self.max_per_profile,
            quota_window=self.quota_window,
            escalation_threshold=self.escalation_threshold,
        )


class PolicyDocument(PolicyModel):
    """The whole policy file of Countersign."""

    version: Annotated[Literal[1], BeforeValidator(_check_version)] = Field(description="The version of this format.")
    groups: dict[Name, Selectors] = Field(default={}, description="Names for people, used in rules as group:name.")
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
    people: dict[UserField, NamesAtTargets] = Field(
        default={}, description="Who people are at the targets: by Slack user id, then by target."
    )

    def named_people(self) -> People:
        """Who is meant by the names in this file."""
        same_person = tuple(tuple(UserId(each) for each in ids) for ids in self.same_person)
        return People(groups=self.groups, is_email_trusted=self.identity.trust_email, same_person=same_person)

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

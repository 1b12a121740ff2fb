"""An approval rule: who may request which profiles, who has to approve, and when nobody has to.

Invariant: a rule is checked here on its own; automatic approval always has a limit.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final, Self

from pydantic import ConfigDict, Field, StrictBool, StrictInt, model_validator

from core import request
from core.open_requests import MAX_PENDING, RequestLimits
from core.policy.document import PolicyModel, mistake
from core.policy.escalation_config import EscalationStep, EscalationSteps
from core.policy.principals import PrincipalSelector
from core.policy.rule_base import Mfa, Rule
from core.policy.rule_fields import DecisionTime, LimitWindow, RequestDuration, Selectors, StartsWithin
from core.policy.ticket_config import TicketConfig
from core.policy.time_window import TimeWindow

URGENT_BEFORE: Final = timedelta(hours=1)
"""How long before a start that is far ahead people are paged, unless the steps of the escalation need more."""
ASK_BEFORE_END: Final = timedelta(minutes=10)
"""How long before the end of access its holder is asked what is next, where the rule doesn't say."""


class Commented(StrEnum):
    """Whether an approval needs a comment."""

    REQUIRED = "required"
    OPTIONAL = "optional"


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
    starts_within: StartsWithin | None = Field(
        default=None,
        description="How far ahead access may be requested that starts later, such as 7d. Left out: only from now on.",
    )
    remind_after: DecisionTime | None = Field(
        default=None, description="How long a request waits before the approvers are reminded, once. Left out: never."
    )
    escalate_after: DecisionTime | None = Field(
        default=None, description="How long a request waits before escalate_to may decide too. Left out: never."
    )
    escalate_to: Selectors | None = Field(
        default=None, description="Who is notified after escalate_after, and may decide from then on."
    )
    escalation: EscalationSteps | None = Field(
        default=None, description="Several steps, each with after and to; instead of escalate_after and escalate_to."
    )
    approver_hours: TimeWindow | None = Field(
        default=None,
        description="The hours in which approvers may approve. It doesn't bind who is on call or a step of escalation.",
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
        default=ASK_BEFORE_END,
        description="How long before the end of access its requester is asked to extend it or end it; 10m if left out.",
    )
    page: StrictBool = Field(
        default=False, description="Whether a request that waits for approval pages people; false if left out."
    )
    ticket: TicketConfig | None = Field(default=None, description="The ticket that a request needs. Left out: none.")

    @property
    def needs_code(self) -> bool:
        """True when an approver's MFA code has to be verified."""
        return self.approver_mfa is Mfa.REQUIRED

    @property
    def needs_comment(self) -> bool:
        """True when an approval needs a comment."""
        return self.comment is Commented.REQUIRED

    def steps(self) -> tuple[EscalationStep, ...]:
        """The steps of its escalation, in order; none if nobody else ever decides."""
        if self.escalate_after is not None and self.escalate_to is not None:
            # Both were checked when they were read, as the durations and people of the file that they are.
            return (EscalationStep.model_construct(after=self.escalate_after, to=self.escalate_to),)
        return self.escalation or ()

    @property
    def urgent_before(self) -> timedelta:
        """How long before a start a decision is urgent: long enough for every step, and for people to react to it."""
        steps = self.steps()
        return min(max(URGENT_BEFORE, 2 * steps[-1].after if steps else timedelta()), self.decide_within)

    @model_validator(mode="after")
    def _escalates_one_way(self) -> Self:
        if (self.escalate_after is None) != (self.escalate_to is None):
            there, missing = ("escalate_to", "escalate_after")[:: 1 if self.escalate_after is None else -1]
            raise mistake(f"{there} needs {missing}", f"Add {missing}, or remove {there}.")
        if self.escalation is not None and self.escalate_after is not None:
            raise mistake(
                "escalation is given twice",
                "Write every step under escalation, each with after and to, and remove escalate_after and escalate_to.",
            )
        return self

    @model_validator(mode="after")
    def _knows_its_tickets(self) -> Self:
        if self.ticket is not None and self.ticket.check is None and self.auto_approve is not None:
            raise mistake(
                "auto_approve never applies: it needs a ticket that is known to be open",
                "Add check to the ticket, or remove auto_approve.",
            )
        return self

    def deciders(self) -> tuple[PrincipalSelector, ...]:
        """Everybody who may ever decide: the approvers, and those of every step."""
        return (*self.approvers, *(each for step in self.steps() for each in step.to))

    def limits(self) -> RequestLimits:
        """The limits that the ledger of open requests is judged by."""
        return RequestLimits(max_pending=self.max_pending, cooldown_after_denial=self.cooldown_after_denial)

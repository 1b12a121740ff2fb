"""What the policy decides about one request: yes or no, the rule, and every reason.

Invariant: a decision is allowed if and only if it has at least one condition and all of them are met. Any other
combination fails validation, so a missing reason can never turn into a yes. A condition that needs a user group or a
schedule which isn't known is unmet.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from core.actor import Need
from core.duration import Duration
from core.duty import Duty
from core.errors import NotAllowed, NotKnown
from core.open_requests import RequestLimits
from core.usage import UsageLimits


class Condition(BaseModel):
    """One thing that had to hold, whether it did, and a sentence that says so.

    `needs` are the user groups and schedules without which nobody can say. `duty` is the duty by which it is met, where
    the rule names who is on call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    is_met: bool
    text: str
    needs: frozenset[Need] = frozenset()
    duty: Duty | None = None

    @model_validator(mode="after")
    def _is_unmet_while_not_known(self) -> Self:
        if self.is_met and self.needs:
            raise ValueError("a condition that needs more is not met")
        return self


class Decision(BaseModel):
    """The answer of one version of the policy. `rule` is None when no rule decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    is_allowed: bool
    rule: str | None
    conditions: tuple[Condition, ...]
    policy_digest: str

    @property
    def needs(self) -> frozenset[Need]:
        """The user groups and schedules on which the answer depends; empty when it is yes or no whatever they are."""
        return find_needs(self.conditions)

    @property
    def unmet(self) -> tuple[str, ...]:
        """The sentences of the unmet conditions. Those that aren't known are left out if the answer is no anyway."""
        return tuple(condition.text for condition in self._unmet)

    def require(self) -> None:
        """Raises NotAllowed, with every unmet condition, unless the decision is a yes.

        Raises NotKnown instead when it may be a yes once more is known.
        """
        if self.is_allowed:
            return
        if needs := find_needs(self.conditions):
            raise NotKnown(self.action, self.unmet, self.rule, tuple(sorted(needs)))
        raise NotAllowed(self.action, self.unmet, self.rule, tuple(condition.name for condition in self._unmet))

    @property
    def _unmet(self) -> tuple[Condition, ...]:
        unmet = tuple(condition for condition in self.conditions if not condition.is_met)
        return unmet if find_needs(self.conditions) else tuple(each for each in unmet if not each.needs)

    @property
    def duty(self) -> Duty | None:
        """The duty by which a condition is met, if there is one."""
        return next((each.duty for each in self.conditions if each.is_met and each.duty is not None), None)

    def to_details(self) -> dict[str, JsonValue]:
        """What the audit entry records: the rule, the policy's digest, and the reasons if the answer is no.

        `on_call` has the source, the schedule and the shift of each duty by which a condition is met.
        """
        details: dict[str, JsonValue] = {"policy_digest": self.policy_digest}
        if self.rule is not None:
            details["rule"] = self.rule
        if not self.is_allowed:
            details["unmet"] = list(self.unmet)
        duties = dict.fromkeys(each.duty for each in self.conditions if each.is_met and each.duty is not None)
        if duties:
            details["on_call"] = [each.to_details() for each in duties]
        return details

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.is_allowed != are_all_met(self.conditions):
            raise ValueError("a decision is allowed if and only if it has conditions and all of them are met")
        return self


class GivenWithVote(BaseModel):
    """What came with an approval: a form that showed the request, a comment, a code that is still to be verified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    has_form: bool = False
    has_comment: bool = False
    has_code: bool = False


class ApprovalNeeds(BaseModel):
    """What a rule wants with an approval: that the form shows the request, a code, a comment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confirm: bool = False
    code: bool = False
    comment: bool = False

    @property
    def any(self) -> bool:
        """True when an approval takes more than a press of the button."""
        return self.confirm or self.code or self.comment


class RequestDecision(Decision):
    """The answer to a request for access; the limits are judged later, on the ledger of open requests.

    Without a rule, it needs 0 approvals and its duration is 0.
    """

    required_approvals: int = 0
    max_duration: Duration = timedelta()
    decide_within: Duration = timedelta()
    limits: RequestLimits = RequestLimits()
    auto_approval: Decision | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """Also those on which automatic approval depends; while they aren't known, people have to approve."""
        automatic = self.auto_approval.needs if self.auto_approval is not None else frozenset[Need]()
        return super().needs | automatic

    def join(self, more: tuple[Condition, ...], automatic: tuple[Condition, ...] = ()) -> Self:
        """The decision when these hold, too; and `automatic`, for nobody to have to approve."""
        found, judged = (*self.conditions, *more), self.auto_approval
        if judged is not None and automatic:
            judged = decide(judged.action, judged.rule, (*judged.conditions, *automatic), judged.policy_digest)
        is_allowed = are_all_met(found)
        changes = {"conditions": found, "is_allowed": is_allowed, "auto_approval": judged if is_allowed else None}
        return self.model_copy(update=changes)


class BreakGlassDecision(Decision):
    """The answer to a declaration of a break-glass event.

    The limits are judged later, together with the usage ledgers.
    """

    limits: UsageLimits = UsageLimits()
    max_duration: Duration = timedelta()
    requires_mfa: bool = True


def decide(action: str, rule: str | None, found: tuple[Condition, ...], digest: str) -> Decision:
    """The decision that follows from what was found."""
    return Decision(action=action, is_allowed=are_all_met(found), rule=rule, conditions=found, policy_digest=digest)


def are_all_met(conditions: tuple[Condition, ...]) -> bool:
    """True when there are conditions and all of them are met."""
    return bool(conditions) and all(condition.is_met for condition in conditions)


def find_needs(conditions: tuple[Condition, ...]) -> frozenset[Need]:
    """The user groups and schedules that decide; none when a condition is unmet whatever they are."""
    open_, needs = [each for each in conditions if not each.is_met], frozenset[Need]()
    if all(each.needs for each in open_):
        needs = needs.union(*(each.needs for each in open_))
    return needs

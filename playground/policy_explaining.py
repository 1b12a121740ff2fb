"""Explains a decision of a policy to somebody who tries the editor: who, what, and every reason.

Invariant: people and their user groups are the workspace's, as the bot would find them; the decision is the policy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from core.actor import Actor, UserGroupId, UserId
from core.break_glass import ReasonCode
from core.duration import format_duration, parse_duration
from core.duty import Duty, OnCallName
from core.errors import InvalidInput
from core.policy import BreakGlassDecision, Condition, Decision, Policy, RequestDecision
from localslack.records import Json
from localslack.refusals import NotOnScreen
from localslack.workspace import Workspace
from playground.people import PEOPLE

_PEOPLE: Final = frozenset(each.person.id for each in PEOPLE)
_GUEST: Final = "is a guest in Slack: Countersign refuses guests before it asks the policy"
FindDuties: TypeAlias = Callable[[Policy, UserId], Mapping[OnCallName, Duty]]
"""What the schedules of a policy say of a person now."""
_Name = Annotated[str, Field(min_length=1, max_length=100)]


class ExplainedCase(BaseModel):
    """Who, what, for how long. `requester` is whose request an approver would decide on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Literal["request", "approve", "break_glass"]
    person: str
    profile: _Name
    duration: _Name = "1h"
    requester: str | None = None
    reason: ReasonCode = ReasonCode.INCIDENT


class Explainer:
    """Answers questions."""

    def __init__(self, workspace: Workspace, now: Callable[[], datetime], find_duties: FindDuties) -> None:
        self._workspace = workspace
        self._now = now
        self._find_duties = find_duties

    def explain(self, policy: Policy, question: ExplainedCase) -> Json:
        """The decision with every reason. Raises InvalidInput, NotOnScreen."""
        if self._is_guest(question.person):
            return {"is_allowed": False, "rule": None, "conditions": [{"is_met": False, "text": _GUEST}], "more": []}
        decision = self._judge(policy, question)
        shown: Json = {
            "is_allowed": decision.is_allowed,
            "rule": decision.rule,
            "conditions": _describe(decision.conditions),
            "more": [],
        }
        if decision.is_allowed and isinstance(decision, RequestDecision):
            shown["more"] = self._describe_request(policy, decision, question)
        elif decision.is_allowed and isinstance(decision, BreakGlassDecision):
            shown["more"] = _describe_limits(decision)
        return shown

    def _is_guest(self, person: str) -> bool:
        return person in _PEOPLE and self._workspace.person(person).is_restricted

    def _judge(self, policy: Policy, question: ExplainedCase) -> Decision:
        person, now = self._find(policy, question.person), self._now()
        length = parse_duration(question.duration)
        if question.what == "break_glass":
            return policy.judge_break_glass(person, question.profile, question.reason, length, now, has_mfa=False)
        if question.what == "request":
            return policy.judge_request(person, question.profile, length, now)
        if question.requester is None:
            raise InvalidInput("requester", "it is missing", "Say whose request it would be.")
        requester = self._find(policy, question.requester)
        asked = policy.judge_request(requester, question.profile, length, now)
        if asked.rule is None:
            # There is no request to decide on, and why not is the answer.
            return asked
        return policy.judge_decider(
            "approve",
            person,
            profile=question.profile,
            rule=asked.rule,
            requester=UserId(requester.id),
            waits_since=now,
            now=now,
        )

    def _find(self, policy: Policy, person: str) -> Actor:
        if person not in _PEOPLE:
            raise NotOnScreen("There is nobody with this id.")
        found = self._workspace.person(person)
        members = {group.id: group.users for group in self._workspace.groups}
        memberships = {group: person in members.get(group, ()) for group in policy.user_groups()}
        return Actor(
            id=UserId(person),
            name=found.real_name or found.name,
            email=found.email,
            memberships={UserGroupId(group): is_in for group, is_in in memberships.items()},
            duties=self._find_duties(policy, UserId(person)),
        )

    def _describe_request(self, policy: Policy, decision: RequestDecision, question: ExplainedCase) -> list[str]:
        approvers = policy.approvers_for(question.profile, self._find(policy, question.person))
        lines = [
            f"Approvals needed: {decision.required_approvals}, from {', '.join(approvers)}",
            f"Expires if undecided after {format_duration(decision.decide_within)}",
        ]
        if decision.auto_approval is not None:
            lines.append(f"Approved automatically: {'yes' if decision.auto_approval.is_allowed else 'no'}")
            lines += [each.text for each in decision.auto_approval.conditions if not each.is_met]
        return lines


def _describe(conditions: tuple[Condition, ...]) -> list[Json]:
    return [{"is_met": each.is_met, "text": each.text} for each in conditions]


def _describe_limits(decision: BreakGlassDecision) -> list[str]:
    limits = decision.limits
    window = format_duration(limits.quota_window)
    said = [
        f"cooldown {format_duration(limits.cooldown)}" if limits.cooldown else "",
        f"{limits.max_per_user} per person in {window}" if limits.max_per_user else "",
        f"{limits.max_per_profile} per profile in {window}" if limits.max_per_profile else "",
    ]
    known = ", ".join(filter(None, said)) or "one active event per person and profile"
    return [f"Limits, checked when the glass is broken: {known}"]

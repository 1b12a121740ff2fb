"""Cases for a policy: who asks for what and when, and what has to come of it; and whether a policy says so.

Invariant: pure. A case is judged by the functions that decide in Slack; what a case leaves out is the same each time,
so that a case never fails because of the day on which it ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from core import request
from core.actor import Actor, UserGroupId, UserId, check_user_group_id
from core.break_glass import ReasonCode
from core.clock import require_utc
from core.duration import format_duration
from core.errors import InvalidInput
from core.on_call import FixedRoster, on_call_name
from core.policy.decision import BreakGlassDecision, Decision, GivenWithVote, RequestDecision
from core.policy.document import Name, PolicyModel, duration_rule, mistake
from core.policy.evaluator import Policy
from core.policy.rule_fields import UserField
from core.policy.ticket_cases import CaseTicket, read_ticket, with_case_ticket

A_WEDNESDAY: Final = datetime(2026, 1, 14, 12, tzinfo=UTC)
"""When a case happens that doesn't say when."""
MAX_CASES: Final = 1000
_ONE_HOUR: Final = timedelta(hours=1)
_ACTS: Final = ("request", "approve", "break_glass")


class CaseAnswer(StrEnum):
    """What a case can expect."""

    ALLOWED = "allowed"
    REFUSED = "refused"


def _read_moment(value: object) -> object:
    try:
        return require_utc(datetime.fromisoformat(value)) if isinstance(value, str) else value
    except (ValueError, OverflowError) as error:
        raise mistake(f"{value!r:.60} is not a time with a time zone", "Write it like 2026-01-14T12:00:00Z.") from error


def _read_expectation(value: object) -> object:
    return {"answer": value} if isinstance(value, str) else value


def _check_version(value: object) -> object:
    if isinstance(value, bool) or value != 1:
        raise mistake(f"{value!r:.60} is not a version of this format", "Write version: 1.")
    return value


def _check_group(text: str) -> UserGroupId:
    try:
        return check_user_group_id(text)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


Moment = Annotated[datetime, BeforeValidator(_read_moment)]
Length = Annotated[timedelta, *duration_rule(request.MAX_DURATION * 4)]
GroupField = Annotated[StrictStr, AfterValidator(_check_group)]
OnCallNow = Mapping[Name, tuple[UserField, ...]]
"""Who is on call, by the names that the policy gives to schedules."""


class CasePerson(PolicyModel):
    """What is known of a person: the user groups of Slack that they are in, and no others, and their e-mail address."""

    groups: tuple[GroupField, ...] = ()
    email: StrictStr | None = None


class Expectation(PolicyModel):
    """What has to come of a case. What is left out may be anything."""

    answer: CaseAnswer
    rule: Name | None = None
    approvals: StrictInt | None = Field(default=None, ge=0)
    automatic: StrictBool | None = None
    longest: Length | None = None
    because: StrictStr | None = None


class PolicyCase(PolicyModel):
    """Who, what and when, and what is expected. Exactly one of `request`, `approve` and `break_glass` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: StrictStr | None = None
    who: UserField
    request: Name | None = None
    approve: Name | None = None
    break_glass: Name | None = None
    duration: Length = Field(default=_ONE_HOUR, alias="for")
    of: UserField | None = None
    waited: Length | None = None
    reason: ReasonCode = ReasonCode.INCIDENT
    mfa: StrictBool = False
    comment: StrictBool = False
    when: Moment = A_WEDNESDAY
    on_call: OnCallNow = Field(default={})
    ticket: Annotated[CaseTicket | None, BeforeValidator(read_ticket)] = None
    expect: Annotated[Expectation, BeforeValidator(_read_expectation)]

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        acts = [each for each in _ACTS if getattr(self, each) is not None]
        if len(acts) != 1:
            raise mistake(
                f"a case does one thing, and this one does {len(acts)}",
                "Write exactly one of request, approve and break_glass, with the profile.",
            )
        if (self.approve is None) != (self.of is None):
            raise mistake("approve and of belong together", "Write of: with the id of the requester, beside approve.")
        if self.ticket is not None and self.request is None:
            raise mistake("ticket is about a request", "Write it beside request, or remove it.")
        if self.waited is not None and self.approve is None:
            raise mistake("waited is about an approval", "Write it beside approve, or remove it.")
        return self

    @property
    def title(self) -> str:
        """Its name, or what it is about."""
        if self.name is not None:
            return self.name
        length = format_duration(self.duration)
        if self.approve is not None:
            return f"{self.who} approves {self.approve} of {self.of}"
        if self.break_glass is not None:
            return f"{self.who} breaks the glass for {self.break_glass}, {length}, {self.reason}"
        return f"{self.who} requests {self.request} for {length}"


class PolicyCases(PolicyModel):
    """The whole file of cases."""

    version: Annotated[Literal[1], BeforeValidator(_check_version)]
    people: Mapping[UserField, CasePerson] = Field(default={})
    on_call: OnCallNow = Field(default={})
    cases: tuple[PolicyCase, ...] = Field(min_length=1, max_length=MAX_CASES)

    def actor(self, policy: Policy, person: str, case: PolicyCase) -> Actor:
        """This person as the file describes them: in these user groups and on call there, and nowhere else.

        Raises InvalidInput for a schedule that the policy doesn't have.
        """
        known = self.people.get(person, CasePerson())
        groups = {UserGroupId(each) for each in known.groups}
        memberships = {group: group in groups for group in groups | policy.user_groups()}
        on_call = {**self.on_call, **case.on_call}
        now_on_call = {on_call_name(name): [*map(UserId, who)] for name, who in on_call.items()}
        roster = FixedRoster(now_on_call, case.when)
        duties = roster.duties(UserId(person), policy.document.require_schedules(now_on_call))
        return Actor(id=UserId(person), email=known.email, memberships=memberships, duties=duties)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What a policy made of a case: each difference from what was expected, and the reasons of the policy."""

    case: PolicyCase
    differences: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    decision: Decision | None = None

    @property
    def is_met(self) -> bool:
        """True when all came as expected."""
        return not self.differences


def judge_cases(policy: Policy, cases: PolicyCases) -> tuple[CaseOutcome, ...]:
    """What this policy makes of each case, in the order of the file."""
    return tuple(_judge(policy, cases, each) for each in cases.cases)


def _judge(policy: Policy, cases: PolicyCases, case: PolicyCase) -> CaseOutcome:
    try:
        decision = _decide(policy, cases, case)
    except InvalidInput as error:
        return CaseOutcome(case, (str(error),))
    reasons = tuple(f"{'met' if each.is_met else 'not met'}: {each.text}" for each in decision.conditions)
    return CaseOutcome(case, tuple(_compare(case.expect, decision)), reasons, decision)


def _decide(policy: Policy, cases: PolicyCases, case: PolicyCase) -> Decision:
    person = cases.actor(policy, case.who, case)
    if case.request is not None:
        asked = policy.judge_request(person, case.request, case.duration, case.when)
        return with_case_ticket(policy, asked, case.ticket, person)
    if case.break_glass is not None:
        profile = case.break_glass
        return policy.judge_break_glass(person, profile, case.reason, case.duration, case.when, has_mfa=case.mfa)
    profile, requester = str(case.approve), cases.actor(policy, str(case.of), case)
    asked = policy.judge_request(requester, profile, case.duration, case.when)
    if asked.rule is None:
        # There is nothing to approve: that, and not the approver, is what is refused.
        return asked
    given = GivenWithVote(has_form=True, has_comment=case.comment, has_code=case.mfa)
    return policy.judge_decider(
        "approve",
        person,
        profile=profile,
        rule=asked.rule,
        requester=requester.id,
        given=given,
        waits_since=case.when - (case.waited or timedelta()),
        now=case.when,
    )


def _compare(expected: Expectation, found: Decision) -> Iterator[str]:
    answer = CaseAnswer.ALLOWED if found.is_allowed else CaseAnswer.REFUSED
    if answer is not expected.answer:
        yield f"expected {expected.answer}, got {answer}"
    for name, wanted, got in _facts(expected, found):
        if wanted is not None and wanted != got:
            yield f"expected {name} {_write(wanted)}, got {_write(got)}"
    if expected.because is not None and not any(expected.because.lower() in each.lower() for each in found.unmet):
        yield f"expected a refusal because of {expected.because!r}, got {'; '.join(found.unmet) or 'no refusal'}"


def _facts(expected: Expectation, found: Decision) -> Iterator[tuple[str, object, object]]:
    yield "rule", expected.rule, found.rule or "none"
    asked = found if isinstance(found, RequestDecision) else None
    yield "approvals", expected.approvals, asked.required_approvals if asked is not None else None
    automatic = asked.auto_approval if asked is not None else None
    yield "automatic", expected.automatic, automatic is not None and automatic.is_allowed
    longest = found.max_duration if isinstance(found, RequestDecision | BreakGlassDecision) else None
    yield "longest", expected.longest, longest


def _write(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return format_duration(value) if isinstance(value, timedelta) else str(value if value is not None else "none")


CASE_KEYS: Final[Mapping[str, type[PolicyModel]]] = {
    "cases": PolicyCase,
    "people": CasePerson,
    "ticket": CaseTicket,
    "expect": Expectation,
}
"""The models below the keys of the file, for naming the nearest key."""

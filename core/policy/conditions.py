"""The conditions of a decision: each is evaluated on its own, and says in one sentence whether it is met.

Invariant: a condition that raises counts as unmet. In the search for the first matching rule it also ends the search,
because a rule that could not be judged must not pass the request on to a more generous rule below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from core.actor import Actor, UserId
from core.break_glass import ReasonCode
from core.duration import format_duration
from core.policy.decision import Condition
from core.policy.principals import People, PrincipalSelector
from core.policy.rules import ApprovalRule, BreakGlassRule
from core.policy.time_window import TimeWindow

Finding = tuple[bool, str]
"""Whether a condition is met, and the sentence that says so."""
AnyRule = TypeVar("AnyRule", ApprovalRule, BreakGlassRule)
Selectors = tuple[PrincipalSelector, ...]
_MAX_REASON_LENGTH: Final = 120


def judge(name: str, check: Callable[[], Finding]) -> Condition:
    """Evaluate one condition. Promises never to raise: a check that raises is unmet, and the sentence says why."""
    is_met, text = _attempt(name, check)
    return Condition(name=name, is_met=is_met is True, text=text)


def find_rule(
    rules: Iterable[AnyRule], actor: Actor, profile: str, *, role: str, match: Callable[[AnyRule], Finding]
) -> tuple[AnyRule | None, tuple[Condition, ...]]:
    """The first rule that covers the profile and gives the actor the role, with the condition that says so.

    Without such a rule: None, and unmet conditions that say why each rule for the profile doesn't apply to the actor.
    """
    missed: list[Condition] = []
    for rule in rules:
        if not rule.covers(profile):
            continue
        is_met, text = _attempt(role, partial(match, rule))
        condition = Condition(name=role, is_met=is_met is True, text=text)
        if is_met is None:
            return None, (condition,)
        if is_met:
            return rule, (condition,)
        missed.append(condition)
    nobody = f"no rule covers {profile} with {actor.id} as {role}" if missed else f"no rule covers {profile}"
    return None, (Condition(name="rule", is_met=False, text=nobody), *missed)


def is_among(people: People, actor: Actor, selectors: Selectors, role: str) -> Finding:
    """Is this person one of those who have the role, such as "the approvers of prod"?"""
    found = people.find(actor, selectors)
    if found is None:
        return False, f"{actor.id} is not among {role}: {', '.join(map(str, selectors))}"
    if str(found) == actor.id:
        return True, f"{actor.id} is named among {role}"
    return True, f"{actor.id} is in {found}, among {role}"


def may_request(people: People, actor: Actor, rule: ApprovalRule) -> Finding:
    """Does the rule let this person make a request?"""
    if rule.requesters is None:
        return True, f"every verified person may ask under rule {rule.name}"
    return is_among(people, actor, rule.requesters, f"the requesters of rule {rule.name}")


def is_short_enough(duration: timedelta, longest: timedelta) -> Finding:
    """Is the duration more than zero and at most the maximum?"""
    written, limit = format_duration(duration), format_duration(longest)
    if duration <= timedelta():
        return False, f"{written} is no time at all"
    if duration > longest:
        return False, f"{written} is longer than the {limit} that are allowed"
    return True, f"{written} is within the {limit} that are allowed"


def is_open(window: TimeWindow, now: datetime) -> Finding:
    """Is the window open at this moment?"""
    if window.is_open(now):
        return True, f"it is within {window}"
    return False, f"it is outside {window}"


def is_someone_else(actor: Actor, other: UserId, *, act: str, role: str) -> Finding:
    """Is this person somebody other than the one in the role? Nobody decides about themselves."""
    if actor.id == other:
        return False, f"{actor.id} is {role}, and nobody {act}"
    return True, f"{actor.id} is not {role}"


def is_reason_allowed(reason_code: ReasonCode, allowed: tuple[ReasonCode, ...]) -> Finding:
    """Is the reason code one that the rule allows?"""
    if reason_code in allowed:
        return True, f"reason code {reason_code} is allowed"
    return False, f"reason code {reason_code} isn't allowed (allowed: {', '.join(allowed)})"


def is_mfa_given(*, has_mfa: bool) -> Finding:
    """Was an MFA code verified?"""
    return has_mfa, "an MFA code was verified" if has_mfa else "an MFA code is required and was not verified"


def _attempt(name: str, check: Callable[[], Finding]) -> tuple[bool | None, str]:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - any error while judging has to become a no.
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON_LENGTH]
        return None, f"the {name} could not be judged ({reason})"

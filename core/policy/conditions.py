"""The conditions of a decision: each is evaluated on its own, and says in one sentence whether it is met.

Invariant: a condition that raises counts as unmet. In the search for the first matching rule it also ends the search,
because a rule that could not be judged must not pass the request on to a more generous rule below it. The same holds
for a rule that names a user group or a schedule which isn't known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, TypeVar

from core.actor import Actor, Need, UserId
from core.break_glass import ReasonCode
from core.duration import format_duration
from core.duty import Duty
from core.policy.decision import ApprovalNeeds, Condition, GivenWithVote
from core.policy.duty_words import describe_duty
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import ApprovalRule, AutoApproval, BreakGlassRule, PolicyDocument
from core.policy.time_window import TimeWindow

AnyRule = TypeVar("AnyRule", ApprovalRule, BreakGlassRule)
Selectors = tuple[PrincipalSelector, ...]
_MAX_REASON_LENGTH: Final = 120
_ACTS: Final = {"requester": "request", "approver": "approve", "user": "break the glass for"}


class Judgment(NamedTuple):
    """Whether a condition is met, the sentence that says so, and what nobody can say it without.

    `duty` is the duty by which it is met, where the rule names who is on call.
    """

    is_met: bool
    text: str
    needs: frozenset[Need] = frozenset()
    duty: Duty | None = None


def judge(name: str, check: Callable[[], Judgment]) -> Condition:
    """Evaluate one condition. Promises never to raise: a check that raises is unmet, and the sentence says why."""
    return _attempt(name, check)[0]


def find_rule(
    rules: Iterable[AnyRule], actor: Actor, profile: str, *, role: str, match: Callable[[AnyRule], Judgment]
) -> tuple[AnyRule | None, tuple[Condition, ...]]:
    """The first rule that covers the profile and gives the actor the role, with the condition that says so.

    Without such a rule: None, and unmet conditions that say why each rule for the profile doesn't apply to the actor.
    """
    missed: list[Condition] = []
    for rule in rules:
        if not rule.covers(profile):
            continue
        condition, is_judged = _attempt(role, partial(match, rule))
        if not is_judged:
            return None, (condition,)
        if condition.is_met:
            return rule, (condition,)
        missed.append(condition)
    return None, _nobody(actor, profile, role, missed)


def find_any_rule(
    rules: Iterable[AnyRule], actor: Actor, profile: str, *, role: str, match: Callable[[AnyRule], Judgment]
) -> tuple[AnyRule | None, tuple[Condition, ...]]:
    """A rule that covers the profile and gives the actor the role, where each such rule gives the same right.

    So a rule that can't be judged doesn't keep anybody from the right that another one gives them.
    """
    missed: list[Condition] = []
    for rule in rules:
        if rule.covers(profile):
            condition, _ = _attempt(role, partial(match, rule))
            if condition.is_met:
                return rule, (condition,)
            missed.append(condition)
    open_ = tuple(condition for condition in missed if condition.needs)
    return None, open_ or _nobody(actor, profile, role, missed)


def is_among(
    people: People,
    actor: Actor,
    selectors: Selectors,
    role: str,
    *,
    for_approving: bool = False,
    later: datetime | None = None,
) -> Judgment:
    """Is this person one of those who have the role, such as "the approvers of prod"?

    `for_approving`: the role is to decide on what others ask for, for which a duty holds a little longer. `later`: who
    is on call has to be so then, too.
    """
    found, needs, duty = people.find(actor, selectors, for_approving=for_approving, later=later)
    if needs:
        text = f"{people.describe_unknown(actor.id, needs)}, among {role}"
        return Judgment(is_met=False, text=text, needs=needs)
    if found is None:
        return _no(f"{actor.id} is not among {role}: {', '.join(map(str, selectors))}")
    if duty is not None:
        by_group = f", in {found}" if found.kind is PrincipalKind.GROUP else ""
        return Judgment(is_met=True, text=f"{actor.id} {describe_duty(duty)}{by_group}, among {role}", duty=duty)
    if str(found) == actor.id:
        return _yes(f"{actor.id} is named among {role}")
    return _yes(f"{actor.id} is in {found}, among {role}")


def may_request(people: People, actor: Actor, rule: ApprovalRule, later: datetime | None = None) -> Judgment:
    """Does the rule let this person make a request? With `later`: as far as it is known now, then too?"""
    if rule.requesters is None:
        return _yes(f"every verified person may ask under rule {rule.name}")
    return is_among(people, actor, rule.requesters, f"the requesters of rule {rule.name}", later=later)


def is_short_enough(duration: timedelta, longest: timedelta) -> Judgment:
    """Is the duration more than zero and at most the maximum?"""
    written, limit = format_duration(duration), format_duration(longest)
    if duration <= timedelta():
        return _no(f"{written} is no time at all")
    if duration > longest:
        return _no(f"{written} is longer than the {limit} that are allowed")
    return _yes(f"{written} is within the {limit} that are allowed")


def is_open(window: TimeWindow, now: datetime) -> Judgment:
    """Is the window open at this moment?"""
    if window.is_open(now):
        return _yes(f"it is within {window}")
    return _no(f"it is outside {window}")


def is_someone_else(people: People, actor: Actor, other: UserId, *, act: str, role: str) -> Judgment:
    """Is this person somebody other than the one in the role? Nobody decides about themselves."""
    if actor.id == other:
        return _no(f"{actor.id} is {role}, and nobody {act}")
    if other in people.ids_of(actor.id):
        return _no(f"{actor.id} and {other} are one person, who is {role}, and nobody {act}")
    return _yes(f"{actor.id} is not {role}")


def is_in_force(document: PolicyDocument, name: str, profile: str) -> Judgment:
    """Is the rule under which a request was made still in the policy, and does it still cover the profile?"""
    rule, fix = document.approval_rule(name), "cancel the request and ask again"
    if rule is None:
        return _no(f"rule {name}, under which this was asked, is not in the policy any more; {fix}")
    if profile not in document.profiles:
        return _no(f"the profile {profile} is not in the policy any more; {fix}")
    if not rule.covers(profile):
        return _no(f"rule {name} does not cover {profile} any more; {fix}")
    return _yes(f"rule {name} covers {profile}")


def is_same_rule(requester: Actor, applies: ApprovalRule, made_under: ApprovalRule) -> Judgment:
    """Does the rule under which a request was made still decide about its requester?"""
    if applies.name == made_under.name:
        return _yes(f"rule {made_under.name} decides about {requester.id}")
    change = (
        f"rule {applies.name} decides about {requester.id} now, not rule {made_under.name}, under which this was asked"
    )
    return _no(f"{change}; cancel the request and ask again")


def is_reason_allowed(reason_code: ReasonCode, allowed: tuple[ReasonCode, ...]) -> Judgment:
    """Is the reason code one that the rule allows?"""
    if reason_code in allowed:
        return _yes(f"reason code {reason_code} is allowed")
    return _no(f"reason code {reason_code} isn't allowed (allowed: {', '.join(allowed)})")


def is_mfa_given(*, has_mfa: bool) -> Judgment:
    """Was an MFA code verified?"""
    return _yes("an MFA code was verified") if has_mfa else _no("an MFA code is required and was not verified")


def are_automatic(
    people: People,
    rule: ApprovalRule,
    automatic: AutoApproval,
    requester: Actor,
    duration: timedelta,
    opens_at: datetime,
) -> Iterator[Condition]:
    """What the rule wants of a request that it approves automatically, whose access opens then."""
    still = judge("requester", lambda: may_request(people, requester, rule, opens_at))
    if not still.is_met:
        yield still
    if (who := automatic.requesters) is not None:
        role = f"the people rule {rule.name} approves automatically"
        yield judge("requester", lambda: is_among(people, requester, who, role, later=opens_at))
    if (longest := automatic.max_duration) is not None:
        yield judge("duration", lambda: is_short_enough(duration, longest))
    if (window := automatic.time) is not None:
        yield judge("time", lambda: is_open(window, opens_at))


def find_approval_needs(rule: ApprovalRule | None) -> ApprovalNeeds:
    """What the rule wants with an approval besides a press; nothing when there is no rule."""
    if rule is None:
        return ApprovalNeeds()
    return ApprovalNeeds(confirm=rule.confirm, code=rule.needs_code, comment=rule.needs_comment)


def are_given(rule: ApprovalRule, given: GivenWithVote) -> Iterator[Condition]:
    """What the rule wants with an approval. Whether a code is correct is judged later, on the ledger of codes."""
    if rule.confirm:
        yield judge("form", lambda: is_form_given(has_form=given.has_form))
    if rule.needs_comment:
        yield judge("comment", lambda: is_comment_given(has_comment=given.has_comment))
    if rule.needs_code:
        yield judge("code", lambda: is_mfa_given(has_mfa=given.has_code))


def is_form_given(*, has_form: bool) -> Judgment:
    """Did the approver see the request as it is recorded?"""
    if has_form:
        return _yes("the request was shown as it is recorded")
    return _no("the request has to be confirmed in the form that Approve opens")


def is_comment_given(*, has_comment: bool) -> Judgment:
    """Does the approval have a comment?"""
    return _yes("the approval has a comment") if has_comment else _no("a comment is required")


def _attempt(name: str, check: Callable[[], Judgment]) -> tuple[Condition, bool]:
    """The condition, and whether it could be judged at all."""
    try:
        judgment = check()
    except Exception as error:  # noqa: BLE001 - any error while judging has to become a no.
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON_LENGTH]
        return Condition(name=name, is_met=False, text=f"the {name} could not be judged ({reason})"), False
    condition = Condition(
        name=name, is_met=judgment.is_met, text=judgment.text, needs=judgment.needs, duty=judgment.duty
    )
    return condition, not condition.needs


def _nobody(actor: Actor, profile: str, role: str, missed: list[Condition]) -> tuple[Condition, ...]:
    text = f"no rule lets {actor.id} {_ACTS[role]} {profile}" if missed else f"no rule covers {profile}"
    return Condition(name="rule", is_met=False, text=text), *missed


def _yes(text: str) -> Judgment:
    return Judgment(is_met=True, text=text)


def _no(text: str) -> Judgment:
    return Judgment(is_met=False, text=text)

"""What changes for people between two versions of a policy: who gains what, who loses what, and under which terms.

Invariant: pure, and judged by the functions that decide in Slack. Everybody is covered: each person, user group and
schedule that one of the versions names, and everybody else. A person in several user groups or schedules has what each
of them alone gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from core.actor import Actor, UserGroupId, UserId
from core.duration import format_duration
from core.on_call import Duty, FixedRoster, OnCallName, on_call_name
from core.policy.access_summary import describe_permission
from core.policy.evaluator import Policy
from core.policy.lint import all_selectors
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import ApprovalRule, BreakGlassRule

NOBODY: Final = UserId("U00000000000")
"""Stands for the people whom neither version names by their id."""
A_MOMENT: Final = datetime(2026, 1, 14, 12, tzinfo=UTC)
"""When the schedules said who is on call: a comparison has no time of its own."""
SEPARATOR: Final = "; "
"""Between the terms of a right."""
EVERYBODY_ELSE: Final = "everybody else"


class Change(StrEnum):
    """What becomes of a right."""

    GAINED = "gained"
    LOST = "lost"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class RightChange:
    """One right: what it is, such as `request prod`, and its terms before and after. None: they don't have it."""

    right: str
    before: str | None
    after: str | None

    @property
    def change(self) -> Change:
        """What becomes of it."""
        if self.before is None:
            return Change.GAINED
        return Change.LOST if self.after is None else Change.CHANGED

    @property
    def terms(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The terms that it had and has not, and those that it has now; all of them where it is gained or lost."""
        before, after = (tuple(filter(None, (each or "").split(SEPARATOR))) for each in (self.before, self.after))
        gone = tuple(each for each in before if each not in after)
        return gone, tuple(each for each in after if each not in before)


@dataclass(frozen=True, slots=True)
class PeopleChange:
    """What changes for these people, who all see the same changes."""

    people: tuple[str, ...]
    changes: tuple[RightChange, ...]


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """All that changes: for people, in what profiles give, and in where it is known who is on call.

    `others` are the sections of the file that differ.
    """

    people: tuple[PeopleChange, ...] = ()
    profiles: tuple[RightChange, ...] = ()
    schedules: tuple[RightChange, ...] = ()
    others: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """True when nobody gains or loses anything."""
        return not self.people and not self.profiles and not self.schedules


def compare_policies(old: Policy, new: Policy) -> PolicyDifference:
    """What changes when the new version replaces the old one."""
    found: dict[tuple[RightChange, ...], list[str]] = {}
    before, after = _rights_of(old), _rights_of(new)
    for name, actor in _subjects((old, new)):
        if changes := tuple(_compare(before(actor), after(actor))):
            found.setdefault(changes, []).append(name)
    people = tuple(PeopleChange(tuple(names), changes) for changes, names in found.items())
    profiles = tuple(_compare(_given(old), _given(new)))
    schedules = tuple(_compare_sources(old, new))
    return PolicyDifference(people, profiles, schedules, _differing_sections(old, new))


def _subjects(policies: Iterable[Policy]) -> Iterator[tuple[str, Actor]]:
    leaves: set[PrincipalSelector] = set()
    nowhere: dict[UserGroupId, bool] = {}
    schedules: set[OnCallName] = set()
    for policy in policies:
        nowhere |= dict.fromkeys(policy.user_groups(), False)
        schedules |= policy.document.require_schedules()
        selectors = tuple(selector for _, selector in all_selectors(policy.document))
        leaves |= policy.document.named_people().leaves(selectors)
    off_duty = Actor(id=NOBODY, memberships=nowhere, duties=_duties(schedules))
    for leaf in sorted(leaves, key=lambda each: (list(PrincipalKind).index(each.kind), each.value)):
        match leaf.kind:
            case PrincipalKind.USER:
                yield leaf.value, off_duty.model_copy(update={"id": UserId(leaf.value)})
            case PrincipalKind.EMAIL:
                yield leaf.value, off_duty.model_copy(update={"email": leaf.value})
            case PrincipalKind.USER_GROUP:
                group = UserGroupId(leaf.value)
                yield f"everybody in {group}", off_duty.with_memberships({group: True})
            case PrincipalKind.ON_CALL:
                name = on_call_name(leaf.value)
                yield f"the people on call in {leaf.value}", off_duty.with_duties(_duties({name}, NOBODY))
            case PrincipalKind.GROUP:
                # A group that doesn't exist: the file would be refused.
                continue
    yield EVERYBODY_ELSE, off_duty


def _duties(schedules: Iterable[OnCallName], *on_call: UserId) -> Mapping[OnCallName, Duty]:
    """What these schedules say about NOBODY when these people are on call in each of them."""
    names = frozenset(schedules)
    return FixedRoster(dict.fromkeys(names, on_call), A_MOMENT).duties(NOBODY, names)


def _rights_of(policy: Policy) -> Callable[[Actor], Mapping[str, str]]:
    """A function that says every right of a person under this version, with its terms.

    An approver also closes and reviews break-glass for the profile, and revokes what the rule gave.
    """
    people, parts = policy.document.named_people(), [_part(policy, name) for name in policy.document.profiles]

    def rights(person: Actor) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for part in parts:
            (name,) = part.document.profiles
            if (rule := part.terms_for(name, person)) is not None:
                found[f"request {name}"] = _request_terms(people, rule, person)
            if (declared := part.break_glass_terms_for(name, person)) is not None:
                found[f"break the glass for {name}"] = _event_terms(declared)
            for each in part.document.approval:
                if (terms := _approval_terms(people, each, person)) is not None:
                    found[f"approve {name} under rule {each.name}"] = terms
        if policy.judge_admin(person).is_allowed:
            found["revoke any access"] = ""
        return found

    return rights


def _part(policy: Policy, profile: str) -> Policy:
    """This version with one profile and the rules that cover it, in their order: it decides the same, much faster."""
    document = policy.document
    part = {
        "profiles": {profile: document.profiles[profile]},
        "approval": tuple(rule for rule in document.approval if rule.covers(profile)),
        "break_glass": document.break_glass_rules(profile),
    }
    return Policy(digest=policy.digest, document=document.model_copy(update=part))


def _request_terms(people: People, rule: ApprovalRule, person: Actor) -> str:
    approvals = "1 approval" if rule.required_approvals == 1 else f"{rule.required_approvals} approvals"
    terms = [
        f"up to {format_duration(rule.max_duration)}",
        approvals,
        f"decided within {format_duration(rule.decide_within)}",
    ]
    if rule.starts_within is not None:
        terms.append(f"starts up to {format_duration(rule.starts_within)} ahead")
    if rule.auto_approve is not None:
        automatic = rule.auto_approve
        named = automatic.requesters
        is_for_them = named is None or people.find(person, named).selector is not None
        if is_for_them:
            at_once = format_duration(automatic.max_duration or rule.max_duration)
            terms.append(f"automatic up to {at_once}{' in some hours' if automatic.time is not None else ''}")
    limits = rule.limits()
    terms += [f"{limits.max_pending} open at once"] if limits.max_pending > 1 else []
    if limits.cooldown_after_denial is not None:
        terms.append(f"{format_duration(limits.cooldown_after_denial)} pause after a denial")
    return SEPARATOR.join(terms)


def _approval_terms(people: People, rule: ApprovalRule, person: Actor) -> str | None:
    """The terms on which this person may approve; None if they never may."""
    is_approver = people.find(person, rule.approvers, for_approving=True).selector is not None
    step = next((each for each in rule.steps() if people.find(person, each.to, for_approving=True).selector), None)
    if not is_approver and step is None:
        return None
    terms = [] if is_approver or step is None else [f"once it has waited {format_duration(step.after)}"]
    terms += ["in some hours"] if is_approver and rule.approver_hours is not None else []
    needs = [("with a form", rule.confirm), ("with a code", rule.needs_code), ("with a comment", rule.needs_comment)]
    return SEPARATOR.join((*terms, *(text for text, is_needed in needs if is_needed)))


def _event_terms(rule: BreakGlassRule) -> str:
    terms = [f"up to {format_duration(rule.max_duration)}", f"for {', '.join(rule.allowed_reason_codes)}"]
    terms += ["with a code"] if rule.needs_code else []
    terms += ["in some hours"] if rule.time is not None else []
    window = format_duration(rule.quota_window)
    terms += [f"{format_duration(rule.cooldown)} pause"] if rule.cooldown is not None else []
    terms += [f"{rule.max_per_user} a person in {window}"] if rule.max_per_user is not None else []
    terms += [f"{rule.max_per_profile} a profile in {window}"] if rule.max_per_profile is not None else []
    return SEPARATOR.join(terms)


def _given(policy: Policy) -> Mapping[str, str]:
    """What each profile gives."""
    return {
        name: SEPARATOR.join(map(describe_permission, policy.access_of(name))) or "a decision only"
        for name in policy.document.profiles
    }


def _compare_sources(old: Policy, new: Policy) -> Iterator[RightChange]:
    """Where it is known who is on call in each schedule: with another source, the rules name other people."""
    before, after = old.document.on_call, new.document.on_call
    for name in dict.fromkeys((*before, *after)):
        was, now = (
            f"{each.kind} {each.schedule}" if each is not None else None for each in (before.get(name), after.get(name))
        )
        if before.get(name) != after.get(name):
            yield RightChange(on_call_name(name), was, f"{now} with other settings" if was == now else now)


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[RightChange]:
    for right in dict.fromkeys((*before, *after)):
        if before.get(right) != after.get(right):
            yield RightChange(right, before.get(right), after.get(right))


def _differing_sections(old: Policy, new: Policy) -> tuple[str, ...]:
    before, after = old.document.model_dump(mode="json"), new.document.model_dump(mode="json")
    return tuple(name for name in after if before[name] != after[name])

"""Who may decide on a request at this moment: the approvers of its rule in their hours, and whom it escalated to.

Invariant: a step adds people from its very moment on, and hours take nobody away who is on call or whom a step named.
Hours bind approvals only: to deny is always the safe direction. Without the time, no step has come and no hours are
open.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from core.actor import Actor
from core.duration import format_duration
from core.policy.conditions import Judgment, Selectors, is_among, judge
from core.policy.decision import Condition
from core.policy.duty_words import write_moment
from core.policy.escalation_config import TimedStep, time_steps
from core.policy.principals import People, PrincipalKind
from core.policy.rules import ApprovalRule

HOURS: Final = "hours"
"""The name of the condition about approver hours."""
OWN_STEP: Final = "own step"
"""The name of the unmet condition that says when a person may decide."""


def find_come(rule: ApprovalRule, waits_since: datetime | None, now: datetime | None) -> tuple[TimedStep, ...]:
    """The steps of the rule that have come for a request that has waited since then."""
    if waits_since is None or now is None:
        return ()
    return tuple(step for step in time_steps(rule.steps(), waits_since) if step.has_come(now))


def find_stepped(rule: ApprovalRule, waits_since: datetime | None, now: datetime | None) -> Selectors:
    """Everybody to whom such a request has escalated by now."""
    return tuple(dict.fromkeys(each for step in find_come(rule, waits_since, now) for each in step.to))


def is_decider(people: People, actor: Actor, rule: ApprovalRule, stepped: Selectors) -> Judgment:
    """Is this person an approver of the rule, or one of those to whom the request escalated?"""
    role = f"the approvers of rule {rule.name}"
    approver = is_among(people, actor, rule.approvers, role, for_approving=True)
    if approver.is_met or not stepped:
        return approver
    escalated = is_among(people, actor, stepped, f"those to whom rule {rule.name} escalated it", for_approving=True)
    if escalated.is_met:
        return escalated
    among = tuple(dict.fromkeys((*rule.approvers, *stepped)))
    return is_among(people, actor, among, f"{role}, and those to whom it escalated", for_approving=True)


def find_own_step(people: People, actor: Actor, rule: ApprovalRule, come: Sequence[TimedStep]) -> Condition | None:
    """That a step which hasn't come names this person; None when none does, or it isn't known."""
    for step in rule.steps()[len(come) :]:
        named = judge(OWN_STEP, partial(is_among, people, actor, step.to, "its people", for_approving=True))
        if named.is_met:
            text = f"{actor.id} may decide once it has waited {format_duration(step.after)}"
            return Condition(name=OWN_STEP, is_met=False, text=text)
    return None


def is_in_hours(people: People, actor: Actor, rule: ApprovalRule, stepped: Selectors, now: datetime | None) -> Judgment:
    """Are the rule's approver hours open, or is this person on call, or one of a step that has come?"""
    window = rule.approver_hours
    if window is None:
        return Judgment(is_met=True, text=f"rule {rule.name} has approvers at any hour")
    if now is not None and window.is_open(now):
        return Judgment(is_met=True, text=f"it is within the approver hours, {window}")
    role = f"those who approve under rule {rule.name} at any hour"
    anytime = find_anytime(people, rule, stepped)
    if anytime:
        exempt = is_among(people, actor, anytime, role, for_approving=True)
        if exempt.is_met or exempt.needs:
            return exempt
    opens = window.next_opening(now) if now is not None else None
    text = f"approvers of rule {rule.name} may approve only in their hours, {window}"
    if opens is not None:
        text += f", next from {write_moment(opens)}"
    if anytime:
        text += f"; {', '.join(map(str, anytime))} may approve now"
    return Judgment(is_met=False, text=text)


def find_anytime(people: People, rule: ApprovalRule, stepped: Selectors) -> Selectors:
    """Whom the approver hours don't bind: approvers who are on call, and everybody of a step that has come."""
    on_call = (each for each in people.leaves(rule.approvers) if each.kind is PrincipalKind.ON_CALL)
    return tuple(dict.fromkeys((*sorted(on_call, key=str), *stepped)))

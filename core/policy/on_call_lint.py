"""What a policy says about schedules that is probably not meant, for people who check the file.

Invariant: pure, and asks no schedule. Nothing here is a mistake: the file can be used as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.policy.document import Name
from core.policy.duty_words import name_source
from core.policy.mistake import Mistake
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import ApprovalRule, BreakGlassRule, PolicyDocument

Leaves = frozenset[PrincipalSelector]


def find_on_call_notes(document: PolicyDocument, named: Leaves) -> Iterator[Mistake]:
    """Schedules without use, and rules that depend on a schedule more than they need to.

    `named` is everybody whom the file names anywhere.
    """
    people = document.named_people()
    for name in document.on_call:
        if PrincipalSelector(kind=PrincipalKind.ON_CALL, value=name) not in named:
            yield Mistake(
                ("on_call", name), "no rule names this schedule", f"Use on-call:{name} in a rule, or remove it."
            )
    for index, rule in enumerate(document.approval):
        yield from _on_approvers(index, rule, people)
    for index, glass in enumerate(document.break_glass):
        yield from _on_users(index, glass, document, people)


def _on_approvers(index: int, rule: ApprovalRule, people: People) -> Iterator[Mistake]:
    leaves = people.leaves(rule.approvers)
    schedules = _schedules(leaves)
    if not schedules or len(schedules) < len(leaves):
        return
    listed = ", ".join(f"on-call:{each}" for each in schedules)
    if len(schedules) < rule.required_approvals:
        yield Mistake(
            ("approval", index, "required_approvals"),
            f"{rule.required_approvals} approvals are needed, and in most schedules one person is on call: {listed}",
            "Name more approvers, or ask for fewer approvals.",
        )
    elif not rule.steps() and (rule.requesters is None or _may_be_among(people.leaves(rule.requesters), leaves)):
        yield Mistake(
            ("approval", index, "approvers"),
            f"nobody else decides when the person on call asks ({listed})",
            "Name somebody besides, or add escalate_after and escalate_to.",
        )


def _may_be_among(requesters: Leaves, approvers: Leaves) -> bool:
    """True when a person on call may well be a requester; people who are named by id may never be on call."""
    return any(each.kind is not PrincipalKind.USER for each in requesters) or bool(requesters & approvers)


def _on_users(index: int, rule: BreakGlassRule, document: PolicyDocument, people: People) -> Iterator[Mistake]:
    leaves = people.leaves(rule.users)
    schedules = _schedules(leaves)
    if not schedules:
        return
    sources = " and ".join(dict.fromkeys(name_source(document.on_call[each].kind) for each in schedules))
    if all(each.kind in {PrincipalKind.ON_CALL, PrincipalKind.USER_GROUP} for each in leaves):
        yield Mistake(
            ("break_glass", index, "users"),
            f"while {sources} can't be asked, nobody can break the glass under this rule",
            "Name somebody by Slack user id, too.",
        )
    feeds = [each for each in schedules if document.on_call[each].ical is not None]
    if feeds:
        yield Mistake(
            ("break_glass", index, "users"),
            f"on-call:{feeds[0]} is a calendar feed, which may be hours behind",
            "Ask PagerDuty or incident.io itself, or name people by Slack user id.",
        )


def _schedules(leaves: Leaves) -> list[Name]:
    return sorted(each.value for each in leaves if each.kind is PrincipalKind.ON_CALL)

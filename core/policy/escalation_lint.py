"""The mistakes in escalations that only the whole file can show: steps out of order, and steps that change nothing.

Invariant: each step of a policy that passed comes while a request still waits, after the step before it, and lets
somebody decide, or approve at another hour, who couldn't before. Slack can mention everybody it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from core.duration import format_duration
from core.policy.approval_rule import ApprovalRule
from core.policy.mistake import Mistake
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import PolicyDocument
from core.policy.yaml_source import Path

MAX_PER_STEP: Final = 20
"""Each person named by their id gets a mention and a direct message."""


def find_escalation_mistakes(document: PolicyDocument) -> Iterator[Mistake]:
    """Every mistake in the escalations of the approval rules."""
    people = document.named_people()
    for index, rule in enumerate(document.approval):
        at: Path = ("approval", index)
        yield from _in_times(at, rule)
        yield from _in_people(at, rule, people)


def escalated_to(at: Path, rule: ApprovalRule) -> Iterator[tuple[Path, tuple[PrincipalSelector, ...]]]:
    """Whom each step of the rule at this place of the file names, and where."""
    for number, step in enumerate(rule.steps()):
        yield _place(at, rule, number, "to"), step.to


def _in_times(at: Path, rule: ApprovalRule) -> Iterator[Mistake]:
    within, before = format_duration(rule.decide_within), timedelta()
    for number, step in enumerate(rule.steps()):
        place, after = _place(at, rule, number, "after"), format_duration(step.after)
        if step.after >= rule.decide_within:
            yield Mistake(
                place,
                f"a step after {after} would come too late: a request waits {within} and then expires",
                f"Write less than {within}, or lengthen decide_within.",
            )
        elif step.after <= before:
            earlier = format_duration(before)
            yield Mistake(
                place,
                f"this step comes after {after}, and the one before it after {earlier}",
                f"Write the steps in order, each later than the one before: more than {earlier} here.",
            )
        before = max(before, step.after)


def _in_people(at: Path, rule: ApprovalRule, people: People) -> Iterator[Mistake]:
    known = people.leaves(rule.approvers)
    # Hours don't bind those to whom a request escalated, so the same people may be named again.
    already = frozenset() if rule.approver_hours is not None else known
    for place, to in escalated_to(at, rule):
        leaves = people.leaves(to)
        if leaves and leaves <= already:
            yield Mistake(
                place, "everybody here may decide before this step", "Name somebody else, or remove the step."
            )
        for position, selector in enumerate(to):
            if any(leaf.kind is PrincipalKind.EMAIL for leaf in people.leaves((selector,))):
                yield Mistake(
                    (*place, position),
                    f"{selector} names somebody by e-mail address, and Slack mentions people by their id only",
                    "Write the Slack user id instead.",
                )
        if len(leaves) > MAX_PER_STEP:
            yield Mistake(
                place,
                f"{len(leaves)} people and user groups are more than one step can notify",
                f"Name at most {MAX_PER_STEP}, or a user group of Slack.",
            )
        already |= leaves


def _place(at: Path, rule: ApprovalRule, number: int, key: str) -> Path:
    return (*at, "escalation", number, key) if rule.escalation is not None else (*at, f"escalate_{key}")

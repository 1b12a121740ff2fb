"""The Slack user groups whose members decide: anyone who may edit such a group in Slack can add people.

Invariant: pure. A group is listed for a rule if being in it lets a person approve, break the glass, get access
without an approval, or revoke the access of others.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.actor import UserGroupId
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import PolicyDocument


def find_deciding_groups(document: PolicyDocument) -> dict[UserGroupId, tuple[str, ...]]:
    """Each of these groups with what it decides, such as `approvers of prod`, in the order of the file."""
    people = People(groups=document.groups)
    found: dict[UserGroupId, list[str]] = {}
    for role, selectors in _roles(document):
        for leaf in sorted(people.leaves(selectors), key=str):
            if leaf.kind is PrincipalKind.USER_GROUP:
                found.setdefault(UserGroupId(leaf.value), []).append(role)
    return {group: tuple(roles) for group, roles in found.items()}


def _roles(document: PolicyDocument) -> Iterator[tuple[str, tuple[PrincipalSelector, ...]]]:
    for rule in document.approval:
        yield f"approvers of {rule.name}", rule.approvers
        for number, step in enumerate(rule.steps(), start=1):
            yield f"step {number} of the escalation of {rule.name}", step.to
        if rule.auto_approve is not None:
            yield f"automatic approval of {rule.name}", rule.auto_approve.requesters or rule.requesters or ()
    for broken in document.break_glass:
        yield f"break-glass users of {broken.name}", broken.users
    yield "admins", document.admins or ()

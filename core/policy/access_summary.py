"""What a policy version says about access, in lines for the audit trail and the terminal.

Invariant: pure, and without secrets: where a secret is may be said, and a policy has no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from core.access.right import Permission
from core.policy.rules import PolicyDocument
from core.policy.service_rules import describe_service


def describe_access(document: PolicyDocument, at_most: int) -> dict[str, JsonValue]:
    """Admins, schedules, targets, rights and mapped people, each as a list of lines, where there are some."""
    parts = {
        "admins": (str(each) for each in document.admins or ()),
        "on_call": (f"{name}: {config.kind} {config.schedule}" for name, config in document.on_call.items()),
        "targets": (f"{name}: {config.type}" for name, config in document.targets.items()),
        "access": _rights(document),
        "services": (describe_service(name, config) for name, config in document.services.items()),
        "people": (f"{person}: {name} at {target}" for person, target, name in _names(document)),
    }
    lists = {key: list[JsonValue](lines)[:at_most] for key, lines in parts.items()}
    return {key: lines for key, lines in lists.items() if lines}


def describe_permission(permission: Permission) -> str:
    """Such as `aws: 111122223333, admin`."""
    return f"{permission.target}: {permission.resource}, {permission.level}"


def _rights(document: PolicyDocument) -> Iterator[str]:
    for name, profile in document.profiles.items():
        for entry in profile.access or ():
            yield f"{name} gives {describe_permission(entry.permission_at(document.targets.get(entry.target)))}"


def _names(document: PolicyDocument) -> Iterator[tuple[str, str, str]]:
    for person, names in document.people.items():
        for target, name in names.items():
            yield person, target, name

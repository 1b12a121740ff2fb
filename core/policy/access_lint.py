"""The mistakes in targets, access and people that only the whole file can show.

Invariant: in a policy that passed, each right of a profile fits its target, no right has two names, and no two people
are one person at a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from core.access.right import MAX_KEY_LENGTH, MAX_PART_LENGTH, Permission, Right, right_key
from core.actor import UserId, is_person
from core.duty import ON_CALL_PREFIX, on_call_name
from core.policy.document import suggest
from core.policy.mistake import Mistake
from core.policy.on_call_config import SOURCE_KINDS
from core.policy.profile import FORMS, PART, AccessEntry
from core.policy.rules import PolicyDocument
from core.policy.target_config import (
    AnyTargetConfig,
    AwsRoleConfig,
    DemoConfig,
    IdentityCenterConfig,
    LambdaConfig,
    WebhookConfig,
)
from core.policy.ticket_rules import JIRA, is_checked_in_jira
from core.policy.yaml_source import Path
from core.targets.aws_names import account_of

_LONGEST_NAME: Final = "x" * MAX_PART_LENGTH
_PORTS: Final = {"https": 443, "http": 80}


def find_access_mistakes(document: PolicyDocument) -> Iterator[Mistake]:
    """Every mistake in how targets, access and people fit together."""
    yield from _in_targets(document)
    for name, profile in document.profiles.items():
        yield from _in_access(name, profile.access or (), document)
    yield from _in_people(document)
    yield from _in_shared_principals(document)


def find_renamed_targets(before: PolicyDocument, document: PolicyDocument) -> Iterator[Mistake]:
    """Every target that the version before has under another name, which this one doesn't have any more."""
    left = {_place_of(config): name for name, config in before.targets.items() if name not in document.targets}
    for name, config in document.targets.items():
        place = _place_of(config)
        if place is not None and place in left:
            yield Mistake(
                ("targets", name),
                f"this is targets.{left[place]} of the policy in force, and what is open there has that name: one "
                "right would have two names, and the end of one would cut the other",
                f"Keep the name {left[place]}, or remove the target, and add it again when nothing is open there.",
            )


def _in_targets(document: PolicyDocument) -> Iterator[Mistake]:
    places: dict[tuple[str, ...], str] = {}
    for name, config in document.targets.items():
        place = _place_of(config)
        if place is not None and place in places:
            yield Mistake(
                ("targets", name),
                f"targets.{places[place]} is the same place, so one right would have two names, "
                "and the end of one would cut the other",
                f"Use {places[place]} in the profiles, and remove this target.",
            )
        if place is not None:
            places.setdefault(place, name)
        if isinstance(config, AwsRoleConfig) and config.revoker is not None:
            yield from _in_revoker(name, config.role, config.revoker)


def _in_revoker(name: str, role: str, revoker: str) -> Iterator[Mistake]:
    if account_of(role) != account_of(revoker) or role == revoker:
        yield Mistake(
            ("targets", name, "revoker"),
            "this role can't edit the other one: it is the same role, or in another account",
            f"Name another role in account {account_of(role)}, which may edit the inline policies of {role}.",
        )


def _place_of(config: AnyTargetConfig) -> tuple[str, ...] | None:
    match config:
        case IdentityCenterConfig():
            return (config.type, config.instance)
        case LambdaConfig():
            return (config.type, config.region, config.function)
        case AwsRoleConfig():
            return (config.type, config.role)
        case WebhookConfig():
            parts = urlsplit(config.url)
            if parts.hostname is None:
                # Where the address is a secret.
                return (config.type, config.url)
            return (config.type, parts.hostname, str(parts.port or _PORTS.get(parts.scheme)), parts.path or "/")
    return None


def _in_access(profile: str, entries: tuple[AccessEntry, ...], document: PolicyDocument) -> Iterator[Mistake]:
    seen: dict[Permission, int] = {}
    for index, entry in enumerate(entries):
        path: Path = ("profiles", profile, "access", index)
        config = document.targets.get(entry.target)
        if config is None:
            problem = f"there is no target {entry.target!r:.60}"
            yield Mistake((*path, "target"), problem, suggest(entry.target, tuple(document.targets)))
            continue
        yield from _in_form(path, entry, config)
        if entry.is_target_alone and not isinstance(config, AwsRoleConfig):
            continue
        permission = entry.permission_at(config)
        if permission in seen:
            yield Mistake(path, f"access[{seen[permission]}] gives this already", "Remove one of them.")
        seen.setdefault(permission, index)
        if len(right_key(_longest(permission))) > MAX_KEY_LENGTH:
            fix = "Shorten them; each % and | counts three times."
            yield Mistake(path, "its target, resource and level are too long together", fix)


def _in_form(path: Path, entry: AccessEntry, config: AnyTargetConfig) -> Iterator[Mistake]:
    if isinstance(config, AwsRoleConfig):
        if not entry.is_target_alone:
            yield Mistake(
                path,
                f"{entry.target} is an aws-role target, which is one role",
                "Write the target alone; a role of its own needs a target of its own.",
            )
    elif entry.is_target_alone:
        yield Mistake(path, "this doesn't say what is given, in one way", f"Besides target, write {FORMS}.")
    elif isinstance(config, IdentityCenterConfig):
        if not entry.is_aws:
            yield Mistake(
                path,
                f"{entry.target} is Identity Center, and doesn't know a resource and a level",
                "Write account and permission_set, or group.",
            )
        elif entry.permission_set is not None and _instance_of(entry.permission_set) != _instance_of(config.instance):
            yield Mistake(
                (*path, "permission_set"),
                f"this permission set belongs to another instance than {entry.target}",
                "Copy the ARN from that instance; both ARNs have the same ssoins-… in them.",
            )
    elif entry.is_aws and not isinstance(config, DemoConfig):
        yield Mistake(
            path,
            f"{entry.target} is a {config.type} target, and knows no accounts and groups of AWS",
            f"Write resource and level; only Identity Center takes {FORMS.split(', or resource', maxsplit=1)[0]}.",
        )


def _instance_of(arn: str) -> str:
    """The id of the instance in an ARN of an instance or of a permission set."""
    return arn.split("/")[1]


def _longest(permission: Permission) -> Right:
    return Right(**permission.model_dump(), principal=_LONGEST_NAME)


def _in_people(document: PolicyDocument) -> Iterator[Mistake]:
    people = document.named_people()
    kinds = {each.kind for each in document.on_call.values()} | ({JIRA} if is_checked_in_jira(document) else set())
    for person, names in document.people.items():
        for target, name in names.items():
            path: Path = ("people", person, target)
            config = document.targets.get(target)
            if config is None and target not in kinds:
                yield from _in_people_key(path, target, document)
            elif config is None:
                continue
            elif " " in name:
                yield Mistake(
                    path,
                    f"{name!a:.60} can't be what a target calls a person",
                    f"Write one word of up to {MAX_PART_LENGTH} characters, as the target shows it.",
                )
            elif isinstance(config, AwsRoleConfig):
                yield Mistake(
                    path,
                    f"{target} is an aws-role target, and calls everybody by their Slack id",
                    "Remove it.",
                )
            elif not isinstance(config, IdentityCenterConfig) and not PART.fullmatch(name):
                yield Mistake(
                    path,
                    f"{name!a:.60} has characters that a {config.type} target can't be sent",
                    "Write visible ASCII characters without spaces.",
                )
            elif is_person(name) and name not in people.ids_of(UserId(person)):
                yield Mistake(
                    path,
                    f"{name} is somebody else's Slack id",
                    f"Write what {target} calls {person}; people who aren't listed are called by their own Slack id.",
                )


def _in_people_key(path: Path, key: str, document: PolicyDocument) -> Iterator[Mistake]:
    """What is neither a target nor a kind of source has to be one schedule."""
    schedules = tuple(on_call_name(each) for each in document.on_call)
    if key.startswith(ON_CALL_PREFIX):
        if key not in schedules:
            problem = f"there is no schedule {key.removeprefix(ON_CALL_PREFIX)!r:.60} in on_call"
            yield Mistake(path, problem, suggest(key, schedules))
    elif key in SOURCE_KINDS:
        fix = f"Remove it, or write one schedule: {', '.join(schedules[:3])}." if schedules else "Remove it."
        yield Mistake(path, f"no schedule of on_call comes from {key}", fix)
    else:
        known = (*document.targets, *{each.kind: None for each in document.on_call.values()}, *schedules)
        yield Mistake(path, f"there is no target {key!r:.60}", suggest(key, known))


def _in_shared_principals(document: PolicyDocument) -> Iterator[Mistake]:
    people = document.named_people()
    owners: dict[tuple[str, str], UserId] = {}
    names_of: dict[tuple[UserId, str], str] = {}
    for person, names in document.people.items():
        first = people.ids_of(UserId(person))[0]
        for target, name in names.items():
            path: Path = ("people", person, target)
            # Targets may compare names either way.
            owner = owners.setdefault((target, name.casefold()), first)
            known = names_of.setdefault((first, target), name)
            if owner != first:
                yield Mistake(
                    path,
                    f"{name!a:.60} is already {owner} at {target}, and two people can't share a user there",
                    "Write each person's own user.",
                )
            elif known != name:
                yield Mistake(
                    path,
                    f"another id of this person is {known!a:.60} at {target}",
                    "Write the same user for all ids of one person, or for only one of them.",
                )

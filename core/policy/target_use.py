"""What a policy uses of each target, and whom it would have to know there: for checks before somebody asks for access.

Invariant: pure. A person is listed if a rule names them by id, for themselves or in a group of the policy, or `people`
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from core.access.principals import SoughtPerson
from core.actor import Actor, UserId
from core.policy.evaluator import Policy
from core.policy.mistake import Mistake
from core.policy.principals import PrincipalKind, PrincipalSelector
from core.policy.profile import AccessEntry
from core.policy.rules import PolicyDocument
from core.policy.target_config import IdentityCenterConfig

MAX_PEOPLE: Final = 100
_MAX_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class TargetUse:
    """What profiles use of one target, each once, in the order of the file; and the people who may get it.

    At most `MAX_PEOPLE` of them: looking one up takes up to three calls of AWS. `more_people` are left out.
    """

    profiles: tuple[str, ...]
    permission_sets: tuple[str, ...]
    accounts: tuple[str, ...]
    groups: tuple[str, ...]
    people: tuple[SoughtPerson, ...]
    more_people: int = 0


def find_target_use(policy: Policy, target: str, find_email: Callable[[UserId], str | None] | None = None) -> TargetUse:
    """What the policy uses of this target. `find_email` is asked only if e-mail addresses decide who somebody is."""
    document = policy.document
    used = tuple(_entries(document, target))
    entries = tuple(entry for _, entry in used)
    ids = dict.fromkeys((*_mapped_ids(document, target), *_named_ids(document, target)))

    def seek(person: UserId) -> SoughtPerson:
        is_needed = document.identity.trust_email and policy.mapped(person, target) is None
        email = find_email(person) if is_needed and find_email is not None else None
        return policy.find_sought(Actor(id=person, email=email), target)

    return TargetUse(
        profiles=tuple(dict.fromkeys(profile for profile, _ in used)),
        permission_sets=_once(entry.permission_set for entry in entries),
        accounts=_once(entry.account for entry in entries),
        groups=_once(entry.group for entry in entries),
        people=tuple(map(seek, islice(ids, MAX_PEOPLE))),
        more_people=max(0, len(ids) - MAX_PEOPLE),
    )


def find_recipients(document: PolicyDocument, target: str) -> frozenset[PrincipalSelector]:
    """Whom the rules for the profiles of this target name: who may get access there."""
    profiles = {name for name, _ in _entries(document, target)}
    named: list[PrincipalSelector] = []
    for rule in document.approval:
        if any(map(rule.covers, profiles)):
            automatic = rule.auto_approve.requesters if rule.auto_approve is not None else None
            named += (*(rule.requesters or ()), *(automatic or ()))
    for each in document.break_glass:
        if any(map(each.covers, profiles)):
            named += each.users
    return document.named_people().leaves(tuple(named))


def find_notes(document: PolicyDocument) -> Iterator[Mistake]:
    """What isn't a mistake, and probably not meant: targets without use, people whom a target won't know, no admins."""
    for target, config in document.targets.items():
        if next(_entries(document, target), None) is None:
            yield Mistake(("targets", target), "no profile uses this target", "Use it in access, or remove it.")
        is_sought = isinstance(config, IdentityCenterConfig) and not document.identity.trust_email
        if is_sought and (unknown := _unknown_ids(document, target)):
            more = f" and {len(unknown) - _MAX_SHOWN} more" if len(unknown) > _MAX_SHOWN else ""
            yield Mistake(
                ("targets", target),
                f"{', '.join(unknown[:_MAX_SHOWN])}{more} may get access here, and people doesn't say who they are",
                "Add them to people, or set identity.trust_email to true; until then their requests are refused.",
            )
    for name, service in document.services.items():
        if shared := sorted({each for each in service.may if _is_personal(document, each)}):
            yield Mistake(
                ("services", name, "may"),
                f"{', '.join(shared)} gives access in Identity Center, where {name} would get its owner's own rights",
                "Give services profiles of an aws-role target, or accept that the two can't be told apart there.",
            )
    if document.admins is None and any(profile.access for profile in document.profiles.values()):
        yield Mistake(
            ("profiles",),
            "profiles give access, and there are no admins",
            "Name in admins who may revoke any access; without them, only approvers can.",
        )


def _entries(document: PolicyDocument, target: str) -> Iterator[tuple[str, AccessEntry]]:
    for name, profile in document.profiles.items():
        for entry in profile.access or ():
            if entry.target == target:
                yield name, entry


def _is_personal(document: PolicyDocument, profile: str) -> bool:
    found = document.profiles.get(profile)
    targets = (document.targets.get(each.target) for each in (found.access or () if found is not None else ()))
    return any(isinstance(each, IdentityCenterConfig) for each in targets)


def _mapped_ids(document: PolicyDocument, target: str) -> Iterator[UserId]:
    return (UserId(person) for person, names in document.people.items() if target in names)


def _named_ids(document: PolicyDocument, target: str) -> Iterator[UserId]:
    """Everybody whom a rule names by id, who may get this target's access by it."""
    named = sorted(find_recipients(document, target), key=str)
    return (UserId(each.value) for each in named if each.kind is PrincipalKind.USER)


def _unknown_ids(document: PolicyDocument, target: str) -> tuple[UserId, ...]:
    people = document.named_people()
    known = {each for person in _mapped_ids(document, target) for each in people.ids_of(person)}
    return tuple(each for each in _named_ids(document, target) if each not in known)


def _once(values: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in values if each is not None))

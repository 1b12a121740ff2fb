"""The mistakes in services that only the whole file can show.

Invariant: a service that passed can get what its `may` names, as far as the file shows it: each profile exists, and
some rule lets the owner ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.actor import UserId
from core.policy.document import suggest
from core.policy.mistake import Mistake
from core.policy.principals import PrincipalKind
from core.policy.rules import ApprovalRule, PolicyDocument
from core.policy.services import ServiceConfig


def find_service_mistakes(document: PolicyDocument) -> Iterator[Mistake]:
    """Every mistake in `services`."""
    for name, service in document.services.items():
        for index, profile in enumerate(service.may):
            path = ("services", name, "may", index)
            if profile not in document.profiles:
                yield Mistake(path, f"there is no profile {profile!r}", suggest(profile, tuple(document.profiles)))
            elif profile in service.may[:index]:
                yield Mistake(path, f"{profile} is already in this list", "Write each profile once.")
            elif not _may_ask(document, service, profile):
                yield Mistake(
                    path,
                    f"its owner {service.owner} may not request {profile}, so {name} could never get it",
                    f"Name {service.owner} among the requesters of a rule for {profile}, or choose another owner.",
                )


def _may_ask(document: PolicyDocument, service: ServiceConfig, profile: str) -> bool:
    return any(rule.covers(profile) and _may_be_named(document, service, rule) for rule in document.approval)


def _may_be_named(document: PolicyDocument, service: ServiceConfig, rule: ApprovalRule) -> bool:
    if rule.requesters is None:
        return True
    people = document.named_people()
    leaves = people.leaves(rule.requesters)
    # Who is in a user group of Slack, or has an e-mail address, is not known here.
    is_open = any(each.kind is not PrincipalKind.USER for each in leaves)
    return is_open or bool({UserId(each.value) for each in leaves} & {*people.ids_of(UserId(service.owner))})

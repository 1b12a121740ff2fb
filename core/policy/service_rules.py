"""What one version of the policy says about services: who owns them, and what they may request.

Invariant: a service has no right that its owner doesn't have, and none that its `may` doesn't name. It asks, and does
nothing else: it decides on nothing, reviews nothing, and never breaks the glass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from core.actor import Actor
from core.duration import format_duration
from core.policy.decision import Condition, Decision, decide
from core.policy.document import suggest
from core.policy.principals import People
from core.policy.rules import PolicyDocument
from core.policy.services import ServiceConfig

SERVICE: Final = "service"


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """Judges services by one policy version."""

    document: PolicyDocument
    people: People

    def judge_acting(self, actor: Actor, action: str, digest: str) -> Decision:
        """May this person act from a device, as themselves or as the service that they act for?"""
        if actor.service is None:
            everybody = Condition(name="person", is_met=True, text="every member may pair their own terminals")
            return decide(action, None, (everybody,), digest)
        return decide(action, None, (self._is_owned(actor),), digest)

    def find_asking(self, actor: Actor, profile: str) -> tuple[Condition, ...]:
        """The conditions under which what the actor acts for may request the profile; none for a person."""
        if actor.service is None:
            return ()
        owned, found = self._is_owned(actor), self._find(actor)
        if found is None or not owned.is_met:
            return (owned,)
        is_listed = profile in found.may
        text = (
            f"{actor.service} may {'' if is_listed else 'not '}request {profile}: it may request {', '.join(found.may)}"
        )
        return (owned, Condition(name=SERVICE, is_met=is_listed, text=text))

    def longest(self, actor: Actor, rule: timedelta) -> timedelta:
        """The longest access under a rule that allows this much."""
        found = self._find(actor)
        return rule if found is None else min(rule, found.max_duration)

    def _find(self, actor: Actor) -> ServiceConfig | None:
        return self.document.services.get(actor.service) if actor.service is not None else None

    def _is_owned(self, actor: Actor) -> Condition:
        found = self._find(actor)
        if found is None:
            name, known = f"{actor.service}", tuple(self.document.services)
            text = f"there is no service {name} in the policy. {suggest(name, known)}"
            return Condition(name=SERVICE, is_met=False, text=text)
        is_owner = found.owner in self.people.ids_of(actor.id)
        text = f"{actor.id} {'owns' if is_owner else 'is not the owner of'} {actor.service}"
        return Condition(name=SERVICE, is_met=is_owner, text=text)


def no_service(actor: Actor) -> Condition:
    """The condition that keeps a service from what only people may do."""
    return Condition(name=SERVICE, is_met=False, text=f"{actor.service} is a service: only people may do this")


def describe_service(name: str, config: ServiceConfig) -> str:
    """Such as `ci-deploy of U0ANN: prod, at most 30m`."""
    return f"{name} of {config.owner}: {', '.join(config.may)}, at most {format_duration(config.max_duration)}"

"""What the forms offer to one person: the profiles that a rule lets them have, found by name and description.

Invariant: nothing is offered that this person may not ask for; of many profiles, only those that a search finds are
judged, and no more of them than Slack shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from bot.views.break_glass.form import BreakGlassOffer
from bot.views.inputs import MAX_OPTIONS
from bot.views.request.form import Offer
from core.actor import Actor
from core.policy import Policy
from core.policy.principals import PrincipalSelector
from core.policy.profile import Profile
from core.policy.rules import Mfa

AnyOffer = TypeVar("AnyOffer", Offer, BreakGlassOffer)


def request_offers(policy: Policy, person: Actor, profiles: Iterable[Profile]) -> Iterator[Offer]:
    """Those of the profiles that this person may request."""
    for profile in profiles:
        terms = policy.terms_for(profile.name, person)
        if terms is not None:
            yield Offer(
                profile=profile.name,
                description=profile.description,
                max_duration=terms.max_duration,
                required_approvals=terms.required_approvals,
                approvers=_others(policy.notifications.deciders_of(terms.name), person),
                ticket=terms.ticket.example if terms.ticket is not None else None,
                starts_within=terms.starts_within,
            )


def break_glass_offers(policy: Policy, person: Actor, profiles: Iterable[Profile]) -> Iterator[BreakGlassOffer]:
    """Those of the profiles for which this person may break the glass."""
    for profile in profiles:
        terms = policy.break_glass_terms_for(profile.name, person)
        if terms is not None:
            yield BreakGlassOffer(
                profile=profile.name,
                description=profile.description,
                reason_codes=terms.allowed_reason_codes,
                max_duration=terms.max_duration,
                needs_code=terms.mfa is Mfa.REQUIRED,
            )


def search_profiles(policy: Policy, query: str) -> Iterator[Profile]:
    """The profiles with every word of the query in their name or description; the best matches come first."""
    words = query.casefold().split()
    found = [
        name
        for name, profile in policy.document.profiles.items()
        if all(word in f"{name} {profile.description}".casefold() for word in words)
    ]
    return (policy.document.profile(name) for name in sorted(found, key=lambda name: _rank(name.casefold(), words)))


def first_offers(offers: Iterator[AnyOffer], wanted: Iterable[str]) -> tuple[AnyOffer, ...]:
    """As many offers as tell whether a menu can hold them all, and the wanted ones, wherever they are."""
    first: list[AnyOffer] = list(islice(offers, MAX_OPTIONS + 1))
    missing: set[str] = set(wanted) - {str(offer.profile) for offer in first}
    return (*first, *((offer for offer in offers if offer.profile in missing) if missing else ()))


def _rank(name: str, words: list[str]) -> int:
    first = words[0] if words else ""
    ranks = (name == first, name.startswith(first), all(word in name for word in words))
    return next((rank for rank, holds in enumerate(ranks) if holds), len(ranks))


def _others(deciders: frozenset[PrincipalSelector], person: Actor) -> tuple[str, ...]:
    """All deciders but this person, who never decides on their own request."""
    return tuple(sorted(str(each) for each in deciders if each.value != person.id))

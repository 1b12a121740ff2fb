"""Several profiles in one form: a request for each, which people decide on one by one.

Invariant: each profile is judged, limited and refused on its own, as if it had been requested alone. The same form
delivered again gives the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from core.actor import UserId
from core.clock import new_id
from core.errors import CountersignError, InvalidInput
from core.request import Request
from core.services.use_case import id_from

MAX_PROFILES: Final = 5
"""How many profiles one form can ask for: each is a card of its own that somebody has to judge."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of one profile of a form: its request, or the refusal."""

    profile: str
    request: Request | None = None
    refusal: CountersignError | None = None


def check_profiles(profiles: Sequence[str]) -> tuple[str, ...]:
    """The profiles, each once, in their order. Raises InvalidInput for none, and for too many."""
    each_once = tuple(dict.fromkeys(profiles))
    if not 1 <= len(each_once) <= MAX_PROFILES:
        problem = f"{len(each_once)} profiles at once are too many" if each_once else "no profile was chosen"
        raise InvalidInput("profile", problem, f"Choose 1 to {MAX_PROFILES} profiles.")
    return each_once


def submit_each(
    asker: UserId,
    profiles: Sequence[str],
    idempotency_key: str | None,
    submit: Callable[[str, str | None, str | None], Request],
) -> tuple[Submitted, ...]:
    """Submit a request for each profile, with a key of its own and the bundle. A refusal doesn't stop the others."""
    names = check_profiles(profiles)
    bundle = (id_from(str, asker, idempotency_key) or new_id()) if len(names) > 1 else None

    def submit_one(profile: str) -> Request:
        # A form with one profile keeps the key that it always had, whichever version it is delivered to.
        several = idempotency_key is not None and bundle is not None
        return submit(profile, f"{idempotency_key}/{profile}" if several else idempotency_key, bundle)

    return tuple(_try(profile, submit_one) for profile in names)


def _try(profile: str, submit: Callable[[str], Request]) -> Submitted:
    try:
        return Submitted(profile, submit(profile))
    except CountersignError as refusal:
        return Submitted(profile, refusal=refusal)

"""The second factors, where the policy asks for one: can they be read, and who of those that it names has none?

Invariant: no secret is shown, and none is read of anybody whom the policy does not name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.doctor.finding import CheckResult, fine, wrong
from bot.mfa.opening import open_secrets
from core.actor import UserId
from core.errors import StoreError
from core.policy import Policy

_NOBODY: Final = UserId("U0NOBODY0")
"""To ask for a secret that nobody has takes the same permission as to ask for one that somebody has."""
_MOST_ASKED: Final = 100


def check_mfa(policy: Policy, place: str) -> Iterator[CheckResult]:
    """Asks only where a rule says `mfa: required`. People who are named by a user group are not known here."""
    if not any(rule.needs_code for rule in policy.document.break_glass):
        return
    secrets = open_secrets(place)
    named = sorted(policy.named_for_codes())[:_MOST_ASKED]
    try:
        secrets.find(_NOBODY)
        missing = [person for person in named if secrets.find(person) is None]
    except StoreError as error:
        yield wrong(f"second factors: {place}: {error}", "Without them no glass that asks for a code can be broken.")
        return
    for person in missing:
        yield wrong(
            f"second factors: {person} may break the glass with a code and has none",
            f"Run countersign mfa enrol {person}",
        )
    if not missing:
        yield fine(f"second factors: {place} can be read")

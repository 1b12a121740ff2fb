"""MFA, where the policy requires it: can the secrets be read, and does everyone whom the policy names have one?

Invariant: no secret is shown, and only the secrets of people whom the policy names are read.
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
"""Looking up a secret that nobody has takes the same permission as looking up one that exists."""
_MAX_ASKED: Final = 100


def check_mfa(policy: Policy, secrets_location: str) -> Iterator[CheckResult]:
    """Checks only if a rule says `mfa: required`. Members of a Slack user group are not known here."""
    document = policy.document
    declaring = any(rule.needs_code for rule in document.break_glass)
    if not declaring and not any(rule.needs_code for rule in document.approval):
        return
    secrets = open_secrets(secrets_location)
    named = sorted(policy.named_for_codes())[:_MAX_ASKED]
    try:
        secrets.find(_NOBODY)
        missing = [person for person in named if secrets.find(person) is None]
    except StoreError as error:
        yield wrong(
            f"MFA: {secrets_location}: {error}", "Until this is fixed, break-glass that requires MFA is refused."
        )
        return
    for person in missing:
        yield wrong(
            f"MFA: {person} needs a code, and is not enrolled",
            f"Run: countersign mfa enrol {person}",
        )
    if not missing:
        yield fine(f"MFA: the secrets in {secrets_location} can be read")

"""Codes that an authenticator app shows: TOTP (RFC 6238) with six digits, SHA-1 and 30 seconds, as all apps do it.

Invariant: every code that is valid now is compared, in constant time each, so that how long the answer takes tells
nothing. Whether a code was used before is not judged here: see `core.mfa`.
"""

from __future__ import annotations

import binascii
import hmac
import re
from datetime import datetime
from typing import Final

import pyotp
from pydantic import SecretStr

from bot.mfa.secret_store import Secrets
from core.actor import UserId
from core.errors import InvalidInput, NotAllowed, StoreMisconfigured

METHOD: Final = "totp"
DIGITS: Final = 6
STEP_SECONDS: Final = 30
STEPS_AROUND: Final = 1
"""A code of the step before or after counts too: RFC 6238, section 5.2, for clocks that differ and slow fingers."""
ISSUER: Final = "Countersign"
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


class Totp:
    """The MfaVerifier of those who have a secret. Safe for threads."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    @property
    def method(self) -> str:
        """TOTP."""
        return METHOD

    def find_step(self, person: UserId, code: str, now: datetime) -> int | None:
        """The time step of this person's code; None: it is wrong. See MfaVerifier."""
        typed = check_code(code)
        secret = self._secrets.find(person)
        if secret is None:
            raise NotAllowed(
                "break glass",
                (f"{person} is not enrolled in MFA: ask an operator to run countersign mfa enrol {person}",),
            )
        current = int(now.timestamp()) // STEP_SECONDS
        steps = range(current - STEPS_AROUND, current + STEPS_AROUND + 1)
        try:
            codes = pyotp.TOTP(secret.get_secret_value(), digits=DIGITS, interval=STEP_SECONDS)
            matching = [step for step in steps if hmac.compare_digest(codes.generate_otp(step), typed)]
        except binascii.Error as error:
            raise StoreMisconfigured(
                f"the MFA secret of {person} is not base32", f"Run countersign mfa enrol {person} --replace"
            ) from error
        return max(matching, default=None)


def check_code(text: str) -> str:
    """The code without the spaces that apps show in it. Raises InvalidInput for what cannot be one; that is no try."""
    typed = "".join(text.split())
    if not _CODE.fullmatch(typed):
        raise InvalidInput(
            "code", f"this is not a code of {DIGITS} digits", "Type the code that your authenticator app shows now."
        )
    return typed


def new_secret() -> SecretStr:
    """A fresh secret of 160 bits, as RFC 4226 advises, from the operating system's generator."""
    return SecretStr(pyotp.random_base32())


def enrolment_uri(person: UserId, secret: SecretStr) -> str:
    """What an authenticator app reads, as text or as a QR code. It holds the secret."""
    return pyotp.TOTP(secret.get_secret_value(), digits=DIGITS, interval=STEP_SECONDS).provisioning_uri(
        name=person, issuer_name=ISSUER
    )

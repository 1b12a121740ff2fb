"""Codes from an authenticator app: TOTP (RFC 6238) with six digits, SHA-1 and 30 seconds, as all apps implement it.

Invariant: every code that is valid now is compared, each in constant time, so that timing reveals nothing. Whether a
code was used before is not checked here: see `core.mfa`.
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
    """The MfaVerifier for people with a secret. Safe for threads."""

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
                (f"{person} is not enrolled for MFA; ask an operator to run `countersign mfa enrol`",),
            )
        current = int(now.timestamp()) // STEP_SECONDS
        steps = range(current - STEPS_AROUND, current + STEPS_AROUND + 1)
        try:
            codes = pyotp.TOTP(secret.get_secret_value(), digits=DIGITS, interval=STEP_SECONDS)
            matching = [step for step in steps if hmac.compare_digest(codes.generate_otp(step), typed)]
        except binascii.Error as error:
            raise StoreMisconfigured(
                f"The MFA secret of {person} isn't valid base32", f"Run `countersign mfa enrol {person} --replace`"
            ) from error
        return max(matching, default=None)


def check_code(text: str) -> str:
    """The code without the spaces that apps show. Raises InvalidInput for anything else, which is not an attempt."""
    typed = "".join(text.split())
    if not _CODE.fullmatch(typed):
        raise InvalidInput(
            "code", f"this isn't a {DIGITS}-digit code", "Type the code your authenticator app shows now."
        )
    return typed


def new_secret() -> SecretStr:
    """A fresh secret of 160 bits, as RFC 4226 advises, from the operating system's generator."""
    return SecretStr(pyotp.random_base32())


def enrolment_uri(name: str, secret: SecretStr) -> str:
    """The URI that an authenticator app reads, as text or as a QR code. It contains the secret.

    `name` is what the app shows beside the code.
    """
    return pyotp.TOTP(secret.get_secret_value(), digits=DIGITS, interval=STEP_SECONDS).provisioning_uri(
        name=name, issuer_name=ISSUER
    )

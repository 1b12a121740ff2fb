"""Signatures as Standard Webhooks 1.0 defines them.

Invariant: the key is in no repr and in no error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Final

from pydantic import SecretStr

from core.errors import InvalidInput

_PREFIX: Final = "whsec_"
_MIN_BYTES: Final = 24
_MAX_BYTES: Final = 64


class WebhookKey:
    """A shared key with which messages are signed."""

    def __init__(self, secret: SecretStr, setting: str = "secret") -> None:
        """Read `whsec_` and 24 to 64 bytes in base64. Raises InvalidInput, naming `setting`."""
        text = secret.get_secret_value()
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not text.startswith(_PREFIX) or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
            raise InvalidInput(
                setting,
                "it is not a secret of a webhook",
                f"Write {_PREFIX} and then {_MIN_BYTES} to {_MAX_BYTES} random bytes in base64.",
            ) from None
        self._key = key

    def sign(self, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
        """The headers that say who sent this body, and when."""
        seconds = int(sent_at.timestamp())
        signature = hmac.digest(self._key, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        }

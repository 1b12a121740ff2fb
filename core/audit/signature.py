"""Ed25519 signatures: an auditor who has the public key can verify the trail, and can't forge it.

Invariant: the private key stays in here; no repr and no message shows it. The library is
loaded only when there is a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from types import ModuleType
from typing import Final, Self

from core.errors import InvalidInput

SETTING: Final = "COUNTERSIGN_AUDIT_SIGNING_KEY"
SEED_BYTES: Final = 32
_FIX: Final = "Make one with: countersign audit key new --signing"


class SigningKey:
    """A private key, made from 32 random bytes written in hex."""

    def __init__(self, seed: bytes) -> None:
        private = _load_ed25519().Ed25519PrivateKey.from_private_bytes(seed)
        self._sign = private.sign
        self.public = PublicKey(private.public_key().public_bytes_raw())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read 64 hex digits. Raises InvalidInput, without showing them."""
        try:
            seed = bytes.fromhex(text.strip())
        except ValueError:
            seed = b""
        if len(seed) != SEED_BYTES:
            raise InvalidInput(SETTING, f"it is not {2 * SEED_BYTES} hex digits", _FIX)
        return cls(seed)

    @property
    def key_id(self) -> str:
        """The name of this key and of its public key."""
        return self.public.key_id

    def sign(self, content: bytes) -> str:
        """The signature over this content, in base64."""
        return base64.b64encode(self._sign(content)).decode("ascii")


class PublicKey:
    """The public half, which anybody may have."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._key = _load_ed25519().Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a public key in PEM, as `audit key public` prints it. Raises InvalidInput."""
        raw = _read_pem(text)
        if raw is None:
            problem, fix = "it is not an Ed25519 public key in PEM", "Print it with: countersign audit key public"
            raise InvalidInput("public key", problem, fix)
        return cls(raw)

    @property
    def key_id(self) -> str:
        """Eight hex digits."""
        return hashlib.sha256(b"countersign signing key id\0" + self.raw).hexdigest()[:8]

    def to_pem(self) -> str:
        """The key as openssl and others read it (RFC 8410)."""
        return f"{_BEGIN}\n{base64.b64encode(_DER_PREFIX + self.raw).decode('ascii')}\n{_END}\n"

    def is_genuine(self, content: bytes, signature: str) -> bool:
        """True when the private key made this signature over this content."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module's docstring

        try:
            self._key.verify(base64.b64decode(signature, validate=True), content)
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True


_BEGIN: Final = "-----BEGIN PUBLIC KEY-----"
_END: Final = "-----END PUBLIC KEY-----"
_DER_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""RFC 8410: what comes before the 32 bytes of every Ed25519 public key."""


def _read_pem(text: str) -> bytes | None:
    lines = [line.strip() for line in text.strip().splitlines()]
    if lines[:1] != [_BEGIN] or lines[-1:] != [_END]:
        return None
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (ValueError, binascii.Error):
        return None
    raw = der.removeprefix(_DER_PREFIX)
    return raw if der.startswith(_DER_PREFIX) and len(raw) == SEED_BYTES else None


def _load_ed25519() -> ModuleType:
    # An extra: nobody else needs it, and it brings a compiled library.
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise InvalidInput(
            SETTING, "signatures need the package cryptography", "Install it: pip install 'countersign[signing]'"
        ) from error
    return ed25519

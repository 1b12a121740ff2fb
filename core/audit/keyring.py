"""The secrets that seal: audit entries, records, ledgers and whatever else must not be forged.

Invariant: no repr, message or result reveals a key. What is sealed for one purpose is never genuine for another.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, JsonValue, SecretBytes

from core.audit.canonical import canonical_json
from core.errors import InvalidInput

MIN_KEY_LENGTH: Final = 32
"""Characters: 128 bits written as hex, the least that NIST SP 800-107 advises for an HMAC key."""


class Sealed(Protocol):
    """What the keyring needs to know of an audit entry."""

    @property
    def key_id(self) -> str:
        """The name of the key that seals it."""
        ...

    @property
    def digest(self) -> str:
        """Its seal, in hex."""
        ...

    def to_item(self) -> dict[str, JsonValue]:
        """All that it says, and its seal."""
        ...


class AuditKeyring(BaseModel):
    """The secrets that seal the trail: the first one seals, every one verifies, so that a key can be replaced.

    An empty ring seals with a public constant. That still finds accidents, but a forger could reseal: use it only
    where nobody relies on the trail.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[SecretBytes, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `key` or `newest,older,oldest`. Raises InvalidInput when a key has fewer than 32 characters."""
        parts = [part.strip() for part in text.split(",")]
        if any(len(part) < MIN_KEY_LENGTH for part in parts):
            raise InvalidInput(
                "COUNTERSIGN_AUDIT_KEY",
                f"a key has fewer than {MIN_KEY_LENGTH} characters",
                "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
            )
        # An environment variable may hold bytes that aren't text. They were read with surrogateescape, which restores
        # them.
        return cls(keys=tuple(SecretBytes(part.encode(errors="surrogateescape")) for part in parts))

    @property
    def is_keyed(self) -> bool:
        """True when the seal is a secret one."""
        return bool(self.keys)

    @property
    def key_id(self) -> str:
        """The name of the key that seals, safe to show: eight hex digits that do not reveal the key."""
        return _key_id(self._secrets()[0])

    def knows(self, key_id: str) -> bool:
        """True when the ring holds the key of this name."""
        return any(_key_id(secret) == key_id for secret in self._secrets())

    def sign(self, entry: Sealed) -> str:
        """The digest of an entry, under the key that seals."""
        return _digest(self._secrets()[0], entry)

    def is_genuine(self, entry: Sealed) -> bool:
        """True when one of the keys made this entry's digest. Compared in constant time."""
        return any(
            _key_id(secret) == entry.key_id and _is_equal(_digest(secret, entry), entry.digest)
            for secret in self._secrets()
        )

    def mac(self, purpose: bytes, content: bytes) -> str:
        """A seal over this content for this purpose, in hex, under the key that seals."""
        return _mac(self._secrets()[0], purpose, content)

    def is_genuine_mac(self, key_id: str, purpose: bytes, content: bytes, mac: str) -> bool:
        """True when the key of this name made this seal for this purpose. Compared in constant time."""
        return any(
            _key_id(secret) == key_id and _is_equal(_mac(secret, purpose, content), mac) for secret in self._secrets()
        )

    def _secrets(self) -> tuple[bytes, ...]:
        return tuple(key.get_secret_value() for key in self.keys) or (b"countersign: no audit key was set",)


def _is_equal(seal: str, claimed: str) -> bool:
    # As bytes: compare_digest refuses text outside ASCII, which a forger may have stored.
    return hmac.compare_digest(seal.encode(), claimed.encode(errors="surrogatepass"))


def _digest(secret: bytes, entry: Sealed) -> str:
    content = {name: value for name, value in entry.to_item().items() if name != "digest"}
    return hmac.digest(secret, canonical_json(content), "sha256").hex()


def _mac(secret: bytes, purpose: bytes, content: bytes) -> str:
    # A key of its own for each purpose, so that no content of one purpose can be taken for that of another.
    derived = hmac.digest(secret, b"countersign\0" + purpose, "sha256")
    return hmac.digest(derived, content, "sha256").hex()


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"countersign key id\0" + secret).hexdigest()[:8]

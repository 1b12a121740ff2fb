"""The secrets that seal: audit entries, records, ledgers and whatever else must not be forged.

Invariant: no repr, message or result reveals a key. What is sealed for one purpose is never genuine for another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, SecretBytes, SkipValidation

from core.audit.canonical import canonical_json
from core.audit.key_strength import find_weakness
from core.errors import InvalidInput

KEY_FIX: Final = "Make one with: countersign audit key new"
_NOT_SEALED: Final = frozenset({"digest", "signature"})


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

    @property
    def signing_key_id(self) -> str | None:
        """The name of the key that signs it, if one does."""
        ...

    @property
    def signature(self) -> str:
        """Its signature, in base64; empty if there is none."""
        ...

    def to_item(self) -> dict[str, JsonValue]:
        """All that it says, and its seal."""
        ...


class Signer(Protocol):
    """A private key whose signatures everybody can check."""

    @property
    def key_id(self) -> str:
        """The key's name, safe to show."""
        ...

    def sign(self, content: bytes) -> str:
        """The signature over this content, in base64."""
        ...


class SignatureCheck(Protocol):
    """A public key."""

    @property
    def key_id(self) -> str:
        """The key's name, the same as its Signer's."""
        ...

    def is_genuine(self, content: bytes, signature: str) -> bool:
        """True when the private key made this signature over this content."""
        ...


class AuditKeyring(BaseModel):
    """The secrets that seal the trail: the first one seals, every one verifies, so that a key can be replaced.

    An empty ring seals with a public constant. That still finds accidents, but a forger could reseal: use it only
    where nobody relies on the trail.

    With a `signer`, entries are signed, too. With a `signature_check`, every signature is checked; a ring that has
    nothing else judges entries by their signatures alone.

    A retired key stays in the ring, so that old entries can be verified. What it sealed is no longer accepted where a
    seal decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    keys: tuple[SecretBytes, ...] = ()
    signer: SkipValidation[Signer | None] = Field(default=None, exclude=True, repr=False)
    signature_check: SkipValidation[SignatureCheck | None] = Field(default=None, exclude=True, repr=False)
    _retired: frozenset[str] = PrivateAttr(default=frozenset())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `key` or `newest,older,oldest`. Raises InvalidInput for a key that can be guessed."""
        # An environment variable may hold bytes that aren't text. They were read with surrogateescape, which restores
        # them.
        keys = tuple(part.strip().encode(errors="surrogateescape") for part in text.split(","))
        for weakness in filter(None, map(find_weakness, keys)):
            raise InvalidInput("COUNTERSIGN_AUDIT_KEY", weakness, KEY_FIX)
        return cls(keys=tuple(map(SecretBytes, keys)))

    @property
    def is_keyed(self) -> bool:
        """True when the seal is a secret one."""
        return bool(self.keys)

    @property
    def key_id(self) -> str:
        """The name of the key that seals, safe to show: eight hex digits that do not reveal the key."""
        return _key_id(self._secrets()[0])

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The names of all keys, newest first."""
        return tuple(map(_key_id, self._secrets()))

    def knows(self, key_id: str) -> bool:
        """True when the ring holds the key of this name."""
        return any(_key_id(secret) == key_id for secret in self._secrets())

    @property
    def judges_by_signature_only(self) -> bool:
        """True for an auditor's ring: a public key, and no secret."""
        return self.signature_check is not None and self.signer is None and not self.keys

    @property
    def retired(self) -> frozenset[str]:
        """The names of the keys that are known to be retired."""
        return self._retired

    def retire(self, key_ids: Iterable[str]) -> None:
        """Accept no seal of these keys any more, from now on. Safe for threads: readers see the old set or the new."""
        self._retired = self._retired | frozenset(key_ids)

    def is_newer(self, key_id: str, than: str) -> bool:
        """True when the first of these keys was taken into use after the second one, by their order in the ring."""
        names = self.key_ids
        if key_id not in names:
            return self.judges_by_signature_only
        return than not in names or names.index(key_id) < names.index(than)

    def sign(self, entry: Sealed) -> str:
        """The digest of an entry, under the key that seals."""
        return _digest(self._secrets()[0], entry)

    def is_genuine(self, entry: Sealed) -> bool:
        """True when one of the keys made this entry's digest, and its signature, if it should have one, is genuine.

        Compared in constant time. A retired key counts: what it sealed before it was retired stays genuine.
        """
        if self.judges_by_signature_only:
            return self.has_genuine_signature(entry)
        is_sealed = any(
            _key_id(secret) == entry.key_id and _is_equal(_digest(secret, entry), entry.digest)
            for secret in self._secrets()
        )
        must_be_signed = self.signature_check is not None and entry.signing_key_id is not None
        return is_sealed and (not must_be_signed or self.has_genuine_signature(entry))

    def has_genuine_signature(self, entry: Sealed) -> bool:
        """True when the key of the signature check signed this entry."""
        check = self.signature_check
        return (
            check is not None
            and check.key_id == entry.signing_key_id
            and check.is_genuine(signed_content(entry), entry.signature)
        )

    def mac(self, purpose: bytes, content: bytes) -> str:
        """A seal over this content for this purpose, in hex, under the key that seals."""
        return _mac(self._secrets()[0], purpose, content)

    def is_genuine_mac(self, key_id: str, purpose: bytes, content: bytes, mac: str) -> bool:
        """True when the key of this name, which isn't retired, made this seal for this purpose, in constant time."""
        # A retired key is no longer in use: anyone who seals with it now is somebody else.
        return key_id not in self._retired and any(
            _key_id(secret) == key_id and _is_equal(_mac(secret, purpose, content), mac) for secret in self._secrets()
        )

    def _secrets(self) -> tuple[bytes, ...]:
        return tuple(key.get_secret_value() for key in self.keys) or (b"countersign: no audit key was set",)


def signed_content(entry: Sealed) -> bytes:
    """What a signature covers: all that the entry says, and its digest."""
    return canonical_json({name: value for name, value in entry.to_item().items() if name != "signature"})


def _is_equal(seal: str, claimed: str) -> bool:
    # As bytes: compare_digest refuses text outside ASCII, which a forger may have stored.
    return hmac.compare_digest(seal.encode(), claimed.encode(errors="surrogatepass"))


def _digest(secret: bytes, entry: Sealed) -> str:
    content = {name: value for name, value in entry.to_item().items() if name not in _NOT_SEALED}
    return hmac.digest(secret, canonical_json(content), "sha256").hex()


def _mac(secret: bytes, purpose: bytes, content: bytes) -> str:
    # A key of its own for each purpose, so that no content of one purpose can be taken for that of another.
    derived = hmac.digest(secret, b"countersign\0" + purpose, "sha256")
    return hmac.digest(derived, content, "sha256").hex()


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"countersign key id\0" + secret).hexdigest()[:8]

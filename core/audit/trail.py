"""The audit trail: one chain of entries for each record, each entry sealed to the one before it.

Invariant: an entry's digest is an HMAC-SHA256 over everything the entry says and over the digest before it, and the
record carries the last digest and the length. So an entry that was edited, removed, re-ordered or appended, and a
record that was changed behind the bot's back, each break the chain at a place that verification names.

What a chain cannot show: a record restored together with its whole chain to an older moment; and refused attempts
that were removed together with the head of their chain. Export the trail to storage that cannot be rewritten if that
matters.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NewType, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretBytes, ValidationError

from core.actor import DeciderId, ProfileName, UserId, ValidDeciderId
from core.clock import ID_PATTERN, UtcTime, new_id
from core.errors import InvalidInput, MalformedRecord

EntryId = NewType("EntryId", str)
MIN_KEY_LENGTH: Final = 32
"""Characters: 128 bits written as hex, the least that NIST SP 800-107 advises for an HMAC key."""
REFUSED: Final = "refused"
"""The outcome of an attempt that changed nothing."""
REFUSALS_KIND: Final = "REFUSALS"
"""The prefix of the chains that hold refused attempts, one chain for each running process."""

SYSTEM_CHAINS: Final = frozenset({"CHECKPOINTS", "DIRECTORY", "KEYS", "LEDGERS", "MFA", "POLICY"})
"""The chains that belong to no record and to no process."""


class AuditAction(StrEnum):
    """What happened."""

    REQUEST_SUBMITTED = "request_submitted"
    APPROVAL_ADDED = "approval_added"
    REQUEST_APPROVED = "request_approved"
    REQUEST_DENIED = "request_denied"
    REQUEST_CANCELLED = "request_cancelled"
    REQUEST_EXPIRED = "request_expired"
    REQUEST_REMINDED = "request_reminded"
    BREAK_GLASS_INVOKED = "break_glass_invoked"
    BREAK_GLASS_CLOSED = "break_glass_closed"
    BREAK_GLASS_EXPIRED = "break_glass_expired"
    BREAK_GLASS_REVIEWED = "break_glass_reviewed"
    BREAK_GLASS_ENDING_SOON = "break_glass_ending_soon"
    REVIEW_REMINDED = "review_reminded"
    RECORD_DELETED = "record_deleted"
    SUBMIT_REFUSED = "submit_refused"
    APPROVE_REFUSED = "approve_refused"
    DENY_REFUSED = "deny_refused"
    CANCEL_REFUSED = "cancel_refused"
    INVOKE_REFUSED = "invoke_refused"
    CLOSE_REFUSED = "close_refused"
    REVIEW_REFUSED = "review_refused"


class Auditable(Protocol):
    """What each audit entry says about its record."""

    @property
    def state(self) -> StrEnum:
        """Its status."""
        ...

    @property
    def person(self) -> str:
        """The user id of the person whom the access is for."""
        ...

    @property
    def profile(self) -> ProfileName:
        """What the access is to."""
        ...


class EntryDraft(BaseModel):
    """What a service wants written down. The store seals it when the change is committed.

    `actor` did it; `subject` is the person whose access it is about; `record` names what a refused attempt was about,
    which a change doesn't need, because its chain says so. `id` marks the attempt: a store that finds it in the table
    after a lost answer knows that the change took effect.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[EntryId, Field(pattern=ID_PATTERN)] = Field(default_factory=lambda: EntryId(new_id()))
    event: AuditAction
    actor: ValidDeciderId
    outcome: str
    subject: UserId | None = None
    profile: ProfileName | None = None
    record: str | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def of(
        cls, record: Auditable, event: AuditAction, actor: str, details: Mapping[str, JsonValue] | None = None
    ) -> Self:
        """A draft for a change: `record` is the new version, so its status is the outcome."""
        return cls(
            event=event,
            actor=DeciderId(actor),
            outcome=record.state,
            subject=UserId(record.person),
            profile=record.profile,
            details=dict(details or {}),
        )


class AuditEntry(EntryDraft):
    """One line of the trail: an EntryDraft with its place in a chain and its seal.

    `record_digest` is what the record's content became; `kept_until` is when the table may forget the record.
    """

    chain: str
    seq: int = Field(ge=1)
    at: UtcTime
    record_digest: str | None = None
    kept_until: UtcTime | None = None
    previous: str = ""
    key_id: str
    digest: str = ""

    @property
    def must_be_delivered(self) -> bool:
        """True when the outbox has to deliver it: every change, and every break-glass that was refused."""
        return self.outcome != REFUSED or self.event is AuditAction.INVOKE_REFUSED

    def to_item(self) -> dict[str, JsonValue]:
        """The entry as plain JSON values, without attributes that are empty: the stored and the exported form."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value not in (None, "", {})}

    @classmethod
    def from_item(cls, item: Mapping[str, object]) -> Self:
        """Read what `to_item` wrote. Raises MalformedRecord."""
        try:
            return cls.model_validate(item)
        except (ValidationError, InvalidInput) as error:
            name = f"audit entry {item.get('chain', '?')}/{item.get('seq', '?')}"
            raise MalformedRecord.from_error(name, error) from error


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

    def sign(self, entry: AuditEntry) -> str:
        """The digest of an entry, under the key that seals."""
        return _digest(self._secrets()[0], entry)

    def is_genuine(self, entry: AuditEntry) -> bool:
        """True when one of the keys made this entry's digest. Compared in constant time."""
        return any(
            _key_id(secret) == entry.key_id and hmac.compare_digest(_digest(secret, entry), entry.digest)
            for secret in self._secrets()
        )

    def _secrets(self) -> tuple[bytes, ...]:
        return tuple(key.get_secret_value() for key in self.keys) or (b"countersign: no audit key was set",)


def seal(
    draft: EntryDraft,
    keyring: AuditKeyring,
    *,
    chain: str,
    seq: int,
    previous: str,
    at: datetime,
    record_digest: str | None = None,
    kept_until: datetime | None = None,
) -> AuditEntry:
    """Give a draft its place in a chain and its digest."""
    # The draft was checked when it was made, and the rest comes from the store: there is nothing to check again.
    entry = AuditEntry.model_construct(
        **draft.__dict__,
        chain=chain,
        seq=seq,
        previous=previous,
        at=at,
        record_digest=record_digest,
        kept_until=kept_until,
        key_id=keyring.key_id,
    )
    return entry.model_copy(update={"digest": keyring.sign(entry)})


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical_json(value: object) -> bytes:
    """One spelling for one value: sorted keys, no spaces, pure ASCII. The input of every digest."""
    return _CANONICAL.encode(value).encode()


def _digest(secret: bytes, entry: AuditEntry) -> str:
    content = {name: value for name, value in entry.to_item().items() if name != "digest"}
    return hmac.digest(secret, canonical_json(content), "sha256").hex()


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"countersign key id\0" + secret).hexdigest()[:8]

"""The audit trail: one chain of entries for each record, each entry sealed to the one before it.

Invariant: an entry's digest is an HMAC-SHA256 over everything the entry says and over the digest before it, and the
record carries the last digest and the length. So an entry that was edited, removed, re-ordered or appended, and a
record that was changed behind the bot's back, each break the chain at a place that verification names.

What a chain alone cannot show: a record restored together with its whole chain to an older moment, and refused attempts
that were removed together with the head of their chain. Checkpoints show it; see `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NewType, Protocol, Self

from pydantic import Field, JsonValue, ValidationError

from core.actor import DeciderId, ProfileName, UserId, ValidDeciderId
from core.audit.keyring import AuditKeyring, signed_content
from core.clock import ID_PATTERN, UtcTime, new_id
from core.errors import InvalidInput, MalformedRecord
from core.stored import StoredModel

EntryId = NewType("EntryId", str)
REFUSED: Final = "refused"
"""The outcome of an attempt that changed nothing."""
REFUSALS_KIND: Final = "REFUSALS"
"""The prefix of the chains that hold refused attempts, one chain for each running process."""

CHECKPOINTS: Final = "CHECKPOINTS"
KEYS: Final = "KEYS"
PAGES: Final = "PAGES"
STORE: Final = "STORE"
SUMMARIES: Final = "SUMMARIES"
SYSTEM_CHAINS: Final = frozenset({CHECKPOINTS, "DIRECTORY", KEYS, "LEDGERS", "MFA", PAGES, "POLICY", STORE, SUMMARIES})
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
    REQUEST_CONFIRMED = "request_confirmed"
    QUESTION_ASKED = "question_asked"
    QUESTION_ANSWERED = "question_answered"
    BREAK_GLASS_INVOKED = "break_glass_invoked"
    BREAK_GLASS_CLOSED = "break_glass_closed"
    BREAK_GLASS_EXPIRED = "break_glass_expired"
    BREAK_GLASS_REVIEWED = "break_glass_reviewed"
    BREAK_GLASS_ENDING_SOON = "break_glass_ending_soon"
    REVIEW_REMINDED = "review_reminded"
    USER_GROUP_CHANGED = "user_group_changed"
    RECORD_DELETED = "record_deleted"
    REQUEST_ESCALATED = "request_escalated"
    LEDGER_UNREADABLE = "ledger_unreadable"
    LEDGER_REBUILT = "ledger_rebuilt"
    MFA_ENROLLED = "mfa_enrolled"
    MFA_REPLACED = "mfa_replaced"
    MFA_REMOVED = "mfa_removed"
    MFA_UNLOCKED = "mfa_unlocked"
    POLICY_IN_FORCE = "policy_in_force"
    POLICY_REFUSED = "policy_refused"
    SUBMIT_REFUSED = "submit_refused"
    APPROVE_REFUSED = "approve_refused"
    DENY_REFUSED = "deny_refused"
    CANCEL_REFUSED = "cancel_refused"
    CONFIRM_REFUSED = "confirm_refused"
    QUESTION_REFUSED = "question_refused"
    ANSWER_REFUSED = "answer_refused"
    INVOKE_REFUSED = "invoke_refused"
    CLOSE_REFUSED = "close_refused"
    REVIEW_REFUSED = "review_refused"
    CHECKPOINT_SEALED = "checkpoint_sealed"
    MONTHLY_SUMMARY = "monthly_summary"
    PAGE_ACKNOWLEDGED = "page_acknowledged"
    PAGE_DUE = "page_due"
    AUDIT_KEY_RETIRED = "audit_key_retired"
    SEAL_BROKEN = "seal_broken"
    STORE_RESTORED = "store_restored"
    GRANT_CREATED = "grant_created"
    GRANT_DELAYED = "grant_delayed"
    GRANT_GIVEN = "grant_given"
    GRANT_OPENED = "grant_opened"
    GRANT_FAILED = "grant_failed"
    GRANT_ENDED_EARLY = "grant_ended_early"
    GRANT_ENDING = "grant_ending"
    GRANT_TAKEN = "grant_taken"
    GRANT_CLOSED = "grant_closed"
    REVOKE_FAILING = "revoke_failing"
    DRIFT_FOUND = "drift_found"
    HOLDING_REBUILT = "holding_rebuilt"
    ACCESS_ENDING_SOON = "access_ending_soon"
    END_REFUSED = "access_end_refused"
    REVOKE_REFUSED = "access_revoke_refused"
    CREDENTIALS_ISSUED = "credentials_issued"
    CREDENTIALS_REFUSED = "credentials_refused"
    SESSION_REVOKED = "session_revoked"
    SESSION_EXPIRED = "session_expired"
    DENY_PUT = "deny_put"
    DENY_FAILING = "deny_failing"
    DENY_REMOVED = "deny_removed"
    DEVICE_PAIRED = "device_paired"
    DEVICE_REVOKED = "device_revoked"
    DEVICE_EXPIRED = "device_expired"
    DEVICE_REFUSED = "device_refused"
    PAIR_REFUSED = "pair_refused"


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
    def profile(self) -> ProfileName | None:
        """What the access is to, if it is about one profile."""
        ...


class EntryDraft(StoredModel):
    """What a service wants written down. The store seals it when the change is committed.

    `actor` did it; `subject` is the person whose access it is about; `record` names what a refused attempt was about,
    which a change doesn't need, because its chain says so. `id` marks the attempt: a store that finds it in the table
    after a lost answer knows that the change took effect.
    """

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

    `record_digest` is what the record's content became, `previous_record_digest` what it was before; `ledgers` has the
    same of the ledgers that moved with it, by their owner. `kept_until` is when the table may forget the record.
    `signature` is there when the deployment signs its entries; then `signing_key_id` names the key.
    """

    chain: str
    seq: int = Field(ge=1)
    at: UtcTime
    record_digest: str | None = None
    previous_record_digest: str | None = None
    ledgers: dict[str, str] = Field(default_factory=dict)
    kept_until: UtcTime | None = None
    previous: str = ""
    key_id: str
    signing_key_id: str | None = None
    digest: str = ""
    signature: str = ""

    @property
    def must_be_delivered(self) -> bool:
        """True when the outbox has to deliver it: every change, and of what was refused the emergencies and alarms."""
        return self.outcome != REFUSED or self.event in {AuditAction.INVOKE_REFUSED, AuditAction.SEAL_BROKEN}

    def to_item(self) -> dict[str, JsonValue]:
        """The entry as plain JSON values, without attributes that are empty: the stored and the exported form."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value not in (None, "", {})}

    @classmethod
    def from_item(cls, item: Mapping[str, object]) -> Self:
        """Read what `to_item` wrote. Raises MalformedRecord."""
        try:
            return cls.read_stored(item)
        except (ValidationError, InvalidInput) as error:
            name = f"audit entry {item.get('chain', '?')}/{item.get('seq', '?')}"
            raise MalformedRecord.from_error(name, error) from error


def seal(
    draft: EntryDraft,
    keyring: AuditKeyring,
    *,
    chain: str,
    seq: int,
    previous: str,
    at: datetime,
    record_digest: str | None = None,
    previous_record_digest: str | None = None,
    ledgers: Mapping[str, str] | None = None,
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
        previous_record_digest=previous_record_digest,
        ledgers=dict(ledgers or {}),
        kept_until=kept_until,
        key_id=keyring.key_id,
        signing_key_id=keyring.signer.key_id if keyring.signer is not None else None,
    )
    sealed = entry.model_copy(update={"digest": keyring.sign(entry)})
    if keyring.signer is None:
        return sealed
    return sealed.model_copy(update={"signature": keyring.signer.sign(signed_content(sealed))})

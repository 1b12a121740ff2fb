"""What every use case does around its decision: decide again after a conflict, and note a refusal.

Invariant: a decision is made on what was read last. When the store says that this changed, the whole use case runs
again, from the reading on; it is never the write alone that is repeated. So what people are told, and what is noted,
is always about the record as it is, and whoever clicks twice at once gets the same answer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Final, TypeVar

from pydantic import JsonValue

from core.actor import Actor, DeciderId, ProfileName, UserId
from core.audit.trail import REFUSED, AuditAction, EntryDraft
from core.clock import format_time
from core.errors import (
    ConcurrentModification,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    Refused,
    StoreUnavailable,
)
from core.record import Record
from core.services.observer import Observer
from core.stores.base import RefusalLog

T = TypeVar("T")
MOST_TRIES: Final = 50
"""Each conflict means that somebody else's change went through, so this many can only lose to a stampede."""


def retry_on_conflict(use_case: Callable[[], T], observer: Observer) -> T:
    """Run a use case; when the record changed in between, run it again, from its reading on.

    Raises StoreUnavailable when others were quicker fifty times in a row.
    """
    tries = 0
    while True:
        try:
            return use_case()
        except ConcurrentModification as conflict:
            observer.conflicted(conflict.record)
            tries += 1
            if tries == MOST_TRIES:
                raise StoreUnavailable(f"{conflict.record} was changed {tries} times in the meantime") from conflict


def id_from(kind: Callable[[str], T], person: UserId, idempotency_key: str | None) -> T | None:
    """The id that every delivery of one wish of one person gets; None without a key."""
    if idempotency_key is None:
        return None
    return kind(sha256(f"{person}\0{idempotency_key}".encode()).hexdigest()[:16])


@contextmanager
def reading_again_if_decided(record: Record) -> Iterator[None]:
    """Turn the store's "it was decided in the meantime" into a conflict: reading again finds out what that means."""
    try:
        yield
    except InvalidStateTransition as decided:
        raise ConcurrentModification(record.chain) from decided


class Attempt:
    """One person's attempt at something, for the audit trail if it is refused."""

    def __init__(self, event: AuditAction, actor: Actor) -> None:
        self._event = event
        self._actor = actor
        self._record: str | None = None
        self._profile: ProfileName | None = None
        self._subject: UserId | None = None

    def is_about(self, record: Record) -> None:
        """Say which record the attempt is about, once that is known."""
        self._record, self._profile, self._subject = record.chain, record.profile, UserId(record.person)

    def is_for(self, profile: ProfileName) -> None:
        """Say which profile the attempt is for, where there is no record."""
        self._profile, self._subject = profile, self._actor.id

    def to_draft(self, error: Refused) -> EntryDraft:
        """What the audit trail says of the refusal."""
        return EntryDraft(
            event=self._event,
            actor=DeciderId(self._actor.id),
            outcome=REFUSED,
            subject=self._subject,
            profile=self._profile,
            record=self._record,
            details=_explain(error),
        )


@contextmanager
def noting_refusals(refusals: RefusalLog, event: AuditAction, actor: Actor, observer: Observer) -> Iterator[Attempt]:
    """Note it when the block ends with a refusal, and let the refusal pass."""
    attempt = Attempt(event, actor)
    try:
        yield attempt
    except Refused as error:
        refusals.note(attempt.to_draft(error))
        observer.refused(event)
        raise


def _explain(error: Refused) -> dict[str, JsonValue]:
    match error:
        case NotAllowed():
            rule: dict[str, JsonValue] = {"rule": error.rule} if error.rule is not None else {}
            return {**rule, "unmet": list(error.reasons)}
        case LimitReached():
            return {"limit": error.limit, "value": error.value, "ends_at": format_time(error.ends_at)}
        case InvalidStateTransition():
            return {"status": str(error.status), "wanted": str(error.wanted)} | _decision(error)
    return {"why": str(error)}


def _decision(error: InvalidStateTransition) -> dict[str, JsonValue]:
    details: dict[str, JsonValue] = {}
    if error.decided_by is not None:
        details["decided_by"] = error.decided_by
    if error.decided_at is not None:
        details["decided_at"] = format_time(error.decided_at)
    return details

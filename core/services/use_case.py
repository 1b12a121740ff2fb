"""What every use case does: load, judge, commit; judge again after a conflict, and note a refusal in the audit trail.

Invariant: a decision is made on what was read last. When the store says that the record has changed, the whole use case
runs again, beginning with the read; the write is never repeated alone. So answers and audit entries are always about
the current record, and a person who clicks twice at once gets the same answer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Generic, TypeVar

from pydantic import JsonValue

from core.actor import CLOCK, Actor, DeciderId, ProfileName, UserId
from core.audit.trail import REFUSED, AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent, EventId
from core.clock import Clock, format_time, is_trusted
from core.errors import (
    BrokenSeal,
    ConcurrentModification,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    NotFound,
    Refused,
    StoreUnavailable,
)
from core.record import Record
from core.request import Request, RequestId
from core.services.observer import Observer
from core.services.pacing import PACING, Pacing
from core.stores.audit import RefusalLog

T = TypeVar("T")
Id = TypeVar("Id", RequestId, EventId)
R = TypeVar("R", Request, BreakGlassEvent)
_OVER: Final = object()


def retry_on_conflict(use_case: Callable[[], T], observer: Observer, pacing: Pacing = PACING) -> T:
    """Run a use case; when the record changed in between, run it again after a pause, beginning with the read.

    Raises StoreUnavailable when others were faster until the deadline of `pacing`.
    """
    pauses, tries = pacing.pauses(), 0
    while True:
        try:
            return use_case()
        except ConcurrentModification as conflict:
            observer.conflicted(conflict.record)
            tries += 1
            if next(pauses, _OVER) is _OVER:
                raise StoreUnavailable(f"{conflict.record} was changed {tries} times in the meantime") from conflict


def id_from(kind: Callable[[str], T], person: str, idempotency_key: str | None) -> T | None:
    """The same id for every delivery of one person's request; None without a key."""
    if idempotency_key is None:
        return None
    return kind(sha256(f"{person}\0{idempotency_key}".encode()).hexdigest()[:16])


def find_own(get: Callable[[Id], R], record_id: Id | None, person: UserId) -> R | None:
    """The record that an earlier delivery of the same request made; None if there is none or it is somebody else's."""
    if record_id is not None:
        with suppress(NotFound):
            found = get(record_id)
            return found if found.person == person else None
    return None


def acting_as(actual: UserId, person: UserId) -> dict[str, JsonValue]:
    """What an entry says when somebody acted with the other id of a person; nothing for the same id."""
    return {"acted_with": actual} if actual != person else {}


@contextmanager
def reading_again_if_decided(record: Record) -> Iterator[None]:
    """Turn the store's "it was decided in the meantime" into a conflict, so the use case reads again and learns how."""
    try:
        yield
    except InvalidStateTransition as decided:
        raise ConcurrentModification(record.chain) from decided


@dataclass(slots=True)
class AuditedAttempt:
    """One person's attempt at something.

    `refused` is the audit action if the answer is no. The attempt is about `record` once that was read; before that, or
    without a record, it is for `profile`, or about all access of `subject`. The profile is for the actor, unless
    `subject` says for whom.
    """

    refused: AuditAction
    actor: Actor
    profile: ProfileName | None = None
    record: Record | None = None
    subject: UserId | None = None

    def to_draft(self, error: Refused | BrokenSeal) -> EntryDraft:
        """The audit entry of the refusal."""
        draft = EntryDraft(
            event=self.refused,
            actor=DeciderId(self.actor.id),
            outcome=REFUSED,
            subject=self.actor.id if self.profile is not None and self.subject is None else self.subject,
            profile=self.profile,
            details=_explain(error),
        )
        if (record := self.record) is None:
            # A record with a broken seal could not be read: its name is all that is known of it.
            return draft.model_copy(update={"record": error.record}) if isinstance(error, BrokenSeal) else draft
        about = {"record": record.chain, "subject": UserId(record.person), "profile": record.profile}
        return draft.model_copy(update=about)


@contextmanager
def audit_refusals(attempt: AuditedAttempt, refusals: RefusalLog, observer: Observer) -> Iterator[None]:
    """Note a refusal that ends the block, and raise it again."""
    try:
        yield
    except (Refused, BrokenSeal) as error:
        refusals.note(attempt.to_draft(error))
        observer.refused(attempt.refused)
        raise


class ChangeRunner(Generic[R]):
    """Runs the changes of the records of one store. Safe for threads.

    `update` is the store's; `expired` is the audit action for a record whose time has passed.
    """

    def __init__(
        self,
        update: Callable[[R, EntryDraft], R],
        expired: AuditAction,
        refusals: RefusalLog,
        clock: Clock,
        observer: Observer,
        pacing: Pacing = PACING,
    ) -> None:
        self._pacing = pacing
        self._update: Callable[[R, EntryDraft], R] = update
        self._expired = expired
        self._refusals = refusals
        self._clock = clock
        self._observer = observer

    def run(
        self,
        attempt: AuditedAttempt,
        get: Callable[[], R],
        judge: Callable[[R, datetime], tuple[R, EntryDraft]],
        *,
        ends: bool = False,
    ) -> R:
        """Load the record, judge it, commit the record that `judge` returns, with its entry; again after each conflict.

        If `judge` returns the same record, there is nothing to commit. `ends`: it gives nothing and can only end
        something, which may be done with what a newer version made, too. Raises what these raise, having noted a
        refusal; NewerRecord; StoreUnavailable when others were faster until the deadline.
        """

        def use_case() -> R:
            record, now = get(), self._clock.now()
            may_be_stored = not record.is_overdue(now) or is_trusted(self._clock)
            if record.is_overdue(now):
                # By a clock that is off, nobody may approve it, and it doesn't end for good either.
                record = self.expire(record, now) if may_be_stored else record.expire(now)
            attempt.record = record
            if not ends:
                record.require_understood()
            changed, entry = judge(record, now)
            if changed is not record and not may_be_stored:
                raise StoreUnavailable("this instance's clock is off; nothing was recorded")
            return record if changed is record else self.commit(changed, entry)

        with audit_refusals(attempt, self._refusals, self._observer):
            return retry_on_conflict(use_case, self._observer, self._pacing)

    def expire(self, record: R, now: datetime) -> R:
        """Record that an overdue record has ended. Raises like `commit`."""
        expired = record.expire(now)
        return self.commit(expired, EntryDraft.of(expired, self._expired, CLOCK))

    def commit(self, record: R, entry: EntryDraft) -> R:
        """Store a changed record. Raises ConcurrentModification when it was decided meanwhile; see the store."""
        with reading_again_if_decided(record):
            updated = self._update(record, entry)
        self._observer.committed(updated, entry.event)
        return updated


def _explain(error: Refused | BrokenSeal) -> dict[str, JsonValue]:
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

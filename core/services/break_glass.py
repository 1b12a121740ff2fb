"""The use cases of a break-glass event: load, decide by a pure function, commit.

Invariant: a click is decided from the stored event and the policy in force, and committed only if that event has not
changed since. Nothing here says that access was given before the store said so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial

from pydantic import JsonValue

from core.access.principals import Principals
from core.actor import CLOCK, Actor, ProfileName, UserId, check_channel_id, check_profile_name
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import (
    JUSTIFICATION_LENGTH,
    MAX_DURATION,
    REASON_LENGTH,
    BreakGlassEvent,
    EventId,
    EventStatus,
    ReasonCode,
)
from core.clock import Clock, format_time
from core.directory import Directory, UnknownDirectory
from core.duration import to_nanoseconds
from core.mfa import MfaVerifier
from core.policy import PolicySource
from core.request import RequestId
from core.review import NOTES_LENGTH, Verdict, clean_follow_up
from core.services.closing import Closing
from core.services.due import PER_PAGE, DueWatch, Rest, Watched, expires_at, no_rest
from core.services.invoke import Declaration, Invoking
from core.services.ledger_recovery import LedgerRecovery
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing, Turns
from core.services.rights import EMERGENCY_WAIT_SECONDS, EmergencyRights
from core.services.use_case import AuditedAttempt, ChangeRunner, audit_refusals, id_from, retry_on_conflict
from core.stores.base import Stores
from core.stores.record_store import Page
from core.text import clean_text
from core.usage import Usage


class BreakGlassService:
    """Invoke, close and review a break-glass event. Safe for threads, and for any number of processes.

    `directory` says in which user groups somebody is; without it, only those act whom a rule names by id.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        mfa: MfaVerifier | None = None,
        directory: Directory | None = None,
        principals: Principals | None = None,
        principal_wait_seconds: float = EMERGENCY_WAIT_SECONDS,
        pacing: Pacing = PACING,
    ) -> None:
        self._stores = stores
        self._directory: Directory = directory or UnknownDirectory()
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._pacing = pacing
        self._changes = self._changes_with(stores.break_glass.update)
        self._turns = Turns()
        self._expiring = self._watch(self._read_active, expires_at)
        self._asking = self._watch(self._read_active, self._question_at)
        self._reminding = self._watch(self._read_waiting, self._reminder_at, MAX_DURATION)
        self._ledgers = LedgerRecovery(stores, clock, self._observer)
        self._invoking = Invoking(stores, clock, self._observer, mfa)
        self._rights = EmergencyRights(principals, principal_wait_seconds)

    def invoke(
        self,
        invoker: Actor,
        profile: str,
        reason_code: ReasonCode,
        justification: str,
        duration: timedelta,
        *,
        code: str | None = None,
        instead_of: RequestId | None = None,
        declared_in: str | None = None,
        idempotency_key: str | None = None,
    ) -> BreakGlassEvent:
        """Take access at once.

        `code` is the invoker's MFA code; `instead_of` is their request to be replaced; `declared_in` is the Slack
        channel in which they declare it. The same `idempotency_key` from the same person gives the event that it gave
        the first time. Raises InvalidInput, NotAllowed, CodeRefused, LimitReached (which says when the limit ends),
        RequestNotFound, InvalidStateTransition (the request to be replaced gives access), StoreError.
        """
        people, name = self._judging(), check_profile_name(profile)
        declaration = Declaration(
            invoker=invoker,
            profile=name,
            reason_code=reason_code,
            justification=_clean(justification),
            duration=duration,
            declared_in=check_channel_id(declared_in) if declared_in is not None else None,
            instead_of=instead_of,
            event_id=id_from(EventId, invoker.id, idempotency_key),
            ids_of=people.policy.ids_of,
            find_rights=cache(lambda: self._rights.find(people.policy, invoker, name)),
        )
        attempt = AuditedAttempt(AuditAction.INVOKE_REFUSED, invoker, declaration.profile)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            # All who declare for one profile write its ledger, but nobody waits for what is asked about another.
            self._invoking.ask_ahead(declaration, code or None, people)
            with self._turns.take(declaration.profile):
                decide = partial(self._invoking.decide, declaration, code or None, people)
                return retry_on_conflict(decide, self._observer, self._pacing)

    def close(self, event_id: EventId, closer: Actor, reason: str) -> BreakGlassEvent:
        """End the access before its time, at the targets too. Who closed it already gets the same event back.

        Raises EventNotFound, NotAllowed, InvalidStateTransition, InvalidInput, StoreError.
        """
        why = clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])
        people = self._judging()
        closing = Closing(
            self._stores, self._observer, people, closer, why, lambda event: people.judge_close(event, closer)
        )
        attempt = AuditedAttempt(AuditAction.CLOSE_REFUSED, closer)
        changes = self._changes_with(closing.update)
        return changes.run(attempt, lambda: closing.get(event_id), closing.judge, ends=True)

    def review(
        self, event_id: EventId, reviewer: Actor, verdict: Verdict, notes: str, follow_up: str | None = None
    ) -> BreakGlassEvent:
        """Review an ended event, once. Raises like `close`."""
        found = clean_text("notes", notes, at_least=NOTES_LENGTH[0], at_most=NOTES_LENGTH[1])
        link = clean_follow_up(follow_up)
        people = self._judging()

        def judge(event: BreakGlassEvent, now: datetime) -> tuple[BreakGlassEvent, EntryDraft]:
            decision = people.judge_review(event, reviewer)
            decision.require()
            reviewed = event.add_review(reviewer.id, now, verdict, found, link)
            details: dict[str, JsonValue] = {**decision.to_details(), "verdict": verdict, "notes": found}
            if link is not None:
                details["follow_up"] = link
            return reviewed, EntryDraft.of(reviewed, AuditAction.BREAK_GLASS_REVIEWED, reviewer.id, details)

        attempt = AuditedAttempt(AuditAction.REVIEW_REFUSED, reviewer)
        return self._changes.run(attempt, lambda: self._get(event_id, people), judge)

    def expire_due(self, rest: Rest = no_rest) -> tuple[BreakGlassEvent, ...]:
        """Record the end of every event whose time has passed. Returns those that this call recorded.

        Any number of instances may do this at once: each event is expired once. `rest` is taken
        between the pages of what is read. Raises StoreUnavailable.
        """
        return self._expiring.change(self._expire_if_overdue, rest)

    def ask_due(self, rest: Rest = no_rest) -> tuple[BreakGlassEvent, ...]:
        """Record for every live event that ends soon that its invoker is asked whether it is over.

        Returns those that this call recorded. The outbox delivers the question, like every change. Any number of
        instances may do this at once: people are asked about each event once. Raises StoreUnavailable.
        """
        return self._asking.change(self._ask_if_due, rest)

    def remind_due(self, rest: Rest = no_rest) -> tuple[BreakGlassEvent, ...]:
        """Record a reminder of every review that is overdue, each time its rule's `review_within` has passed once more.

        Delivered, and safe for many instances, like the question of `ask_due`. Raises StoreUnavailable.
        """
        return self._reminding.change(self._remind_if_due, rest)

    def find_access(self, person: UserId, profile: ProfileName) -> Usage | None:
        """The live event that gives this person this access now. Consistent: one read, or two if there is one."""
        ids_of = self._policy.current().ids_of
        by_invoker = self._ledgers.read(ids_of, person, profile, with_codes=False).by_invoker
        now = self._clock.now()
        live = [usage.event_id for usage in by_invoker.usages if usage.profile == profile and usage.ends_at > now]
        return by_invoker.settle(*self._stores.break_glass.get_each(live)).live(profile, now) if live else None

    def _get(self, event_id: EventId, people: Judging) -> BreakGlassEvent:
        return people.noting(self._stores.break_glass.get_with_notes(event_id))

    def _changes_with(
        self, update: Callable[[BreakGlassEvent, EntryDraft], BreakGlassEvent]
    ) -> ChangeRunner[BreakGlassEvent]:
        def update_and_tell(event: BreakGlassEvent, entry: EntryDraft) -> BreakGlassEvent:
            updated = update(event, entry)
            # After days without a sweep, what expires now is too old to be new among what waits for a review.
            self._reminding.expect(updated)
            return updated

        refusals, expired = self._stores.refusals, AuditAction.BREAK_GLASS_EXPIRED
        return ChangeRunner(update_and_tell, expired, refusals, self._clock, self._observer, self._pacing)

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)

    def _watch(
        self,
        read_page: Callable[[str | None, datetime | None], Page[BreakGlassEvent]],
        due_at: Callable[[BreakGlassEvent], datetime | None],
        joins_within: timedelta = timedelta(),
    ) -> DueWatch[BreakGlassEvent]:
        watched = Watched(read_page, lambda each: self._stores.break_glass.get(EventId(each)), due_at, joins_within)
        return DueWatch(watched, self._clock, lambda: self._policy.current().digest)

    def _read_active(self, cursor: str | None, since: datetime | None) -> Page[BreakGlassEvent]:
        return self._stores.break_glass.list_by_status(EventStatus.ACTIVE, limit=PER_PAGE, cursor=cursor, since=since)

    def _read_waiting(self, cursor: str | None, since: datetime | None) -> Page[BreakGlassEvent]:
        return self._stores.break_glass.list_waiting_for_review(limit=PER_PAGE, cursor=cursor, since=since)

    def _expire_if_overdue(self, event: BreakGlassEvent, now: datetime) -> BreakGlassEvent | None:
        return self._changes.expire(event, now) if event.is_overdue(now) else None

    def _question_at(self, event: BreakGlassEvent) -> datetime | None:
        if event.asked_at is not None or event.status is not EventStatus.ACTIVE:
            return None
        return event.ask_at(self._policy.current().notifications.times_of(event.rule).ask_before_end)

    def _reminder_at(self, event: BreakGlassEvent) -> datetime | None:
        if not event.is_waiting_for_review:
            return None
        within = self._policy.current().notifications.times_of(event.rule).review_within
        return max(event.review_due_at(within), (event.reminded_at or event.created_at) + within)

    def _ask_if_due(self, event: BreakGlassEvent, now: datetime) -> BreakGlassEvent | None:
        due_at = self._question_at(event)
        if due_at is None or not event.is_granting(now) or now < due_at:
            return None
        details: dict[str, JsonValue] = {"expires_at": format_time(event.expires_at)}
        return self._changes.commit(
            event.ask(now), EntryDraft.of(event, AuditAction.BREAK_GLASS_ENDING_SOON, CLOCK, details)
        )

    def _remind_if_due(self, event: BreakGlassEvent, now: datetime) -> BreakGlassEvent | None:
        within = self._policy.current().notifications.times_of(event.rule).review_within
        reminder_at, due_at = self._reminder_at(event), event.review_due_at(within)
        if reminder_at is None or now < reminder_at:
            return None
        details: dict[str, JsonValue] = {"due_at": format_time(due_at), "review_within": to_nanoseconds(within)}
        return self._changes.commit(
            event.remind(now), EntryDraft.of(event, AuditAction.REVIEW_REMINDED, CLOCK, details)
        )


def _clean(justification: str) -> str:
    least, most = JUSTIFICATION_LENGTH
    return clean_text("justification", justification, at_least=least, at_most=most)

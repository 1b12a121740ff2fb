"""The use cases of a break-glass event: load, decide by a pure function, commit.

Invariant: limits are judged on the ledgers that move in the same transaction as the event, so they are exact under
any race. Nothing here ever says that access was given before the store said so.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import JsonValue

from core.actor import CLOCK, Actor, DeciderId, ProfileName, UserId, check_profile_name
from core.audit import AuditEvent, EntryDraft
from core.break_glass import (
    JUSTIFICATION_LENGTH,
    LINK_LENGTH,
    NOTES_LENGTH,
    REASON_LENGTH,
    BreakGlassEvent,
    EventId,
    EventStatus,
    ReasonCode,
    Verdict,
)
from core.clock import Clock, format_time
from core.duration import to_nanoseconds
from core.errors import EventExists, EventNotFound, LimitReached
from core.policy import BreakGlassDecision, PolicySource
from core.services.attempt import id_from, noting_refusals, reading_again_if_decided, retry_on_conflict
from core.services.expiring import expire_overdue
from core.services.observer import Observer, Unobserved
from core.stores.base import MOST_PER_PAGE, Page, Stores
from core.text import clean_text
from core.usage import Usage, UsageLedger, find_limit, is_escalated


class BreakGlassService:
    """Break the glass, close it, answer for it. Safe for threads, and for any number of processes."""

    def __init__(self, stores: Stores, policy: PolicySource, clock: Clock, observer: Observer | None = None) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()

    def invoke(
        self,
        invoker: Actor,
        profile: str,
        reason_code: ReasonCode,
        justification: str,
        duration: timedelta,
        *,
        mfa_method: str | None = None,
        idempotency_key: str | None = None,
    ) -> BreakGlassEvent:
        """Take access at once. `mfa_method` names the step-up that the caller verified.

        The same `idempotency_key` from the same person gives the event that it gave the first time. Raises
        InvalidInput, NotAllowed, LimitReached (which says when the limit ends), StoreError.
        """
        name = check_profile_name(profile)
        reason = clean_text(
            "justification", justification, at_least=JUSTIFICATION_LENGTH[0], at_most=JUSTIFICATION_LENGTH[1]
        )
        event_id = id_from(EventId, invoker.id, idempotency_key)
        with noting_refusals(self._stores.refusals, AuditEvent.INVOKE_REFUSED, invoker, self._observer) as attempt:
            attempt.is_for(name)

            def decide() -> BreakGlassEvent:
                now = self._clock.now()
                decision = self._policy.current().judge_break_glass(
                    invoker, name, reason_code, duration, now, has_mfa=mfa_method is not None
                )
                if not decision.is_allowed and (known := self._find(event_id, invoker.id)) is not None:
                    # The same invocation, delivered again: what the policy says by now does not undo it.
                    return known
                decision.require()
                event = BreakGlassEvent.invoke(
                    invoker=invoker.id,
                    profile=name,
                    reason_code=reason_code,
                    justification=reason,
                    duration=duration,
                    rule=decision.rule or "",
                    now=now,
                    mfa_method=mfa_method,
                    event_id=event_id,
                )
                return self._create_within_limits(event, decision)

            return retry_on_conflict(decide, self._observer)

    def close(self, event_id: EventId, closer: Actor, reason: str) -> BreakGlassEvent:
        """End the access before its time. Whoever closed it already gets the same event back.

        Raises EventNotFound, NotAllowed, InvalidStateTransition, InvalidInput, StoreError.
        """
        why = clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])
        with noting_refusals(self._stores.refusals, AuditEvent.CLOSE_REFUSED, closer, self._observer) as attempt:

            def decide() -> BreakGlassEvent:
                event, now = self._load(event_id)
                attempt.is_about(event)
                details: dict[str, JsonValue] = {"reason": why}
                if event.status is EventStatus.ACTIVE:
                    decision = self._policy.current().judge_close(closer, profile=event.profile, invoker=event.invoker)
                    decision.require()
                    details |= decision.to_details()
                closed = event.close(closer.id, now, why)
                if closed is event:
                    return event
                entry = _entry(AuditEvent.BREAK_GLASS_CLOSED, closer.id, closed, details)
                return self._update(closed, entry, self._ledgers_after_close(closed))

            return retry_on_conflict(decide, self._observer)

    def review(
        self, event_id: EventId, reviewer: Actor, verdict: Verdict, notes: str, follow_up: str | None = None
    ) -> BreakGlassEvent:
        """Answer for an ended event, once. Raises like `close`."""
        found = clean_text("notes", notes, at_least=NOTES_LENGTH[0], at_most=NOTES_LENGTH[1])
        link = _clean_link(follow_up)
        with noting_refusals(self._stores.refusals, AuditEvent.REVIEW_REFUSED, reviewer, self._observer) as attempt:

            def decide() -> BreakGlassEvent:
                event, now = self._load(event_id)
                attempt.is_about(event)
                decision = self._policy.current().judge_review(reviewer, profile=event.profile, invoker=event.invoker)
                decision.require()
                reviewed = event.add_review(reviewer.id, now, verdict, found, link)
                if reviewed is event:
                    return event
                details: dict[str, JsonValue] = {**decision.to_details(), "verdict": verdict, "notes": found}
                if link is not None:
                    details["follow_up"] = link
                entry = _entry(AuditEvent.BREAK_GLASS_REVIEWED, reviewer.id, reviewed, details)
                return self._update(reviewed, entry)

            return retry_on_conflict(decide, self._observer)

    def expire_due(self) -> tuple[BreakGlassEvent, ...]:
        """Record the end of every event whose time passed; the ones that this call recorded.

        Any number of instances may do this at once: each event is expired once. Raises StoreUnavailable.
        """

        def read_page(cursor: str | None) -> Page[BreakGlassEvent]:
            return self._stores.break_glass.list_by_status(EventStatus.ACTIVE, limit=MOST_PER_PAGE, cursor=cursor)

        return expire_overdue(read_page, self._expire, self._clock)

    def find_access(self, person: UserId, profile: ProfileName) -> Usage | None:
        """The live event that gives this person access to the profile now. One consistent read."""
        by_invoker, _ = self._stores.break_glass.get_ledgers(person, profile)
        return by_invoker.live(profile, self._clock.now())

    def _create_within_limits(self, event: BreakGlassEvent, decision: BreakGlassDecision) -> BreakGlassEvent:
        by_invoker, by_profile = self._stores.break_glass.get_ledgers(event.invoker, event.profile)
        if by_invoker.has(event.id):
            # The same invocation, delivered again.
            return self._stores.break_glass.get(EventId(event.id))
        hit = find_limit(by_invoker, by_profile, event.profile, decision.limits, event.created_at)
        if hit is not None:
            raise LimitReached(hit.limit, hit.value, hit.ends_at)
        details: dict[str, JsonValue] = {
            **decision.to_details(),
            "reason_code": event.reason_code,
            "justification": event.justification,
            "duration": to_nanoseconds(event.duration),
            "expires_at": format_time(event.expires_at),
            "request_id": event.request_id,
            "is_escalated": is_escalated(by_profile, decision.limits, event.created_at),
        }
        if event.mfa_method is not None:
            details["mfa_method"] = event.mfa_method
        entry = _entry(AuditEvent.BREAK_GLASS_INVOKED, event.invoker, event, details)
        try:
            created = self._stores.break_glass.create(event, entry, (by_invoker.add(event), by_profile.add(event)))
        except EventExists:
            existing = self._stores.break_glass.get(EventId(event.id))
            if existing.invoker != event.invoker:
                raise
            return existing
        self._observer.committed(created, entry.event)
        return created

    def _ledgers_after_close(self, closed: BreakGlassEvent) -> tuple[UsageLedger, ...]:
        by_invoker, _ = self._stores.break_glass.get_ledgers(closed.invoker, closed.profile)
        ended = by_invoker.end(closed)
        # An event so old that its ledger forgot it can still be closed.
        return (ended,) if ended != by_invoker else ()

    def _find(self, event_id: EventId | None, invoker: UserId) -> BreakGlassEvent | None:
        if event_id is not None:
            with suppress(EventNotFound):
                found = self._stores.break_glass.get(event_id)
                return found if found.invoker == invoker else None
        return None

    def _load(self, event_id: EventId) -> tuple[BreakGlassEvent, datetime]:
        """The event as it is now, and now. One whose time passed is recorded as expired on the way."""
        event, now = self._stores.break_glass.get(event_id), self._clock.now()
        return (self._expire(event, now) if event.is_overdue(now) else event), now

    def _expire(self, event: BreakGlassEvent, now: datetime) -> BreakGlassEvent:
        expired = event.expire(now)
        return self._update(expired, _entry(AuditEvent.BREAK_GLASS_EXPIRED, CLOCK, expired, {}))

    def _update(
        self, event: BreakGlassEvent, entry: EntryDraft, ledgers: tuple[UsageLedger, ...] = ()
    ) -> BreakGlassEvent:
        with reading_again_if_decided(event):
            updated = self._stores.break_glass.update(event, entry, ledgers)
        self._observer.committed(updated, entry.event)
        return updated


def _entry(event: AuditEvent, actor: str, about: BreakGlassEvent, details: dict[str, JsonValue]) -> EntryDraft:
    return EntryDraft(
        event=event,
        actor=DeciderId(actor),
        outcome=about.status,
        subject=about.invoker,
        profile=about.profile,
        details=details,
    )


def _clean_link(link: str | None) -> str | None:
    if link is None or not link.strip():
        return None
    return clean_text("follow-up link", link, at_least=LINK_LENGTH[0], at_most=LINK_LENGTH[1])

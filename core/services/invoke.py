"""Break the glass: judge the declaration, the limits and the code, and commit the event with what changes with it.

Invariant: one read and one write; one read more before a limit refuses anybody, for the ends of the events that it
counts. The ledgers on which the limits and the code are judged change in the same transaction as the event, and so does
the request that it replaces; the grants are made in it. A wrong code is counted before anybody learns that it was
wrong. A target that can't say who the invoker is stops nothing: the event says what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from core.access.right import right_key
from core.actor import Actor, ChannelId, ProfileName
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.clock import Clock, format_time
from core.duration import to_nanoseconds
from core.errors import (
    CodeRefused,
    EventExists,
    InvalidStateTransition,
    LimitReached,
    MalformedRecord,
    NotAllowed,
    StoreMisconfigured,
)
from core.ledger import Ledger
from core.mfa import CodeLedger, MfaVerifier
from core.policy import BreakGlassDecision, Policy
from core.request import Request, RequestId, RequestStatus
from core.services.granting import grants_of_event, observe
from core.services.ledger_recovery import LedgerRecovery, LedgersRead
from core.services.membership import Judging
from core.services.observer import Observer
from core.services.open_access import gives_access
from core.services.rights import RightsFound
from core.services.use_case import find_own, reading_again_if_decided
from core.stores.base import Replaced, Stores
from core.usage import IdsOf, UsageLimits, each_alone, find_decisive, find_limit, is_escalated

_NO_GRANTS: Final = "Countersign can't store access, so nothing was opened; tell the people who run Countersign"
_log = logging.getLogger("countersign.access")


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declaration of a break-glass event, with its text checked. `find_rights` asks the targets, for a short time."""

    invoker: Actor
    profile: ProfileName
    reason_code: ReasonCode
    justification: str
    duration: timedelta
    declared_in: ChannelId | None = None
    instead_of: RequestId | None = None
    event_id: EventId | None = None
    ids_of: IdsOf = each_alone
    find_rights: Callable[[], RightsFound] = RightsFound


class Invoking:
    """Decides on declarations. Safe for threads."""

    def __init__(
        self,
        stores: Stores,
        clock: Clock,
        observer: Observer,
        mfa: MfaVerifier | None = None,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._observer = observer
        self._second_factor = mfa
        self._ledgers = LedgerRecovery(stores, clock, observer)

    def ask_ahead(self, declaration: Declaration, code: str | None, people: Judging) -> None:
        """Ask the directory and the targets what `decide` will need to know. Raises InvalidInput: no such profile."""
        has_code = code is not None and self._second_factor is not None
        judge = _judge_by(people.policy, declaration, self._clock.now(), has_mfa=has_code)
        invoker = people.ask(declaration.invoker, lambda known: judge(known).needs)
        if judge(invoker).is_allowed:
            declaration.find_rights()

    def decide(self, declaration: Declaration, code: str | None, people: Judging) -> BreakGlassEvent:
        """Judge the declaration on what is stored now, and commit the event.

        `people` keeps the policy version of this use case when it runs again. Raises ConcurrentModification, after
        which the caller judges again, and what BreakGlassService.invoke raises.
        """
        now, has_code = self._clock.now(), code is not None and self._second_factor is not None
        ledgers = self._ledgers.read(
            declaration.ids_of, declaration.invoker.id, declaration.profile, with_codes=has_code
        )
        people.noting((ledgers, ledgers.notes))
        # Whether the code is correct is judged below, on the ledger of codes.
        decision = people.judge(declaration.invoker, _judge_by(people.policy, declaration, now, has_mfa=has_code))
        if not decision.is_allowed and (known := self._find_known(declaration)) is not None:
            # The same invocation, delivered again: a policy that changed since then does not undo it.
            return known
        decision.require()
        try:
            return self._decide_on_ledgers(declaration, code, decision, ledgers, now)
        except (CodeRefused, LimitReached):
            # Each ledger is read consistently, but not all at one moment: the obstacle may be this very invocation,
            # delivered twice at once.
            if (known := self._find_known(declaration)) is not None:
                return known
            raise

    def _decide_on_ledgers(
        self,
        declaration: Declaration,
        code: str | None,
        decision: BreakGlassDecision,
        ledgers: LedgersRead,
        now: datetime,
    ) -> BreakGlassEvent:
        if declaration.event_id is not None and ledgers.by_invoker.has(declaration.event_id):
            # The same invocation, delivered again.
            return self._stores.break_glass.get(declaration.event_id)
        ledgers = self._judge_limits(declaration, ledgers, decision.limits, now)
        codes = self._verify(declaration, code, ledgers, now)
        replaced = self._find_replaced(declaration, now)
        event, ledgers = self._make_event(declaration, decision, now, codes, replaced), replace(ledgers, codes=codes)
        try:
            return self._create(event, decision, ledgers, replaced)
        except StoreMisconfigured as problem:
            if not event.rights:
                raise
            # The table of access may be missing, or not allowed, and nothing else: that stops no emergency.
            _log.error("%s is declared without access, because its grants can't be stored: %s", event.chain, problem)
            return self._create(event.replace(rights=(), access_problem=_NO_GRANTS), decision, ledgers, replaced)

    def _judge_limits(
        self, declaration: Declaration, ledgers: LedgersRead, limits: UsageLimits, now: datetime
    ) -> LedgersRead:
        """The ledgers, settled if a limit would have refused otherwise. Raises LimitReached."""
        judged = ledgers.by_invoker, ledgers.by_profile
        if find_limit(*judged, declaration.profile, limits, now) is None:
            return ledgers
        # A ledger doesn't know of a close. An event that ended never changes again, so what is read here stays true.
        events = self._stores.break_glass.get_each(find_decisive(*judged, declaration.profile, limits, now))
        by_invoker, by_profile = (ledger.settle(*events, ids_of=declaration.ids_of) for ledger in judged)
        hit = find_limit(by_invoker, by_profile, declaration.profile, limits, now)
        if hit is not None:
            raise LimitReached(hit.limit, hit.value, hit.ends_at)
        return replace(ledgers, by_invoker=by_invoker, by_profile=by_profile)

    def _verify(
        self, declaration: Declaration, code: str | None, ledgers: LedgersRead, now: datetime
    ) -> CodeLedger | None:
        """The ledger with this code used; None if no code was given. Raises CodeRefused, LimitReached."""
        codes = ledgers.codes
        if codes is None or code is None or self._second_factor is None:
            return None
        codes.refuse_locked(now)
        step = self._second_factor.find_step(declaration.invoker.id, code, now)
        if step is not None:
            return codes.accept(step)
        wrong = codes.count_wrong(now)
        if ledgers.to_write(wrong):
            self._stores.break_glass.put_codes(wrong)
        wrong.refuse_locked(now)
        raise CodeRefused("wrong", wrong.tries_left)

    def _find_replaced(self, declaration: Declaration, now: datetime) -> Request | None:
        """The pending request that the event replaces; None when it ended without giving access.

        Raises NotAllowed for somebody else's, InvalidStateTransition when it gives access by now.
        """
        if declaration.instead_of is None:
            return None
        try:
            request = self._stores.requests.get(declaration.instead_of)
        except MalformedRecord:
            # The store raised the alarm. The request gives no access like this, and must not stop an emergency.
            return None
        if request.requester != declaration.invoker.id or request.profile != declaration.profile:
            raise NotAllowed("break glass", ("you can only replace your own request for the same profile",))
        if gives_access(self._stores, request, now):
            by, at = request.ended_by
            raise InvalidStateTransition(
                request.chain, request.status, RequestStatus.CANCELLED, decided_by=by, decided_at=at
            )
        is_waiting = request.status is RequestStatus.PENDING and not request.is_overdue(now)
        return request if is_waiting else None

    def _make_event(
        self,
        declaration: Declaration,
        decision: BreakGlassDecision,
        now: datetime,
        codes: CodeLedger | None,
        replaced: Request | None,
    ) -> BreakGlassEvent:
        found = declaration.find_rights()
        return BreakGlassEvent.invoke(
            invoker=declaration.invoker.id,
            profile=declaration.profile,
            reason_code=declaration.reason_code,
            justification=declaration.justification,
            duration=declaration.duration,
            rule=decision.rule or "",
            now=now,
            mfa_method=self._second_factor.method if codes is not None and self._second_factor is not None else None,
            declared_in=declaration.declared_in,
            instead_of=replaced.id if replaced is not None else None,
            rights=found.rights,
            access_problem=found.problem,
            event_id=declaration.event_id,
        )

    def _create(
        self, event: BreakGlassEvent, decision: BreakGlassDecision, ledgers: LedgersRead, replaced: Request | None
    ) -> BreakGlassEvent:
        is_escalation = is_escalated(ledgers.by_profile, decision.limits, event.created_at)
        entry = EntryDraft.of(
            event, AuditAction.BREAK_GLASS_INVOKED, event.invoker, _details(event, decision, is_escalated=is_escalation)
        )
        moving: list[Ledger] = [ledgers.by_invoker.add(event), ledgers.by_profile.add(event)]
        if ledgers.codes is not None:
            moving.append(ledgers.codes)
        replacing = _replace(replaced, event) if replaced is not None else None
        moved, grants = ledgers.to_write(*moving), grants_of_event(event)
        try:
            with reading_again_if_decided(replaced) if replaced is not None else nullcontext():
                created = self._stores.break_glass.create(event, entry, moved, replacing=replacing, grants=grants)
        except EventExists:
            existing = self._stores.break_glass.get(EventId(event.id))
            if existing.invoker != event.invoker:
                raise
            return existing
        self._observer.committed(created, entry.event)
        if replacing is not None:
            self._observer.committed(replacing.request, replacing.entry.event)
        observe(grants, self._observer)
        return created

    def _find_known(self, declaration: Declaration) -> BreakGlassEvent | None:
        return find_own(self._stores.break_glass.get, declaration.event_id, declaration.invoker.id)


def _judge_by(
    policy: Policy, declaration: Declaration, now: datetime, *, has_mfa: bool
) -> Callable[[Actor], BreakGlassDecision]:
    def judge(invoker: Actor) -> BreakGlassDecision:
        return policy.judge_break_glass(
            invoker, declaration.profile, declaration.reason_code, declaration.duration, now, has_mfa=has_mfa
        )

    return judge


def _details(event: BreakGlassEvent, decision: BreakGlassDecision, *, is_escalated: bool) -> dict[str, JsonValue]:
    details: dict[str, JsonValue] = {
        **decision.to_details(),
        "reason_code": event.reason_code,
        "justification": event.justification,
        "duration": to_nanoseconds(event.duration),
        "expires_at": format_time(event.expires_at),
        "request_id": event.request_id,
        "is_escalated": is_escalated,
    }
    if event.mfa_method is not None:
        details["mfa_method"] = event.mfa_method
    if event.instead_of is not None:
        details["instead_of"] = event.instead_of
    if event.rights:
        details["rights"] = [right_key(each) for each in event.rights]
    if event.access_problem is not None:
        details["access_problem"] = event.access_problem
    return details


def _replace(request: Request, event: BreakGlassEvent) -> Replaced:
    cancelled = request.cancel(event.invoker, event.created_at, replaced_by=event.id)
    draft = EntryDraft.of(cancelled, AuditAction.REQUEST_CANCELLED, event.invoker, {"replaced_by": event.id})
    return Replaced(cancelled, draft)

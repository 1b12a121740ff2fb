"""A grant: one right that a decision gives to one person, in one window, from the decision to the proof of its end.

Its statuses and the moves between them are in `grant_status`.

Invariant: the window is a fact of the record, fixed when the grant is made; nothing that happens to a target moves its
end. It ends early once, by somebody, for a reason. `failed` means never given. A grant that is `ending` has no other
way out than `ended`, so that no revoke is ever given up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Final, NewType, Self

from pydantic import Field, JsonValue, model_validator

from core.access.grant_status import GRANT_MACHINE, LIVE_STATUSES, AccessPhase, AccessState, GrantStatus
from core.access.right import Right, ValidRight, right_key
from core.actor import DeciderId, ProfileName, UserId, ValidDeciderId, ValidServiceName, ValidUserId
from core.break_glass import BreakGlassEvent
from core.clock import UtcTime
from core.duration import check_duration
from core.errors import InvalidStateTransition
from core.record import AccessRecord, RuleName
from core.request import MAX_DURATION
from core.stored import StoredModel
from core.text import text_rule

__all__ = [
    "AWAITS_END", "GRANT_MACHINE", "AccessPhase", "AccessState", "EarlyEnd", "Grant", "GrantId", "GrantStatus",
    "grant_id_for",
]  # fmt: skip

GrantId = NewType("GrantId", str)
AWAITS_END: Final = "end"
"""What is still due on a live grant."""
REASON_LENGTH: Final = (1, 500)
SOURCE_PATTERN: Final = r"^(REQUEST|BREAKGLASS)#[0-9a-f]{16}$"
Reason = Annotated[str, text_rule("reason", at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])]


class EarlyEnd(StoredModel):
    """Who ended a grant before its time, when and why."""

    by: ValidDeciderId
    at: UtcTime
    reason: Reason


def grant_id_for(source: str, right: Right) -> GrantId:
    """The id of the grant of one right by one decision: always the same, so that deciding twice makes no second one."""
    return GrantId(hashlib.sha256(f"{source}\0{right_key(right)}".encode()).hexdigest()[:16])


class Grant(AccessRecord):
    """One right in the window `[starts_at, expires_at)`, given by the decision that the chain `source` records.

    `rule` is the policy rule of that decision. With `service`, the access is for this service of the grantee's.

    `stood_before` means that the person had the right already, from elsewhere; it is left when the grant ends.
    `is_kept` means that the right stayed when this grant ended, because of that or of another grant.
    `delay_told_at` is when people were told that opening takes long, `ending_told_at` that the end is near.
    """

    KIND: ClassVar[str] = "GRANT"
    NOUN: ClassVar[str] = "grant"
    GAINING: ClassVar[tuple[str, ...]] = ("ended_early", "opened_at", "closed_at", "delay_told_at", "ending_told_at")

    grantee: ValidUserId
    right: ValidRight
    source: Annotated[str, Field(pattern=SOURCE_PATTERN)]
    decided_by: ValidDeciderId
    rule: RuleName | None = None
    service: ValidServiceName | None = None
    starts_at: UtcTime
    status: GrantStatus = GrantStatus.PENDING
    opened_at: UtcTime | None = None
    ended_early: EarlyEnd | None = None
    closed_at: UtcTime | None = None
    residual_until: UtcTime | None = None
    failure: Reason | None = None
    stood_before: bool = False
    is_kept: bool = False
    delay_told_at: UtcTime | None = None
    ending_told_at: UtcTime | None = None

    @classmethod
    def make(
        cls,
        *,
        grantee: UserId,
        profile: ProfileName,
        right: Right,
        source: str,
        decided_by: DeciderId,
        justification: str,
        starts_at: datetime,
        ends_at: datetime,
        now: datetime,
        rule: str | None = None,
    ) -> Self:
        """A new pending grant. Raises InvalidInput, naming the field, for anything out of bounds."""
        check_duration("duration", ends_at - starts_at, MAX_DURATION)
        return cls(
            id=grant_id_for(source, right),
            grantee=grantee,
            profile=profile,
            right=right,
            source=source,
            decided_by=decided_by,
            rule=rule,
            justification=justification,
            duration=ends_at - starts_at,
            starts_at=starts_at,
            created_at=now,
            updated_at=now,
            expires_at=ends_at,
        )

    def open(self, now: datetime, *, stood_before: bool = False) -> Self:
        """Note that the target confirmed the right and a read showed it. Raises InvalidStateTransition."""
        self._check(GrantStatus.ACTIVE, stay=False)
        return self.replace(status=GrantStatus.ACTIVE, opened_at=now, stood_before=stood_before)

    def end_early(self, by: DeciderId, now: datetime, reason: str) -> Self:
        """End the access before its time. The person who ended it already gets the same grant back.

        Raises InvalidStateTransition when it ended otherwise, or its time has passed.
        """
        if self.ended_early is not None and self.ended_early.by == by:
            return self
        self._check(GrantStatus.ENDING, stay=False)
        if now >= self.ends_at:
            why = "its time has passed"
            raise InvalidStateTransition(self.chain, self.status, GrantStatus.ENDING, reason=why)
        return self.replace(status=GrantStatus.ENDING, ended_early=EarlyEnd(by=by, at=now, reason=reason))

    def expire(self, now: datetime) -> Self:
        """Note that the window has passed. Raises InvalidStateTransition before that, and when it ended already."""
        self._check(GrantStatus.ENDING, stay=False)
        if not self.is_overdue(now):
            raise InvalidStateTransition(self.chain, self.status, GrantStatus.ENDING, reason="it has time left")
        return self.replace(status=GrantStatus.ENDING)

    def close(self, now: datetime, *, residual_until: datetime | None = None, is_kept: bool = False) -> Self:
        """Note that the right is known to be absent, or `is_kept` for another cause. Raises InvalidStateTransition."""
        self._check(GrantStatus.ENDED, stay=False)
        return self.replace(status=GrantStatus.ENDED, closed_at=now, residual_until=residual_until, is_kept=is_kept)

    def fail(self, now: datetime, reason: str) -> Self:
        """Note that the target refused it, and that it is known to be absent. Raises InvalidStateTransition."""
        self._check(GrantStatus.FAILED, stay=False)
        return self.replace(status=GrantStatus.FAILED, closed_at=now, failure=reason)

    def tell_delay(self, now: datetime) -> Self:
        """Note that people are told that opening takes long. Raises InvalidStateTransition unless it is pending."""
        self._check(GrantStatus.PENDING)
        return self if self.delay_told_at is not None else self.replace(delay_told_at=now)

    def tell_ending(self, now: datetime) -> Self:
        """Note that people are told that the end is near. Raises InvalidStateTransition when it has ended."""
        if not self.is_wanted(now):
            raise InvalidStateTransition(self.chain, self.status, "told")
        return self if self.ending_told_at is not None else self.replace(ending_told_at=now)

    def is_wanted(self, now: datetime) -> bool:
        """True while somebody decided that the right is to be held for this grant."""
        return self.status in _WANTING and self.starts_at <= now < self.ends_at

    def is_overdue(self, now: datetime) -> bool:
        """True when the window has passed but nothing has recorded that yet."""
        return self.status in _WANTING and now >= self.ends_at

    def describe(self, now: datetime) -> AccessState:
        """What people are told about it now."""
        return AccessState(self._phase(now), self.ended_at, self.failure, self.residual_until, self.is_kept)

    @property
    def was_open(self) -> bool:
        """True for access that could be used, also for what was taken before anybody was notified of it."""
        return self.opened_at is not None or self.residual_until is not None

    @property
    def ends_at(self) -> datetime:
        """The end of the window, which never moves."""
        return self.expires_at

    @property
    def ended_at(self) -> datetime:
        """When the access ends or ended: the end of the window, or before."""
        return self.ended_early.at if self.ended_early is not None else self.expires_at

    @property
    def is_emergency(self) -> bool:
        """True for break-glass access."""
        return self.source.startswith(f"{BreakGlassEvent.KIND}#")

    @property
    def is_live(self) -> bool:
        """True until nothing is left to do for it."""
        return self.status in LIVE_STATUSES

    @property
    def state(self) -> GrantStatus:
        """The grant's status."""
        return self.status

    @property
    def person(self) -> UserId:
        """The person who has the access."""
        return self.grantee

    @property
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who ended it early and when."""
        return (self.ended_early.by, self.ended_early.at) if self.ended_early is not None else (None, None)

    @property
    def awaits(self) -> str | None:
        """Until it is final, its end."""
        return AWAITS_END if self.is_live else None

    def life_ends_at(self) -> datetime | None:
        """The moment from which the right is known to be absent; None before."""
        return self.closed_at

    def legal_sources(self) -> frozenset[str]:
        """The statuses from which the table allows a move to this one."""
        return GRANT_MACHINE.sources(self.status)

    def facts_to_keep(self, item: Mapping[str, JsonValue] | None = None) -> Mapping[str, JsonValue]:
        """What was decided: who gets which right, by which decision, and when it begins and ends."""
        stored = item if item is not None else self.to_item()
        return {name: stored.get(name) for name in _FIXED}

    def find_lost(self, stored: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Moments and the early end are noted once, and stay."""
        item = self.to_item()
        return tuple(name for name in self.GAINING if stored.get(name) not in (None, item.get(name)))

    def _phase(self, now: datetime) -> AccessPhase:
        if self.status is GrantStatus.PENDING and now < self.starts_at:
            return AccessPhase.SCHEDULED
        return AccessPhase.CLOSING if self.is_overdue(now) else _PHASES[self.status]

    def _check(self, target: GrantStatus, *, stay: bool = True) -> None:
        by, at = self.ended_by
        if not stay and self.status is target:
            raise InvalidStateTransition(self.chain, self.status, target, decided_by=by, decided_at=at)
        GRANT_MACHINE.check(self.chain, self.status, target, decided_by=by, decided_at=at)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for is_kept, rule in self._consistency():
            if not is_kept:
                raise ValueError(rule)
        return self

    def _consistency(self) -> tuple[tuple[bool, str], ...]:
        is_final = not self.is_live
        return (
            (self.expires_at == self.starts_at + self.duration, "the window lasts for the duration"),
            (self.id == grant_id_for(self.source, self.right), "one decision makes one grant of a right"),
            (is_final == (self.closed_at is not None), "a final grant, and only it, says since when"),
            (
                (self.status is GrantStatus.FAILED) == (self.failure is not None),
                "a failed grant, and only it, says why",
            ),
            (self.status is not GrantStatus.FAILED or self.opened_at is None, "what was open cannot fail"),
            (self.status is not GrantStatus.ACTIVE or self.opened_at is not None, "an active grant says since when"),
            (self.status is not GrantStatus.PENDING or self.opened_at is None, "a pending grant was not open"),
            (self.ended_early is None or self.status not in _WANTING, "what ended early is not wanted"),
            (self.ended_early is None or self.ended_early.at < self.ends_at, "early is before the end"),
        )


_WANTING: Final = frozenset({GrantStatus.PENDING, GrantStatus.ACTIVE})
_PHASES: Final = {
    GrantStatus.PENDING: AccessPhase.OPENING,
    GrantStatus.ACTIVE: AccessPhase.OPEN,
    GrantStatus.ENDING: AccessPhase.CLOSING,
    GrantStatus.ENDED: AccessPhase.CLOSED,
    GrantStatus.FAILED: AccessPhase.FAILED,
}
_FIXED: Final = (
    "grantee", "profile", "right", "source", "decided_by", "rule", "service", "justification", "duration", "starts_at",
    "expires_at", "created_at",
)  # fmt: skip

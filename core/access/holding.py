"""A holding: what one right is in its target, as far as it is known, and what is being done about it.

Invariant: what a holding says was durable before the call that it is about. `is_ours` is set before the first give and
stays until a look long after the take showed the right absent: only then can nothing that we did still have an effect.
What was there before `is_ours` is `standing`, and belongs to somebody else.

A holding is a ledger: sealed, versioned by its `updated_at`, and it moves in one transaction with a grant.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, JsonValue, field_validator

from core.access.right import Right, parse_right_key, right_key
from core.access.timing import CALL_TIMEOUT, CLOCK_MARGIN, LEASE, SETTLE
from core.audit.trail import AuditAction
from core.clock import UtcTime
from core.ledger import Ledger
from core.record import RecordId
from core.stored import StoredModel

MAX_PROBLEM_LENGTH: Final = 500
MAX_UNTOLD: Final = 20
"""How many steps wait for their audit entry; they are written with the next change of their grant."""
DORMANT_FOR: Final = timedelta(days=1)


class Observation(StrEnum):
    """What was last observed of a right in its target."""

    ABSENT = "absent"
    HELD = "held"
    UNKNOWN = "unknown"


class OperationKind(StrEnum):
    """What changes a target."""

    GIVE = "give"
    TAKE = "take"


class Urgency(StrEnum):
    """What a right waits for, most urgent first."""

    EMERGENCY = "emergency"
    REVOKE = "revoke"
    GRANT = "grant"
    LOOK = "look"


class Operation(StoredModel):
    """A give or a take for a grant. `token` is how its target knows it; `is_first`: nothing was given before it."""

    kind: OperationKind
    generation: int
    grant: RecordId
    since: UtcTime
    token: str | None = None
    is_first: bool = False


class WorkerLease(StoredModel):
    """Which worker alone may call the target for this right, and until when."""

    holder: str
    until: UtcTime


class Refusal(StoredModel):
    """When and why the target refused to give."""

    at: UtcTime
    reason: str


class Pause(StoredModel):
    """No call before `until`, as long as the right is as wanted as it was at `since`."""

    since: UtcTime
    until: UtcTime
    is_wanted: bool


class UntoldStep(StoredModel):
    """Something that happened, whose audit entry is still to be written to the chain of its grant."""

    action: str
    grant: RecordId
    details: dict[str, JsonValue] = Field(default_factory=dict)


class Holding(Ledger):
    """What is known of one right; its `owner` is the right's key.

    `observed` is what the last answer said, and `is_seen` is true when that was a look, after the last change.
    `given_at` and `taken_at` are when the target last confirmed a change, and `confirmed` says which came last, as the
    clocks of two workers can't. `lost` is the operation whose answer was lost, until its effect was seen or can no
    longer come. `overdue_since` is since when it should have been taken. `must_look`: it was
    rebuilt from the grants, and nothing is closed before a look has shown what is there.
    """

    KIND: ClassVar[str] = "HOLDING"

    observed: Observation = Observation.UNKNOWN
    seen_at: UtcTime | None = None
    is_seen: bool = False
    standing: bool = False
    is_ours: bool = False
    must_look: bool = False
    generation: int = 0
    operation: Operation | None = None
    lost: Operation | None = None
    lease: WorkerLease | None = None
    given_at: UtcTime | None = None
    taken_at: UtcTime | None = None
    confirmed: OperationKind | None = None
    refused: Refusal | None = None
    pause: Pause | None = None
    failures: int = 0
    problem: str | None = None
    overdue_since: UtcTime | None = None
    alerted_at: UtcTime | None = None
    untold: Annotated[tuple[UntoldStep, ...], Field(max_length=MAX_UNTOLD)] = ()
    last_grant: RecordId | None = None
    next_look_at: UtcTime | None = None
    urgency: Urgency = Urgency.LOOK

    @field_validator("owner")
    @classmethod
    def _is_key(cls, owner: str) -> str:
        return right_key(parse_right_key(owner))

    @classmethod
    def empty(cls, right: Right) -> Self:
        """Nothing is known of this right yet."""
        return cls(owner=right_key(right))

    @property
    def right(self) -> Right:
        """The right."""
        return parse_right_key(self.owner)

    @property
    def changed_at(self) -> datetime | None:
        """When we last changed something, or may have."""
        lost_at = self.lost.since if self.lost is not None else None
        # A give that failed on its way may have left something behind.
        refused_at = self.refused.at if self.refused is not None and self.is_ours else None
        moments = (self.given_at, self.taken_at, lost_at, refused_at)
        return max((each for each in moments if each is not None), default=None)

    @property
    def is_touched(self) -> bool:
        """True while something that we did may have an effect, now or later."""
        return self.is_ours or self.operation is not None or self.lost is not None

    @property
    def is_absence_proved(self) -> bool:
        """True when a look shows it absent that is not just too early to show what was given."""
        is_early = self.confirmed is OperationKind.GIVE and not self.is_settled(
            self.given_at, self.seen_at or _LONG_AGO
        )
        return self.observed is Observation.ABSENT and not is_early

    def kept_until(self) -> datetime:
        """A day after it was to be looked at."""
        moments = (self.next_look_at, self.seen_at, self.updated_at, self.changed_at)
        return max((each for each in moments if each is not None), default=_LONG_AGO) + DORMANT_FOR

    def change(self, **changes: object) -> Self:
        """A copy with these fields changed."""
        return self.model_copy(update=changes)

    def is_leased(self, now: datetime) -> bool:
        """True while some worker may be calling the target."""
        return self.lease is not None and now < self.lease.until

    def may_call(self, holder: str, now: datetime) -> bool:
        """True when this worker holds the lease for longer than a call may take, by any clock."""
        lease = self.lease
        return lease is not None and lease.holder == holder and now + CALL_TIMEOUT + CLOCK_MARGIN <= lease.until

    def is_settled(self, moment: datetime | None, now: datetime) -> bool:
        """True when what happened then shows in every list, or nothing happened."""
        return moment is None or now >= moment + SETTLE

    def take_lease(self, holder: str, now: datetime) -> Self:
        """Leased to this worker; due again when the lease ends, should the worker die."""
        lease = WorkerLease(holder=holder, until=now + LEASE)
        return self.change(lease=lease, next_look_at=lease.until, generation=self.generation + 1)

    def begin(self, kind: OperationKind, grant: str, holder: str, now: datetime) -> Self:
        """The intent to give or take, to be stored before the call."""
        leased = self.take_lease(holder, now)
        operation = Operation(
            kind=kind, generation=leased.generation, grant=grant, since=now, is_first=not self.is_touched
        )
        is_give = kind is OperationKind.GIVE
        return leased.change(
            operation=operation,
            is_ours=self.is_ours or is_give,
            is_seen=False,
            last_grant=grant,
            pause=None,
            refused=None if is_give else self.refused,
        )

    def lose_operation(self) -> Self:
        """The operation's answer is lost: it may have had its effect, may have it soon, or never."""
        return self.change(lost=self.operation, operation=None, is_seen=False, lease=None)

    def disturb(self, kind: OperationKind, grant: str, now: datetime) -> Self:
        """A call was made by a worker whose lease had ended: it may have had an effect. Look at once."""
        stray = Operation(kind=kind, generation=self.generation, grant=grant, since=now)
        is_ours = self.is_ours or kind is OperationKind.GIVE
        changed = self.change(lost=stray, is_ours=is_ours, is_seen=False, pause=None, last_grant=grant)
        return changed.change(next_look_at=now) if self.operation is None else changed

    def tell(self, action: AuditAction, grant: str | None, details: dict[str, JsonValue]) -> Self:
        """With one more step to be told in the chain of this grant. The oldest is left out when there are too many."""
        if grant is None:
            return self
        step = UntoldStep(action=action, grant=grant, details=details)
        return self.change(untold=(*self.untold, step)[-MAX_UNTOLD:])

    def told(self, steps: Iterable[UntoldStep]) -> Self:
        """Without these steps, whose entries are written in the same transaction."""
        gone = tuple(steps)
        return self.change(untold=tuple(each for each in self.untold if each not in gone))

    def release(self) -> Self:
        """Nothing that we did can still have an effect: the right is somebody else's business again."""
        return self.change(
            observed=Observation.UNKNOWN, seen_at=None, is_seen=False, standing=False, is_ours=False, must_look=False,
            lost=None, given_at=None, taken_at=None, confirmed=None, refused=None, pause=None, failures=0,
            problem=None, overdue_since=None, alerted_at=None,
        )  # fmt: skip


_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

"""One answer of a schedule, with the people of the workspace in it, and what it says about a person at a moment.

Invariant: an answer says nothing about a moment outside the time it covers, and gives nobody a right once it is a
minute old. Somebody who can't be matched with one active person of the workspace is nobody; while that isn't known,
nobody else is known to be off call either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from core.actor import UserId
from core.clock import UtcTime
from core.on_call import APPROVING_FOR, FRESH_FOR, HAND_OVER_GRACE, Duty, OnCallName
from core.schedules.base import SchedulePerson

NOTIFYING_FOR: Final = timedelta(hours=1)
"""How old an answer may be by which people are notified: that gives no right, and an outage should hide no request."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class PersonOnCall(BaseModel):
    """Who somebody on a schedule is in the workspace.

    `user_id` is None for nobody, and `problem` then says why. Without `is_known`, it may be anybody: it couldn't be
    found out yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: UserId | None = None
    is_known: bool = True
    problem: str = ""


class MappedShift(BaseModel):
    """A shift: whom the source names, who that is in the workspace, and the time [starts_at, ends_at)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: SchedulePerson
    who: PersonOnCall
    starts_at: UtcTime | None = None
    ends_at: UtcTime | None = None

    def covers(self, at: datetime) -> bool:
        """Whether the person is on call at this moment. At the hand-over, the next shift counts."""
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)

    def ended_within(self, since: datetime, until: datetime) -> bool:
        """Whether it ended after `since`, and at `until` at the latest."""
        return self.ends_at is not None and since < self.ends_at <= until


class ScheduleAnswer(BaseModel):
    """What a source said about [since, until) at `answered_at`: every shift of this time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: OnCallName
    source: str
    schedule: str
    shifts: tuple[MappedShift, ...] = ()
    answered_at: UtcTime
    until: UtcTime

    def is_valid(self, now: datetime, age: timedelta, aged: timedelta = timedelta()) -> bool:
        """Whether it may still be used: younger than `age`, for a moment that it covers.

        An answer from the future has no known age: a clock was set back. `aged` is how old it is at least, by a clock
        that nobody sets.
        """
        return timedelta() <= now - self.answered_at < age and aged < age and now < self.until

    def is_bounded(self, now: datetime) -> bool:
        """Whether a shift ended since the answer and nobody follows in it: then somebody else may know more."""
        has_ended = any(each.ended_within(self.answered_at, now) for each in self.shifts)
        return has_ended and not any(each.covers(now) for each in self.shifts)

    def next_hand_over(self, after: datetime) -> datetime | None:
        """When the next shift starts or ends; None if none does in the time that it covers."""
        times = (at for each in self.shifts for at in (each.starts_at, each.ends_at) if at is not None and at > after)
        return min(times, default=None)

    @property
    def is_mapped(self) -> bool:
        """Whether it is known of everybody in it who they are."""
        return all(each.who.is_known for each in self.shifts)


def judge_duty(answer: ScheduleAnswer, ids: Collection[UserId], now: datetime, aged: timedelta = timedelta()) -> Duty:
    """What the answer says about the person with these ids now. See Duty for what each part of it may be used for."""
    is_recent, is_fresh = answer.is_valid(now, APPROVING_FOR, aged), answer.is_valid(now, FRESH_FOR, aged)
    covering = [each for each in answer.shifts if each.covers(now)]
    own = _longest(each for each in covering if each.who.user_id in ids)
    is_covered: bool | None = own is not None
    if own is None and (answer.is_bounded(now) or any(not each.who.is_known for each in covering)):
        is_covered = None
    may_approve = is_covered if is_recent else None
    if own is None and is_recent:
        own = _longest(_just_ended(answer, ids, now))
        may_approve = True if own is not None else may_approve
    return Duty(
        name=answer.name,
        is_on_call=is_covered if is_fresh else None,
        may_approve=may_approve,
        source=answer.source,
        schedule=answer.schedule,
        starts_at=own.starts_at if own is not None else None,
        ends_at=own.ends_at if own is not None else None,
        answered_at=answer.answered_at,
    )


def find_on_call(answer: ScheduleAnswer, now: datetime) -> tuple[UserId, ...] | None:
    """Who is on call now, each once, to notify them. None when the answer doesn't say: it is too old, or bounded."""
    if not answer.is_valid(now, NOTIFYING_FOR) or answer.is_bounded(now):
        return None
    found = (each.who.user_id for each in answer.shifts if each.covers(now))
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _just_ended(answer: ScheduleAnswer, ids: Collection[UserId], now: datetime) -> Iterable[MappedShift]:
    ended = (each for each in answer.shifts if each.who.user_id in ids)
    # The grace is over two minutes after the end, to the instant.
    return (each for each in ended if each.ended_within(now - HAND_OVER_GRACE, now))


def _longest(shifts: Iterable[MappedShift]) -> MappedShift | None:
    """The one that ends last, where somebody has several at once."""
    return max(shifts, key=lambda each: each.ends_at or _NEVER, default=None)

"""What a schedule says, and what each source of schedules promises.

Invariant: an answer is complete or there is none: every shift of the time that was asked for, with overrides applied. A
source that can't say all of it raises, so that "nobody is on call" is always something the source said.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.clock import UtcTime
from core.errors import CountersignError
from core.targets.words import one_line

MAX_SOURCE_TEXT: Final = 200
"""How much of a name or an address of a source is kept."""
_SourceText = Annotated[str, Field(min_length=1, max_length=MAX_SOURCE_TEXT)]


class SchedulePerson(BaseModel):
    """A person as the source knows them.

    `source_id` is what the source itself goes by: an id, or in a calendar the address or the name that stands there.
    Which person of the workspace that is, `core/schedules/people.py` decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_id: _SourceText
    name: _SourceText
    email: _SourceText | None = None
    slack_id: _SourceText | None = None


class Shift(BaseModel):
    """When one person is on call: from `starts_at` on, up to and without `ends_at`. None: always was, or never ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: SchedulePerson
    starts_at: UtcTime | None = None
    ends_at: UtcTime | None = None

    @model_validator(mode="after")
    def check_order(self) -> Self:
        """A shift takes some time."""
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("a shift ends after it starts")
        return self

    def covers(self, at: datetime) -> bool:
        """Whether the person is on call at this moment: at the hand-over, the next shift counts."""
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)

    def overlaps(self, since: datetime, until: datetime) -> bool:
        """Whether any moment of [since, until) is in the shift."""
        return (self.starts_at is None or self.starts_at < until) and (self.ends_at is None or since < self.ends_at)


class ScheduleUnavailable(CountersignError):
    """The source can't be asked now, and trying again can help. `retry_after` is when it wants to be asked again."""

    def __init__(self, problem: str, retry_after: timedelta | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after = retry_after


class ScheduleRefused(CountersignError):
    """The source has no such schedule, or doesn't show it with this key: somebody has to act first."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}. {fix}")
        self.problem = problem
        self.fix = fix


class ScheduleSource(Protocol):
    """One schedule of one source. Safe for threads; each call takes a bounded time."""

    @property
    def kind(self) -> str:
        """The kind of source as the policy names it, such as `pagerduty`."""
        ...

    @property
    def schedule(self) -> str:
        """What the source calls the schedule. Never an address with a secret in it."""
        ...

    def find_shifts(self, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """Every shift that overlaps [since, until), the earliest first.

        Raises ScheduleUnavailable or ScheduleRefused.
        """
        ...

    def check(self) -> str:
        """The name of the schedule, for people. Raises ScheduleUnavailable or ScheduleRefused."""
        ...

    def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


def order_shifts(shifts: set[Shift], since: datetime, until: datetime) -> tuple[Shift, ...]:
    """Those that overlap [since, until), each once, the earliest first."""

    def place(shift: Shift) -> tuple[bool, datetime, str]:
        return shift.starts_at is not None, shift.starts_at or since, shift.person.source_id

    return tuple(sorted((each for each in shifts if each.overlaps(since, until)), key=place))


def read_person(
    source_id: str, name: str | None, email: str | None = None, slack_id: str | None = None
) -> SchedulePerson | None:
    """A person from what a source says; None without an id by which they can be known.

    A name may be cut. An id and an address are used to find somebody, so they are whole or left out.
    """
    key = _whole(source_id)
    if key is None:
        return None
    shown = one_line(name, MAX_SOURCE_TEXT) or key
    return SchedulePerson(source_id=key, name=shown, email=_whole(email), slack_id=_whole(slack_id))


def read_shift(person: SchedulePerson, starts_at: datetime | None, ends_at: datetime | None) -> Shift | None:
    """A shift from what a source says; None for one that takes no time."""
    if starts_at is not None and ends_at is not None and starts_at >= ends_at:
        return None
    start, end = (_in_utc(at) if at is not None else None for at in (starts_at, ends_at))
    return Shift(person=person, starts_at=start, ends_at=end)


def _in_utc(at: datetime) -> datetime | None:
    """The moment in UTC; None for one at the ends of the calendar, which has none there: always, or for ever."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return None


def _whole(text: str | None) -> str | None:
    found = (text or "").strip()
    return found if found and one_line(found, MAX_SOURCE_TEXT) == found else None

"""Duty: what a schedule says about one person at one moment, as policy judges it.

Invariant: what isn't known is left out, which is neither a yes nor a no. An answer that is a minute old, or from before
a hand-over, gives nobody a right by itself; it holds a little longer for those who only approve what others ask for.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final, NewType

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from core.clock import UtcTime, format_time

OnCallName = NewType("OnCallName", str)
"""A schedule as rules name it: `on-call:primary`, where the policy has `on_call: {primary: …}`."""

ON_CALL_PREFIX: Final = "on-call:"
FRESH_FOR: Final = timedelta(seconds=60)
"""How old an answer may be on which automatic approval and the right to break the glass rest."""
APPROVING_FOR: Final = timedelta(minutes=5)
"""How long the last answer holds for approvers while the source can't be reached."""
HAND_OVER_GRACE: Final = timedelta(minutes=2)
"""How long after the end of a shift its person still approves: they may have the request open already."""


class Duty(BaseModel):
    """Whether one person is on call in one schedule.

    `is_on_call` and `may_approve` are None when that isn't known. They differ while an answer is older than FRESH_FOR,
    and in the grace after a hand-over. `source` is the kind of source, such as `pagerduty`, and `schedule` what the
    source calls it. The shift is the one that made it so: `ends_at` is None for one without an end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: OnCallName
    is_on_call: bool | None
    may_approve: bool | None
    source: Annotated[str, Field(min_length=1)]
    schedule: str
    starts_at: UtcTime | None = None
    ends_at: UtcTime | None = None
    answered_at: UtcTime

    def holds(self, *, for_approving: bool) -> bool | None:
        """Whether the person counts as on call; None when that isn't known."""
        return self.may_approve if for_approving else self.is_on_call

    def lasts_until(self, moment: datetime) -> bool:
        """Whether the shift is still on at this moment: at the hand-over it isn't."""
        return self.ends_at is None or moment < self.ends_at

    def to_details(self) -> dict[str, JsonValue]:
        """What the audit entry of a decision keeps: source, schedule and shift."""
        times: dict[str, datetime | None] = {
            "shift_starts_at": self.starts_at, "shift_ends_at": self.ends_at, "answered_at": self.answered_at,
        }  # fmt: skip
        said: dict[str, JsonValue] = {"name": self.name, "source": self.source, "schedule": self.schedule}
        return said | {name: format_time(at) for name, at in times.items() if at is not None}


def on_call_name(name: str) -> OnCallName:
    """How rules name the schedule that the policy calls `name`."""
    return OnCallName(f"{ON_CALL_PREFIX}{name}")


def schedule_of(name: OnCallName) -> str:
    """What the policy calls the schedule that rules name like this."""
    return name.removeprefix(ON_CALL_PREFIX)


def is_on_call_name(selector: str) -> bool:
    """True when this names the people on call in a schedule."""
    return selector.startswith(ON_CALL_PREFIX) and selector != ON_CALL_PREFIX

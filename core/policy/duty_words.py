"""A duty in words: "is on call in primary until 18:00 UTC (pagerduty)".

Invariant: the words say no more than the schedule did: an answer that is older says as of when, and a shift that ended
is in the past.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core.duty import Duty, schedule_of

_SOURCES: Final = {"pagerduty": "PagerDuty", "incident_io": "incident.io", "ical": "the calendar"}


def name_source(kind: str) -> str:
    """What people call a kind of source."""
    return _SOURCES.get(kind, f"the {kind} schedule")


def describe_duty(duty: Duty) -> str:
    """What a duty by which a condition is met says about its person."""
    schedule, until = schedule_of(duty.name), _until(duty)
    if duty.is_on_call:
        return f"is on call in {schedule}{until} ({duty.source})"
    if duty.is_on_call is None:
        return f"is on call in {schedule}{until} ({duty.source}, as of {_moment(duty.answered_at, duty.answered_at)})"
    return f"was on call in {schedule}{until} ({duty.source}), which still counts for approving"


def _until(duty: Duty) -> str:
    return f" until {_moment(duty.ends_at, duty.answered_at)}" if duty.ends_at is not None else ""


def _moment(at: datetime, said_at: datetime) -> str:
    """The time of day; with the day when that is another one."""
    return f"{at:%H:%M} UTC" if at.date() == said_at.date() else f"{at:%Y-%m-%d %H:%M} UTC"

"""A duty in words: "is on call in primary until 18:00 UTC (pagerduty)".

Invariant: the words say no more than the schedule did: an answer that is older says as of when, and a shift that ended
is in the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from core.duty import Duty, OnCallName, schedule_of

_SHIFT: Final = {"shift_starts_at": "from", "shift_ends_at": "until"}
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


def kept_schedules(details: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The schedules by which the decision of an audit entry was allowed, such as `primary`."""
    names = (each.get("name") for each in _kept(details))
    return tuple(schedule_of(OnCallName(name)) for name in names if isinstance(name, str))


def describe_kept_duties(details: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The same with source and shift: `primary (pagerduty PABC123), shift until 2026-01-15T18:00:00.000000Z`."""
    said = []
    for name, each in zip(kept_schedules(details), _kept(details), strict=False):
        shift = [f"{word} {each[key]}" for key, word in _SHIFT.items() if isinstance(each.get(key), str)]
        said.append(
            f"{name} ({each.get('source')} {each.get('schedule')}){', shift ' if shift else ''}{' '.join(shift)}"
        )
    return tuple(said)


def _kept(details: Mapping[str, JsonValue]) -> list[dict[str, JsonValue]]:
    duties = details.get("on_call")
    return [each for each in duties if isinstance(each, dict)] if isinstance(duties, list) else []


def _until(duty: Duty) -> str:
    return f" until {_moment(duty.ends_at, duty.answered_at)}" if duty.ends_at is not None else ""


def _moment(at: datetime, said_at: datetime) -> str:
    """The time of day; with the day when that is another one."""
    return f"{at:%H:%M} UTC" if at.date() == said_at.date() else f"{at:%Y-%m-%d %H:%M} UTC"

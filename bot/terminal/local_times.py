"""Times for a person at a terminal: in the zone of their machine.

Invariant: a moment that isn't today is written with its day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.duration import format_duration

_COARSE_FROM: Final = timedelta(minutes=10)
_MINUTE: Final = timedelta(minutes=1)


def local_time(moment: datetime, now: datetime) -> str:
    """The moment in this machine's zone: `14:05`, or with its day if that isn't today."""
    here, today = moment.astimezone(), now.astimezone().date()
    return f"{here:%H:%M}" if here.date() == today else f"{here:%Y-%m-%d %H:%M}"


def time_left(until: datetime, now: datetime) -> str:
    """How long it is until then, such as `4m10s`; whole minutes from ten minutes on."""
    left = max(until - now, timedelta(0))
    left -= left % (_MINUTE if left >= _COARSE_FROM else timedelta(seconds=1))
    return format_duration(left) if left else "0s"

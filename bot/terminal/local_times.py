"""Times for a person at a terminal: in the zone of their machine.

Invariant: a moment that isn't today is written with its day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from core.duration import format_duration

_COARSE_FROM: Final = timedelta(minutes=10)
_MINUTE: Final = timedelta(minutes=1)


class MachineZone(tzinfo):
    """The time zone of this machine, with its daylight saving: the standard library knows its name nowhere."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        """How far its clocks are ahead of UTC at this local time."""
        local = (moment or datetime.now(UTC)).replace(tzinfo=None)
        return local - datetime.fromtimestamp(local.timestamp(), UTC).replace(tzinfo=None)

    def dst(self, _moment: datetime | None) -> None:
        """Not known apart from the rest."""

    def tzname(self, _moment: datetime | None) -> str:
        """What people call it."""
        return str(self)

    def fromutc(self, moment: datetime) -> datetime:
        """What the clocks show at this moment."""
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)

    def __str__(self) -> str:
        return "this machine's time zone"


def local_time(moment: datetime, now: datetime) -> str:
    """The moment in this machine's zone: `14:05`, or with its day if that isn't today."""
    here, today = moment.astimezone(), now.astimezone().date()
    return f"{here:%H:%M}" if here.date() == today else f"{here:%Y-%m-%d %H:%M}"


def time_left(until: datetime, now: datetime) -> str:
    """How long it is until then, such as `4m10s`; whole minutes from ten minutes on."""
    left = max(until - now, timedelta(0))
    left -= left % (_MINUTE if left >= _COARSE_FROM else timedelta(seconds=1))
    return format_duration(left) if left else "0s"

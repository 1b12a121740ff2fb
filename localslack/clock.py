"""The time, as the local Slack reads it.

Invariant: every time is aware and in UTC. Only a request's signature carries the machine's time instead, because the
app checks it against that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Returns the current time. Pass your own to control message times, trigger lifetimes and rate limits."""

    def now(self) -> datetime:
        """The current time, aware and in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The current time, aware and in UTC."""
        return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Write a moment as `2026-01-15T03:53:45.120000Z`: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"

"""The statuses of a break-glass event, the moves between them, and the kinds of emergency.

    from / to    active   closed    expired
    active        asked    yes       yes
    closed        -        review
    expired       -                  review

Invariant: an event that ended stays ended. `asked` and `review` add to the event and change no status.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.state_machine import StateMachine


class EventStatus(StrEnum):
    """The status of a break-glass event."""

    ACTIVE = "active"
    CLOSED = "closed"
    EXPIRED = "expired"


class ReasonCode(StrEnum):
    """The kind of emergency, in one word that can be counted."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"
    SECURITY = "security"
    RECOVERY = "recovery"
    OTHER = "other"


EVENT_MACHINE: Final = StateMachine[EventStatus](
    {
        EventStatus.ACTIVE: frozenset({EventStatus.ACTIVE, EventStatus.CLOSED, EventStatus.EXPIRED}),
        EventStatus.CLOSED: frozenset({EventStatus.CLOSED}),
        EventStatus.EXPIRED: frozenset({EventStatus.EXPIRED}),
    }
)

"""The statuses of a session, the moves between them, and what it means that there is none, or one already.

Invariant: a session that ended never becomes active again. Another grant, or another device, has one of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.errors import AlreadyExists, NotFound
from core.state_machine import StateMachine


class SessionStatus(StrEnum):
    """Where a session is in its life."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


SESSION_MACHINE: Final = StateMachine[SessionStatus](
    {
        SessionStatus.ACTIVE: frozenset(SessionStatus),
        SessionStatus.REVOKED: frozenset({SessionStatus.REVOKED}),
        SessionStatus.EXPIRED: frozenset({SessionStatus.EXPIRED}),
    }
)


class SessionNotFound(NotFound):
    """There is no session with this id."""


class SessionExists(AlreadyExists):
    """This grant has a session on this device already: read it, and touch it."""

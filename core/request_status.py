"""The statuses of a request, and the table of its legal moves.

    from / to    pending          approved   denied   expired   cancelled
    pending      vote, lapse,      quorum     yes      yes       yes
    approved      -                final
    denied        -                           final
    expired       -                                    final
    cancelled     -                                              final

Invariant: a final status never changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.state_machine import StateMachine


class RequestStatus(StrEnum):
    """The status of a request."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


REQUEST_MACHINE: Final = StateMachine[RequestStatus](
    {
        RequestStatus.PENDING: frozenset(RequestStatus),
        RequestStatus.APPROVED: frozenset(),
        RequestStatus.DENIED: frozenset(),
        RequestStatus.EXPIRED: frozenset(),
        RequestStatus.CANCELLED: frozenset(),
    }
)

"""The statuses of a grant, the moves between them, and what people are told.

    from / to   pending   active   ending   ended   failed
    pending      note      yes      yes               yes
    active                 note     yes
    ending                          note     yes
    ended                                    note
    failed                                            note

Invariant: `failed` means never given. A grant that is `ending` has no other way out than `ended`, so that no revoke is
ever given up. `note` adds an audit entry and changes no status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.state_machine import StateMachine


class GrantStatus(StrEnum):
    """The status of a grant."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


GRANT_MACHINE: Final = StateMachine[GrantStatus](
    {
        GrantStatus.PENDING: frozenset(GrantStatus) - {GrantStatus.ENDED},
        GrantStatus.ACTIVE: frozenset({GrantStatus.ACTIVE, GrantStatus.ENDING}),
        GrantStatus.ENDING: frozenset({GrantStatus.ENDING, GrantStatus.ENDED}),
        GrantStatus.ENDED: frozenset({GrantStatus.ENDED}),
        GrantStatus.FAILED: frozenset({GrantStatus.FAILED}),
    }
)
LIVE_STATUSES: Final = frozenset({GrantStatus.PENDING, GrantStatus.ACTIVE, GrantStatus.ENDING})
"""The statuses in which the reconciler still has something to do."""


class AccessPhase(StrEnum):
    """What people are told about a grant, in one word."""

    SCHEDULED = "scheduled"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AccessState:
    """What people are told: the phase, until when it is open, why it failed, and how long an open session can live on.

    `is_kept` means that other access keeps the right, or that it stood before: the person has it still.
    """

    phase: AccessPhase
    until: datetime
    reason: str | None = None
    residual_until: datetime | None = None
    is_kept: bool = False

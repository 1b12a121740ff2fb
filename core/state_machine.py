"""A state machine is a table: which status may follow which.

Invariant: a move that the table does not list cannot be made, neither by a transition nor by a store, because both
ask the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from core.errors import InvalidStateTransition

Status = TypeVar("Status", bound=StrEnum)


class StateMachine(Generic[Status]):
    """The legal moves from each status. A status without a move to another one is final."""

    def __init__(self, moves: Mapping[Status, frozenset[Status]]) -> None:
        self._moves = dict(moves)

    def may_move(self, source: Status, target: Status) -> bool:
        """True when the table lists this move."""
        return target in self._moves[source]

    def is_final(self, status: Status) -> bool:
        """True when no other status can follow."""
        return not self._moves[status] - {status}

    def sources(self, target: Status) -> frozenset[Status]:
        """Every status from which `target` can be reached in one move."""
        return frozenset(source for source, targets in self._moves.items() if target in targets)

    def check(
        self,
        record: str,
        source: Status,
        target: Status,
        *,
        decided_by: str | None = None,
        decided_at: datetime | None = None,
    ) -> None:
        """Raises InvalidStateTransition, with both statuses, when the table does not list this move."""
        if not self.may_move(source, target):
            raise InvalidStateTransition(record, source, target, decided_by=decided_by, decided_at=decided_at)

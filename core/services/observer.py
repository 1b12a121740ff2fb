"""Who watches what the services do, for metrics: a port without which they work the same.

Invariant: an observer hears of a change after it was committed, and of a refusal after it was noted. It neither waits
nor raises, and nothing that it does can alter a decision.
"""

from __future__ import annotations

from typing import Protocol

from core.audit.trail import AuditAction
from core.record import Record


class Observer(Protocol):
    """Hears what became of each use case. Safe for threads."""

    def committed(self, record: Record, event: AuditAction) -> None:
        """A change of this service is in the store; `record` is what it became."""
        ...

    def refused(self, event: AuditAction) -> None:
        """An attempt was understood, and the answer was no."""
        ...

    def conflicted(self, record: str) -> None:
        """Somebody else's change of this record came first, so the use case runs again."""
        ...


class Unobserved:
    """The observer where nobody watches."""

    def committed(self, record: Record, event: AuditAction) -> None:
        """Nobody wants to know."""

    def refused(self, event: AuditAction) -> None:
        """Nobody wants to know."""

    def conflicted(self, record: str) -> None:
        """Nobody wants to know."""

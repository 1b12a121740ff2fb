"""A port to watch what the services do, for metrics. They work the same without it.

Invariant: an observer is called for a change after its commit, and for a refusal after it was noted. It neither waits
nor raises, and cannot alter a decision.
"""

from __future__ import annotations

from typing import Protocol

from core.audit.trail import AuditAction
from core.record import Record


class Observer(Protocol):
    """Is called with the outcome of each use case. Safe for threads."""

    def committed(self, record: Record, event: AuditAction) -> None:
        """A change of this service is in the store; `record` is what it became."""
        ...

    def refused(self, event: AuditAction) -> None:
        """A valid attempt was refused."""
        ...

    def conflicted(self, record: str) -> None:
        """Somebody else's change of this record came first, so the use case runs again."""
        ...

    def ledger_unreadable(self, owner: str) -> None:
        """A ledger can't be read: its usages were counted from the events, or a request was refused."""
        ...


class Unobserved:
    """The observer that does nothing."""

    def committed(self, record: Record, event: AuditAction) -> None:
        """Nobody wants to know."""

    def refused(self, event: AuditAction) -> None:
        """Nobody wants to know."""

    def conflicted(self, record: str) -> None:
        """Nobody wants to know."""

    def ledger_unreadable(self, owner: str) -> None:
        """Nobody wants to know."""

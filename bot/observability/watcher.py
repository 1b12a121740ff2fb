"""Observes the services in this process: updates the metrics, and logs a line for each change.

Invariant: a line says what happened to which record, and contains nothing that a person typed. Who did it and why is in
the audit trail, where it can't be rewritten.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bot.observability.access_metrics import AccessMetrics
from bot.observability.metrics import Metrics
from bot.observability.ticket_metrics import TicketMetrics
from core.access.grant import Grant
from core.audit.trail import AuditAction, EntryDraft
from core.record import Record

_log = logging.getLogger("countersign.decisions")


class Watcher:
    """The services' and the reconciler's observer: it counts and logs."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._hears: list[Callable[[Record], None]] = []
        self.access = AccessMetrics(metrics.registry)
        self.tickets = TicketMetrics(metrics.registry)

    def add_hearer(self, hear: Callable[[Record], None]) -> None:
        """Call this with every record that this process commits. It neither waits nor raises."""
        self._hears.append(hear)

    def changed(self, grant: Grant, entries: Sequence[EntryDraft]) -> None:
        """The reconciler changed a grant."""
        for entry in entries:
            self.committed(grant, entry.event)
        self.access.changed(grant, entries)

    def stepped(self, target: str, step: str, outcome: str) -> None:
        """The reconciler called a target."""
        self.access.stepped(target, step, outcome)

    def committed(self, record: Record, event: AuditAction) -> None:
        """A change was committed."""
        self._metrics.committed(record, event)
        for hear in self._hears:
            hear(record)
        # Devices are of no profile.
        where = f" on {record.profile}" if record.profile is not None else ""
        _log.info("%s%s", event.value, where, extra={"about": record.chain})

    def refused(self, event: AuditAction) -> None:
        """An attempt was refused. Its line names the record if the interaction did."""
        self._metrics.refused(event)
        _log.info("%s", event.value)

    def conflicted(self, record: str) -> None:
        """A decision is repeated after a conflict."""
        self._metrics.conflicted(record)

    def ledger_unreadable(self, owner: str) -> None:
        """A ledger can't be read."""
        self._metrics.ledger_unreadable(owner)

"""Observes the services in this process: updates the metrics, and logs a line for each change.

Invariant: a line says what happened to which record, and contains nothing that a person typed. Who did it and why is in
the audit trail, where it can't be rewritten.
"""

from __future__ import annotations

import logging

from bot.observability.metrics import Metrics
from core.audit.trail import AuditAction
from core.record import Record

_log = logging.getLogger("countersign.decisions")


class Watcher:
    """The services' observer: it counts and logs."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, record: Record, event: AuditAction) -> None:
        """A change was committed."""
        self._metrics.committed(record, event)
        _log.info("%s on %s", event.value, record.profile, extra={"about": record.chain})

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

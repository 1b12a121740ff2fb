"""The metrics of ticket checks: what ticket systems said.

Invariant: every label has fixed values, so the number of series doesn't grow.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from core.policy.ticket_config import TicketCheckConfig
from core.tickets.base import TicketAnswer, TicketFound, TicketUnknown

SYSTEMS: Final = ("jira", "webhook")
OPEN: Final = "open"
CLOSED: Final = "closed"
UNKNOWN: Final = "unknown"
UNCHECKED: Final = "unchecked"
OUTCOMES: Final = (OPEN, CLOSED, UNKNOWN, UNCHECKED)


class TicketMetrics:
    """The metrics of ticket checks of one process, in the registry of its other metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks = Counter(
            "countersign_ticket_checks_total", "Checks of tickets, by what came of them.", ["system", "outcome"],
            registry=registry,
        )  # fmt: skip
        for system in SYSTEMS:
            for outcome in OUTCOMES:
                self._checks.labels(system, outcome)

    def checked(self, config: TicketCheckConfig, found: TicketFound) -> None:
        """A ticket was checked there, or couldn't be."""
        self._checks.labels("jira" if config.jira is not None else "webhook", _outcome(found)).inc()


def _outcome(found: TicketFound) -> str:
    if isinstance(found, TicketAnswer):
        return OPEN if found.is_open else CLOSED
    return UNKNOWN if isinstance(found, TicketUnknown) else UNCHECKED

"""The metrics of paging: what the pager was asked, and what came of it.

Invariant: every label has fixed values, so the number of series doesn't grow.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

ACTIONS: Final = ("trigger", "resolve")
OUTCOMES: Final = ("sent", "failed", "refused")


class PageMetrics:
    """The metrics of paging of one process, in the registry of its other metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "countersign_pages_total", "Calls of the pager, by their outcome.", ["action", "outcome"], registry=registry
        )
        self._acknowledged = Counter(
            "countersign_pages_acknowledged_total", "Pages that somebody acknowledged at the pager.", registry=registry
        )
        for action in ACTIONS:
            for outcome in OUTCOMES:
                self._calls.labels(action, outcome)

    def called(self, action: str, outcome: str) -> None:
        """The pager was called: `trigger` or `resolve`, with what came of it."""
        self._calls.labels(action, outcome).inc()

    def acknowledged(self) -> None:
        """This process wrote an acknowledgement into the trail."""
        self._acknowledged.inc()

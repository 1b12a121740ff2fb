"""The metrics of access: how late revokes are, what is live, what targets answer, and how long opening and ending take.

Invariant: `target` is a name from the policy, and at most MAX_TARGETS names become labels; no label contains anything
else that isn't fixed. A scrape never waits for the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.access.grant import Grant
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock

MAX_TARGETS: Final = 20
OTHER: Final = "other"
OUTCOMES: Final = {
    "look": ("held", "absent", "refused", "later", "unknown"),
    "give": ("held", "in_progress", "refused", "later", "unknown"),
    "take": ("absent", "in_progress", "refused", "later", "unknown"),
    "poll": ("held", "absent", "in_progress", "refused", "later", "unknown"),
}
"""What each step may come to. A call that fails, or that answers something else, counts as unknown."""
_DRIFTS: Final = {"removed": "removed", "came back": "came_back", "left": "left"}
_SECONDS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400)
"""From at once, over the minute within which access ends, to outages."""


@dataclass(frozen=True, slots=True)
class AccessReading:
    """When the first of all live grants ends, or was to end, and how many are live, counted up to a bound."""

    first_end: datetime | None
    live: int


class AccessMetrics:
    """The metrics of access of one process, in the registry of its other metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._targets: set[str] = set()
        self._steps = Counter(
            "countersign_access_steps_total",
            "Calls of targets, by their outcome.",
            ["target", "step", "outcome"],
            registry=registry,
        )
        self._drift = Counter(
            "countersign_access_drift_total",
            "Access that others changed in the target: removed, or came back after it was taken.",
            ["drift"],
            registry=registry,
        )
        for drift in (*_DRIFTS.values(), OTHER):
            self._drift.labels(drift)
        self._opening = _histogram(
            registry, "countersign_access_opening_seconds", "the start of a grant to its opening"
        )
        self._ending = _histogram(registry, "countersign_access_ending_seconds", "the end of a grant to its removal")

    def watch(self, read: Callable[[], AccessReading | None], clock: Clock) -> None:
        """Export what is live, and how late revokes are, at each scrape. `read` must neither wait nor raise."""
        self._registry.register(_AccessCollector(read, clock))

    def add_target(self, target: str) -> str:
        """The label of this target. It exports 0 for all its outcomes at once, so that `rate` counts the first one."""
        with self._lock:
            if target in self._targets:
                return target
            label = target if len(self._targets) < MAX_TARGETS else OTHER
            self._targets.add(label)
        for step, outcomes in OUTCOMES.items():
            for outcome in outcomes:
                self._steps.labels(label, step, outcome)
        return label

    def stepped(self, target: str, step: str, outcome: str) -> None:
        """Count one call of a target."""
        known = outcome if outcome in OUTCOMES[step] else "unknown"
        self._steps.labels(self.add_target(target), step, known).inc()

    def changed(self, grant: Grant, entries: Sequence[EntryDraft]) -> None:
        """Count what the entries of a grant's change say. Two hosts' clocks may differ: no time is below zero."""
        kind = "break_glass" if grant.is_emergency else "request"
        for entry in entries:
            if entry.event is AuditAction.DRIFT_FOUND:
                self._drift.labels(_DRIFTS.get(str(entry.details.get("drift")), OTHER)).inc()
            elif entry.event is AuditAction.GRANT_OPENED and grant.opened_at is not None:
                self._opening.labels(kind).observe(max((grant.opened_at - grant.starts_at).total_seconds(), 0.0))
            elif entry.event is AuditAction.GRANT_CLOSED and grant.closed_at is not None and not grant.is_kept:
                self._ending.labels(kind).observe(max((grant.closed_at - grant.ended_at).total_seconds(), 0.0))


class _AccessCollector(Collector):
    def __init__(self, read: Callable[[], AccessReading | None], clock: Clock) -> None:
        self._read = read
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        reading = self._read()
        yield GaugeMetricFamily(
            "countersign_access_readable",
            "1 if the grants could be read, otherwise 0.",
            value=float(reading is not None),
        )
        if reading is None:
            # An old number would look as if everything were fine.
            return
        first = reading.first_end
        late = max((self._clock.now() - first).total_seconds(), 0.0) if first is not None else 0.0
        yield GaugeMetricFamily("countersign_access_live_grants", "Grants that are not over.", value=reading.live)
        yield GaugeMetricFamily(
            "countersign_access_oldest_due_revoke_seconds",
            "For how long the access that should have ended first is still not known to be gone.",
            value=late,
        )


def _histogram(registry: CollectorRegistry, name: str, what: str) -> Histogram:
    histogram = Histogram(name, f"Seconds from {what}.", ["kind"], registry=registry, buckets=_SECONDS)
    for kind in ("request", "break_glass"):
        histogram.labels(kind)
    return histogram

"""What Prometheus is told: decisions, acknowledgements, refusals, conflicts, and what waits in the outbox.

Invariant: every label has a fixed, small set of values, whatever people type and whatever Slack sends; no id, no name
and no text is one. There is one registry per Metrics, and nothing global.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from core.actor import is_person
from core.audit.trail import AuditAction
from core.errors import CountersignError
from core.record import Record
from core.request import Request, RequestStatus

_DECISIONS: Final = {
    AuditAction.REQUEST_APPROVED: ("request", "approved"),
    AuditAction.REQUEST_DENIED: ("request", "denied"),
    AuditAction.REQUEST_CANCELLED: ("request", "cancelled"),
    AuditAction.REQUEST_EXPIRED: ("request", "expired"),
    AuditAction.BREAK_GLASS_INVOKED: ("break_glass", "active"),
    AuditAction.BREAK_GLASS_CLOSED: ("break_glass", "closed"),
    AuditAction.BREAK_GLASS_EXPIRED: ("break_glass", "expired"),
    AuditAction.BREAK_GLASS_REVIEWED: ("break_glass", "reviewed"),
}
_BY_APPROVERS: Final = frozenset({AuditAction.REQUEST_APPROVED, AuditAction.REQUEST_DENIED})
_KINDS: Final = {"REQUEST": "request", "BREAKGLASS": "break_glass"}
_DECISION_BUCKETS: Final = (10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""Seconds, from a colleague who is looking to the day after which a request expires by default."""
_ACKNOWLEDGEMENT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 3)
"""Seconds; Slack gives up after three."""
_log = logging.getLogger("countersign.metrics")


class Transport(StrEnum):
    """The way by which a payload came."""

    HTTP = "http"
    SOCKET_MODE = "socket_mode"


class PayloadKind(StrEnum):
    """What Slack sent."""

    COMMAND = "command"
    BUTTON = "button"
    FORM = "form"
    SHORTCUT = "shortcut"
    EVENT = "event"
    OTHER = "other"


class AnswerKind(StrEnum):
    """What a person could be told within Slack's three seconds."""

    OUTCOME = "outcome"
    NOT_RECORDED_YET = "not_recorded_yet"
    TOO_BUSY = "too_busy"


class TurnedAway(StrEnum):
    """Why a payload was turned away, or failed."""

    SIGNATURE = "signature"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    MALFORMED = "malformed"
    TOO_BUSY = "too_busy"
    STOPPING = "stopping"
    FAILED = "failed"


class OutboxReading(Protocol):
    """What still has to be told to somebody: how many entries, since when the oldest waits, how many were parked."""

    @property
    def depth(self) -> int:
        """How many wait."""
        ...

    @property
    def oldest_age_seconds(self) -> float:
        """For how long the oldest has waited."""
        ...

    @property
    def parked(self) -> int:
        """How many could not be told."""
        ...


class Metrics:
    """The metrics of one process, and the services' observer that counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        build = Gauge("countersign_build", "The version that runs.", ["version"], registry=self.registry)
        build.labels(_version()).set(1)
        self._count_decisions()
        self._count_payloads()

    def watch_outbox(self, read: Callable[[], OutboxReading | None]) -> None:
        """Show the outbox at each scrape. `read` must be quick; where it fails or gives None, the gauges are absent."""
        self.registry.register(_OutboxCollector(read))

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Show one number at each scrape. `read` neither waits nor raises."""
        Gauge(name, what, registry=self.registry).set_function(read)

    # The services' observer ------------------------------------------------------------------------------------------

    def committed(self, record: Record, event: AuditAction) -> None:
        """Count a change that is in the store, and for an approver's decision how long it took."""
        self._changes.labels(event.value).inc()
        if event in _DECISIONS:
            self._decisions.labels(*_DECISIONS[event]).inc()
        if event in _BY_APPROVERS and isinstance(record, Request) and is_person(record.approver or ""):
            taken = (record.decided_at or record.created_at) - record.created_at
            # Two hosts' clocks may differ by more than a quick decision takes.
            self._time_to_decision.labels(record.status.value).observe(max(taken.total_seconds(), 0.0))

    def refused(self, event: AuditAction) -> None:
        """Count an attempt that was refused."""
        self._refusals.labels(event.value).inc()

    def conflicted(self, record: str) -> None:
        """Count a decision that was made again because somebody else's change came first."""
        self._conflicts.labels(_KINDS.get(record.partition("#")[0], "other")).inc()

    # The transports --------------------------------------------------------------------------------------------------

    def acknowledged(self, transport: Transport, payload: PayloadKind, seconds: float) -> None:
        """Count an acknowledgement, by how long after the payload came it was on its way."""
        self._acknowledgements.labels(transport.value, payload.value).observe(max(seconds, 0.0))

    def turned_away(self, transport: Transport, why: TurnedAway) -> None:
        """Count a payload that got no acknowledgement, so that Slack shows a failure."""
        self._turned_away.labels(transport.value, why.value).inc()

    def answered(self, kind: AnswerKind) -> None:
        """Count what the acknowledgement of a click could say."""
        self._answers.labels(kind.value).inc()

    def write(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the form that a scraper's Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _count_decisions(self) -> None:
        self._changes = _counter(
            self.registry, "countersign_changes_total", "Committed changes, by what happened.", {"event": AuditAction}
        )
        self._decisions = Counter(
            "countersign_decisions_total", "Decisions, by outcome.", ["kind", "outcome"], registry=self.registry
        )
        for labels in _DECISIONS.values():
            self._decisions.labels(*labels)
        self._refusals = _counter(
            self.registry,
            "countersign_refusals_total",
            "Attempts that were understood and refused.",
            {"event": [each for each in AuditAction if each.value.endswith("_refused")]},
        )
        self._conflicts = _counter(
            self.registry,
            "countersign_conflicts_total",
            "Decisions made again, because somebody else's change came first.",
            {"kind": [*_KINDS.values(), "other"]},
        )
        self._time_to_decision = Histogram(
            "countersign_time_to_decision_seconds",
            "From the request to the approver's decision.",
            ["outcome"],
            registry=self.registry,
            buckets=_DECISION_BUCKETS,
        )
        for status in (RequestStatus.APPROVED, RequestStatus.DENIED):
            self._time_to_decision.labels(status.value)

    def _count_payloads(self) -> None:
        self._acknowledgements = Histogram(
            "countersign_acknowledgement_seconds",
            "From a payload's arrival to its acknowledgement.",
            ["transport", "payload"],
            registry=self.registry,
            buckets=_ACKNOWLEDGEMENT_BUCKETS,
        )
        self._turned_away = _counter(
            self.registry,
            "countersign_turned_away_total",
            "Payloads that were not acknowledged.",
            {"transport": Transport, "why": TurnedAway},
        )
        self._answers = _counter(
            self.registry,
            "countersign_answers_total",
            "What the acknowledgements of clicks could say.",
            {"answer": [each.value for each in AnswerKind]},
        )


class _OutboxCollector(Collector):
    def __init__(self, read: Callable[[], OutboxReading | None]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        try:
            state = self._read()
        except CountersignError:
            _log.warning("the outbox could not be counted", exc_info=True)
            state = None
        yield _gauge("countersign_outbox_readable", "1 when the outbox could be counted.", float(state is not None))
        if state is not None:
            yield _gauge("countersign_outbox_depth", "Entries that somebody still has to be told of.", state.depth)
            yield _gauge(
                "countersign_outbox_oldest_age_seconds", "How long the oldest of them waits.", state.oldest_age_seconds
            )
            yield _gauge("countersign_outbox_parked", "Entries that could not be told, see doctor.", state.parked)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _counter(registry: CollectorRegistry, name: str, what: str, labels: dict[str, Iterable[str]]) -> Counter:
    """A counter that shows 0 for each of its label values from the start, so that a rate sees the first one too."""
    counter = Counter(name, what, list(labels), registry=registry)
    combinations: list[tuple[str, ...]] = [()]
    for values in labels.values():
        combinations = [(*head, str(value)) for head in combinations for value in values]
    for combination in combinations:
        counter.labels(*combination)
    return counter


def _version() -> str:
    try:
        return version("countersign")
    except PackageNotFoundError:  # pragma: no cover - only where the package was never installed
        return "unknown"

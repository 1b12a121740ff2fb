"""The Prometheus metrics: decisions, acknowledgements, refusals, conflicts and the outbox.

Invariant: every label has a small, fixed set of values, whatever people type and Slack sends; none is an id, a name or
free text. Each Metrics has its own registry; nothing is global.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bot.observability.build import Build, find_build
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
_LEDGERS: Final = ("INVOKER", "PROFILE", "CODES")
_KINDS: Final = {"REQUEST": "request", "BREAKGLASS": "break_glass"}
_DECISION_BUCKETS: Final = (10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""Seconds: from an approver who is watching, to the day after which a request expires by default."""
_ACKNOWLEDGEMENT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 3)
"""Seconds; Slack gives up after three."""
_log = logging.getLogger("countersign.metrics")


class Transport(StrEnum):
    """How a payload arrived."""

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
    """Which answer a person got within Slack's three seconds."""

    OUTCOME = "outcome"
    NOT_RECORDED_YET = "not_recorded_yet"
    TOO_BUSY = "too_busy"


class Lane(StrEnum):
    """What follows an interaction, by kind: decisions first, then what they lead to."""

    DECISION = "decision"
    EMERGENCY_DECISION = "emergency_decision"
    FORM = "form"
    EMERGENCY_FORM = "emergency_form"
    REPLY = "reply"
    EMERGENCY_REPLY = "emergency_reply"
    HOME = "home"
    CARD = "card"


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
    """The outbox: how many entries are pending, how old the oldest is, and how many are parked."""

    @property
    def depth(self) -> int:
        """How many are pending."""
        ...

    @property
    def oldest_age_seconds(self) -> float:
        """How long the oldest has been pending."""
        ...

    @property
    def parked(self) -> int:
        """How many could not be delivered."""
        ...


class Metrics:
    """The metrics of one process. It is also an observer of the services."""

    def __init__(self, build: Build | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        shown = Gauge("countersign_build", "What runs.", ["version", "commit"], registry=self.registry)
        running = build or find_build()
        shown.labels(running.version, running.commit).set(1)
        self._count_decisions()
        self._count_payloads()

    def watch_outbox(self, read: Callable[[], OutboxReading | None]) -> None:
        """Export the outbox at each scrape. `read` must be fast; if it fails or returns None, the gauges are absent."""
        self.registry.register(_OutboxCollector(read))

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Export one number at each scrape. `read` must neither wait nor raise."""
        Gauge(name, what, registry=self.registry).set_function(read)

    def watch_lanes(self, read: Callable[[Lane], int]) -> None:
        """Export how much waits in each lane, at each scrape. `read` must neither wait nor raise."""
        waiting = Gauge("countersign_lane_waiting", "Tasks that wait for a thread.", ["lane"], registry=self.registry)
        for lane in Lane:
            waiting.labels(lane.value).set_function(partial(read, lane))

    # The services' observer ------------------------------------------------------------------------------------------

    def committed(self, record: Record, event: AuditAction) -> None:
        """Count a committed change and, for an approver's decision, record how long it took."""
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
        """Count a decision that was repeated because another change came first."""
        self._conflicts.labels(_KINDS.get(record.partition("#")[0], "other")).inc()

    def ledger_unreadable(self, owner: str) -> None:
        """Count a ledger that can't be read, each time it was wanted."""
        kind = owner.partition("#")[0]
        self._unreadable.labels(kind if kind in _LEDGERS else "other").inc()

    # The transports --------------------------------------------------------------------------------------------------

    def acknowledged(self, transport: Transport, payload: PayloadKind, seconds: float) -> None:
        """Count an acknowledgement, by the seconds from the payload's arrival until it was sent."""
        self._acknowledgements.labels(transport.value, payload.value).observe(max(seconds, 0.0))

    def turned_away(self, transport: Transport, reason: TurnedAway) -> None:
        """Count a payload that was not acknowledged: Slack shows a failure."""
        self._turned_away.labels(transport.value, reason.value).inc()

    def answered(self, kind: AnswerKind) -> None:
        """Count which answer a click was acknowledged with."""
        self._answers.labels(kind.value).inc()

    def lane_refused(self, lane: Lane) -> None:
        """Count what found no room in its lane: the person had too much there, or everybody together."""
        self._lane_refusals.labels(lane.value).inc()

    def write(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that a scraper's Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _count_decisions(self) -> None:
        self._changes = _counter(
            self.registry, "countersign_changes_total", "Committed changes, by audit event.", {"event": AuditAction}
        )
        self._decisions = Counter(
            "countersign_decisions_total", "Decisions, by outcome.", ["kind", "outcome"], registry=self.registry
        )
        for labels in _DECISIONS.values():
            self._decisions.labels(*labels)
        self._refusals = _counter(
            self.registry,
            "countersign_refusals_total",
            "Valid attempts that were refused.",
            {"event": [each for each in AuditAction if each.value.endswith("_refused")]},
        )
        self._conflicts = _counter(
            self.registry,
            "countersign_conflicts_total",
            "Decisions that were repeated because another change came first.",
            {"kind": [*_KINDS.values(), "other"]},
        )
        self._unreadable = _counter(
            self.registry,
            "countersign_ledgers_unreadable_total",
            "How often a ledger could not be read and was counted from the events.",
            {"ledger": [*_LEDGERS, "other"]},
        )
        self._time_to_decision = Histogram(
            "countersign_time_to_decision_seconds",
            "Seconds from the request to the approver's decision.",
            ["outcome"],
            registry=self.registry,
            buckets=_DECISION_BUCKETS,
        )
        for status in (RequestStatus.APPROVED, RequestStatus.DENIED):
            self._time_to_decision.labels(status.value)

    def _count_payloads(self) -> None:
        self._acknowledgements = Histogram(
            "countersign_acknowledgement_seconds",
            "Seconds from a payload's arrival to its acknowledgement.",
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
            "Answers that clicks were acknowledged with.",
            {"answer": [each.value for each in AnswerKind]},
        )
        self._lane_refusals = _counter(
            self.registry,
            "countersign_lane_refused_total",
            "Decisions, forms, replies, Home tabs and cards that found no room.",
            {"lane": Lane},
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
        yield _gauge(
            "countersign_outbox_readable", "1 if the outbox could be counted, otherwise 0.", float(state is not None)
        )
        if state is not None:
            yield _gauge("countersign_outbox_depth", "Notifications that are pending.", state.depth)
            yield _gauge(
                "countersign_outbox_oldest_age_seconds",
                "Seconds that the oldest of them has been pending.",
                state.oldest_age_seconds,
            )
            yield _gauge(
                "countersign_outbox_parked", "Notifications that could not be delivered; see doctor.", state.parked
            )


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _counter(registry: CollectorRegistry, name: str, what: str, labels: dict[str, Iterable[str]]) -> Counter:
    """A counter that exports 0 for all its label values from the start, so that `rate` counts the first event too."""
    counter = Counter(name, what, list(labels), registry=registry)
    combinations: list[tuple[str, ...]] = [()]
    for values in labels.values():
        combinations = [(*head, str(value)) for head in combinations for value in values]
    for combination in combinations:
        counter.labels(*combination)
    return counter

"""The metrics of schedules: look-ups, what questions about people cost, and how old the answers are.

Invariant: the labels are the kinds of sources and of outcomes. No schedule, no person and no address is in a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from core.policy.on_call_config import SOURCE_KINDS

SLACK_EMAIL: Final = "slack_email"
"""The look-ups of people by e-mail, beside those of schedules."""


class LookupOutcome(StrEnum):
    """How a look-up ended."""

    ANSWERED = "answered"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    FAILED = "failed"


class QuestionOutcome(StrEnum):
    """What a question about a person cost: nothing, a wait for a look-up, or there was no answer."""

    IN_HAND = "in_hand"
    WAITED = "waited"
    NOT_KNOWN = "not_known"


class OnCallMetrics:
    """Counts for a roster. `countersign_on_call_…` is absent from a process that asks no schedule."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lookups = Counter(
            "countersign_on_call_lookups_total",
            "Look-ups of schedules, and of people by e-mail.",
            ["source", "outcome"],
            registry=registry,
        )
        for source in (*SOURCE_KINDS, SLACK_EMAIL):
            for outcome in LookupOutcome:
                self._lookups.labels(source, outcome.value)
        self._questions = Counter(
            "countersign_on_call_questions_total",
            "Questions whether somebody is on call, by what the answer cost.",
            ["answer"],
            registry=registry,
        )
        for answer in QuestionOutcome:
            self._questions.labels(answer.value)

    def looked_up(self, source: str, outcome: str) -> None:
        """A source was asked."""
        self._lookups.labels(source, LookupOutcome(outcome).value).inc()

    def asked(self, outcome: str) -> None:
        """Somebody was asked about."""
        self._questions.labels(QuestionOutcome(outcome).value).inc()

    def looked_up_email(self, outcome: str) -> None:
        """Slack was asked whose e-mail address one is."""
        self.looked_up(SLACK_EMAIL, outcome)

    def watch(self, read: Callable[[], Mapping[str, float]], count_unknown: Callable[[], int]) -> None:
        """Export the age of the oldest answer of each kind of source, and how many schedules have none that counts."""
        age = Gauge(
            "countersign_on_call_answer_age_seconds",
            "Age of the oldest answer about a schedule, by source; 0 without one.",
            ["source"],
            registry=self._registry,
        )
        for source in SOURCE_KINDS:
            age.labels(source).set_function(partial(_age_of, read, source))
        unknown = Gauge(
            "countersign_on_call_schedules_unknown",
            "Schedules of the policy without an answer of the last minute.",
            registry=self._registry,
        )
        unknown.set_function(count_unknown)


def _age_of(read: Callable[[], Mapping[str, float]], source: str) -> float:
    return read().get(source, 0.0)

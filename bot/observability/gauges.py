"""The gauges of one instance: what is pending in it, and which policy it uses.

Invariant: a gauge reads a number that is at hand; a scrape never waits for the store or for Slack.
"""

from __future__ import annotations

from typing import Protocol

from bot.observability.metrics import Lane, Metrics, OutboxReading
from core.policy import PolicyFile, PolicySource


class _Busy(Protocol):
    """What accepts payloads, such as a Dispatcher."""

    @property
    def in_flight(self) -> int:
        """How many payloads were accepted and not answered yet."""
        ...


class _Queued(Protocol):
    """What runs tasks in lanes, such as Lanes."""

    def waiting(self, lane: Lane) -> int:
        """How many tasks of a lane have not started yet."""
        ...


class _Backlogged(Protocol):
    """What delivers, such as a Sweeper."""

    def outbox_state(self) -> OutboxReading | None:
        """How much is pending; None if unknown."""
        ...


def watch_instance(
    metrics: Metrics, background: _Backlogged, dispatcher: _Busy, lanes: _Queued, policy: PolicySource
) -> None:
    """Register the gauges of one instance."""
    metrics.watch_outbox(background.outbox_state)
    metrics.watch_lanes(lanes.waiting)
    metrics.watch(
        "countersign_payloads_in_flight", "Payloads accepted and not yet answered.", lambda: dispatcher.in_flight
    )
    metrics.watch(
        "countersign_policy_refused",
        "1 while the policy file has a mistake, so that the previous version stays in force.",
        lambda: float(isinstance(policy, PolicyFile) and policy.problem is not None),
    )
    metrics.watch(
        "countersign_policy_in_force_timestamp_seconds",
        "When this instance began to use the policy that is in force, in seconds since 1970.",
        lambda: policy.state.in_force_since.timestamp() if isinstance(policy, PolicyFile) else 0.0,
    )

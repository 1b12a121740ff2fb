"""What operators see of access: how late revokes are, what is live, what targets answer, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from bot.observability.access_metrics import MAX_TARGETS, OUTCOMES, AccessMetrics, AccessReading
from bot.observability.counted_targets import CountedTargets
from core.access.reconciler import Reconciler
from core.targets.base import InProgress, Later, OperationKey, TargetRefused, Unknown
from tests.core.access.harness import HOUR, MINUTE, AccessHarness
from tests.core.access.world import RIGHT
from tests.harness.clock import A_MOMENT

KEY = OperationKey("0" * 16, 1)


class Counted:
    """An access harness whose targets and changes are counted."""

    def __init__(self) -> None:
        self.access = AccessHarness()
        self.registry = CollectorRegistry()
        self.metrics = AccessMetrics(self.registry)
        self.targets = CountedTargets(self.access.targets, self.metrics.stepped)
        self.reconciler = Reconciler(
            self.access.store, self.targets, self.access.clock, jitter=lambda: 1.0, on_change=self.metrics.changed
        )

    def steps(self, target: str = "aws") -> dict[tuple[str, str], float]:
        return {
            (step, outcome): count
            for step, outcomes in OUTCOMES.items()
            for outcome in outcomes
            if (count := self.value("access_steps_total", target=target, step=step, outcome=outcome))
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"countersign_{name}", labels)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_opening_and_ending_are_counted_and_timed(counted: Counted) -> None:
    counted.access.grant(kind="BREAKGLASS")
    counted.access.clock.advance(timedelta(seconds=3))
    counted.reconciler.reconcile(RIGHT)
    assert counted.steps() == {("look", "absent"): 1, ("give", "held"): 1, ("look", "held"): 1}
    assert counted.value("access_opening_seconds_sum", kind="break_glass") == 3
    counted.access.clock.set(A_MOMENT + HOUR + timedelta(seconds=7))
    counted.reconciler.reconcile(RIGHT)
    assert counted.value("access_ending_seconds_sum", kind="break_glass") == 7
    assert counted.value("access_ending_seconds_count", kind="request") == 0


def test_each_outcome_of_a_call_is_passed_on_and_counted(counted: Counted) -> None:
    target, script = counted.targets["aws"], counted.access.target.script
    script["give"].extend([InProgress("t"), TargetRefused("no"), Later(), Unknown("what?"), RuntimeError("lost")])
    answers = [target.give(RIGHT, A_MOMENT, KEY) for _ in range(4)]
    assert answers == [InProgress("t"), TargetRefused("no"), Later(), Unknown("what?")]
    with pytest.raises(RuntimeError, match="lost"):
        target.give(RIGHT, A_MOMENT, KEY)
    script["poll"].append(InProgress("t"))
    target.poll("t")
    target.take(RIGHT, KEY)
    assert counted.steps() == {
        ("give", "in_progress"): 1,
        ("give", "refused"): 1,
        ("give", "later"): 1,
        ("give", "unknown"): 2,
        ("poll", "in_progress"): 1,
        ("take", "absent"): 1,
    }
    assert target.residual(RIGHT) == HOUR
    assert not target.ends_sessions


def test_target_that_is_gone_is_still_gone(counted: Counted) -> None:
    assert counted.targets.get("elsewhere") is None
    assert list(counted.targets) == ["aws"]
    assert len(counted.targets) == 1


def test_targets_without_end_become_few_labels(counted: Counted) -> None:
    for number in range(MAX_TARGETS + 5):
        counted.metrics.stepped(f"t{number}", "look", "held")
    assert counted.steps(f"t{MAX_TARGETS - 1}") == {("look", "held"): 1}
    assert counted.steps(f"t{MAX_TARGETS}") == {}
    assert counted.steps("other") == {("look", "held"): 5}


def test_drift_is_counted_by_its_kind(counted: Counted) -> None:
    access = counted.access
    access.grant()
    for _ in range(2):
        counted.reconciler.reconcile(RIGHT)
        access.clock.advance(2 * MINUTE)
    access.target.remove()
    access.clock.advance(31 * MINUTE)
    counted.reconciler.reconcile(RIGHT)
    assert counted.value("access_drift_total", drift="removed") == 1
    assert counted.value("access_drift_total", drift="came_back") == 0


def test_oldest_due_revoke_is_as_old_as_it_is_at_the_scrape(counted: Counted) -> None:
    readings: list[AccessReading | None] = [None]
    counted.metrics.watch(lambda: readings[-1], counted.access.clock)
    assert counted.value("access_readable") == 0
    assert counted.value("access_oldest_due_revoke_seconds") is None
    readings.append(AccessReading(A_MOMENT + MINUTE, 12))
    assert counted.value("access_oldest_due_revoke_seconds") == 0
    counted.access.clock.advance(3 * MINUTE)
    assert counted.value("access_oldest_due_revoke_seconds") == 120
    assert (counted.value("access_live_grants"), counted.value("access_readable")) == (12, 1)
    readings.append(AccessReading(None, 0))
    assert counted.value("access_oldest_due_revoke_seconds") == 0

"""What a pass costs: as much as is due, however much is held."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.access.grant import GrantStatus
from core.access.holding import Urgency
from core.access.right import right_key
from tests.core.access.harness import HOUR, MINUTE, AccessHarness
from tests.core.access.world import RIGHT, a_grant
from tests.harness.clock import A_MOMENT

READS_OF_AN_IDLE_PASS = len(Urgency) + 1
READS_OF_A_REVOKE = 3
"""The right, and whether an emergency came: before it, and before the look that comes with it."""


def with_live(number: int) -> AccessHarness:
    """As many live grants, each as it is some minutes after it opened."""
    access = AccessHarness()
    access.grant(0)
    access.pass_time(2 * MINUTE)
    (opened,), holding = access.store.grants.values(), access.holding()
    due = access.store.due[right_key(RIGHT)]
    for each in range(1, number):
        right = RIGHT.model_copy(update={"principal": f"ann-{each}"})
        grant = a_grant(
            source=f"REQUEST#{each:016x}", starts_at=A_MOMENT, ends_at=A_MOMENT + HOUR, now=A_MOMENT, right=right
        ).open(A_MOMENT)
        access.store.add(grant)
        access.store.holdings[right_key(right)] = holding.change(owner=right_key(right), last_grant=grant.id)
        access.store.due[right_key(right)] = due
        access.target.put(right)
    assert opened.status is GrantStatus.ACTIVE
    return access


@pytest.mark.parametrize("live", [1, 10, 10_000])
def test_idle_pass_costs_the_same_however_much_is_held(live: int) -> None:
    access = with_live(live)
    reads, rows, calls = access.store.reads, access.store.rows_read, len(access.target.calls)
    access.visit()
    assert access.store.reads - reads == READS_OF_AN_IDLE_PASS
    assert access.store.rows_read - rows == 0
    assert len(access.target.calls) == calls


@pytest.mark.parametrize("live", [10, 1000])
def test_one_end_costs_the_same_however_much_is_held(live: int) -> None:
    access = with_live(live)
    right = RIGHT.model_copy(update={"principal": "short"})
    access.grant(live + 1, length=5 * MINUTE, right=right)
    access.visit()
    access.clock.set(A_MOMENT + 5 * MINUTE)
    reads, writes = access.store.reads, access.store.writes
    access.visit()
    assert right not in access.target.held
    assert access.store.reads - reads == READS_OF_AN_IDLE_PASS + READS_OF_A_REVOKE - 1
    assert access.store.writes - writes == 5


def test_opening_costs_one_give_and_few_writes() -> None:
    access = AccessHarness()
    grant = access.grant()
    access.visit()
    assert access.status(grant) is GrantStatus.ACTIVE
    assert [name for name, _ in access.target.calls] == ["inspect", "give", "inspect"]
    assert access.store.writes == 5


def test_thousand_ends_in_one_minute_are_each_taken_once() -> None:
    access = with_live(1000)
    access.clock.set(A_MOMENT + HOUR + timedelta(seconds=30))
    writes = access.store.writes
    access.visit()
    assert access.target.count("take") == 1000
    assert not access.target.held
    assert access.store.writes - writes == 5 * 1000
    assert {grant.status for grant in access.store.grants.values()} == {GrantStatus.ENDED}


def test_pass_has_a_limit_and_the_rest_stays_due() -> None:
    access = with_live(30)
    access.clock.set(A_MOMENT + HOUR)
    assert access.due.visit_due(limit=10).visited == 10
    assert access.target.count("take") == 10
    access.visit()
    assert access.target.count("take") == 30

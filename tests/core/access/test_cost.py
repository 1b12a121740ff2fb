"""What a pass costs: as much as is due, however much is held."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.access.due_rights import DueRights, VisitCounts
from core.access.grant import GrantStatus
from core.access.holding import Urgency
from core.access.reconciler import Reconciler
from core.access.right import right_key
from core.targets.base import Absent, Answer, InProgress, Later
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


def test_what_a_lane_has_no_room_for_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.access.due_queue.MAX_WAITING", 7)
    access = with_live(30)
    access.clock.set(A_MOMENT + HOUR)
    assert access.visit() == VisitCounts(visited=30)
    assert access.target.count("take") == 30


def test_looks_in_their_hundreds_hold_up_no_grant() -> None:
    access = with_live(100)
    access.clock.set(A_MOMENT + 40 * MINUTE)
    right = RIGHT.model_copy(update={"principal": "late"})
    access.grant(101, start=40 * MINUTE, right=right)
    counts = access.due.visit_due(is_stopped=lambda: right in access.target.held)
    assert (counts.visited, counts.left) == (1, 100)


def test_conflict_is_found_once_not_by_each_right_again() -> None:
    access = with_live(30)
    access.clock.set(A_MOMENT + HOUR)
    taking: list[str] = []

    def take() -> Answer:
        _, right, _ = access.target.asked[-1]
        if taking:
            return Later(problem="another one is in progress")
        taking.append(right.principal)
        return InProgress(right.principal)

    def poll() -> Answer:
        access.target.held -= {each for each in access.target.held if each.principal in taking}
        taking.clear()
        return Absent()

    access.target.always["take"] = take
    access.target.always["poll"] = poll
    for _ in range(120):
        access.visit()
        access.clock.advance(timedelta(seconds=1))
    assert not access.target.held
    assert access.target.count("poll") == 30
    assert access.target.count("take") <= 2 * 30


def test_right_that_conflicts_for_ever_holds_up_no_other() -> None:
    access = with_live(10)
    access.clock.set(A_MOMENT + HOUR)
    access.target.always["take"] = lambda: (
        Later() if access.target.asked[-1][1] == RIGHT else access.target.remove(access.target.asked[-1][1])
    )
    for _ in range(60):
        access.visit()
        access.clock.advance(timedelta(seconds=1))
    assert access.target.held == {RIGHT}


def test_unreadable_rights_hold_up_none_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.access.due_queue.MAX_WAITING", 5)
    access = with_live(30)
    for right, grant in [(each.right, each) for each in access.store.grants.values()][1:]:
        access.store.broken.add(right_key(right))
        assert grant.is_live
    access.clock.set(A_MOMENT + HOUR)
    counts = access.visit()
    assert (counts.visited, counts.failed, access.target.count("take")) == (1, 29, 1)


def test_stopped_pass_visits_nothing_more() -> None:
    access = with_live(30)
    access.clock.set(A_MOMENT + HOUR)
    assert access.due.visit_due(is_stopped=lambda: access.target.count("take") >= 3).visited == 3
    assert access.target.count("take") == 3


def test_worker_hears_of_each_change_of_a_grant() -> None:
    access, heard = AccessHarness(), list[str]()
    reconciler = Reconciler(
        access.store,
        access.targets,
        access.clock,
        on_change=lambda grant, entries: heard.extend(f"{grant.status}: {each.event}" for each in entries),
    )
    access.grant()
    reconciler.reconcile(RIGHT)
    assert heard == ["active: grant_given", "active: grant_opened"]


def test_by_a_clock_that_is_off_nobody_is_overdue() -> None:
    access = with_live(30)
    access.store.due.clear()
    access.clock.set(A_MOMENT + HOUR)
    off = _OffClock(access)
    due = DueRights(access.store, Reconciler(access.store, access.targets, off), off)
    assert due.visit_due() == VisitCounts()
    assert access.visit().visited == 30


class _OffClock:
    is_off = True

    def __init__(self, access: AccessHarness) -> None:
        self._access = access

    def now(self) -> datetime:
        return self._access.clock.now()

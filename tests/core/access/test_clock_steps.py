"""A clock that was ahead and is right again: what it wrote puts off no revoke and no opening by as much."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.access.clock_steps import correct_ahead, find_put_off
from core.access.grant import GrantStatus
from core.access.holding import OperationKind
from core.access.reconciler import Reconciler
from core.access.timing import LEASE, SETTLE
from core.targets.base import InProgress, Later, Unknown
from tests.core.access.harness import HOUR, MINUTE, AccessHarness
from tests.core.access.world import RIGHT, Killed

if TYPE_CHECKING:
    from datetime import datetime

    from core.targets.base import Answer

DAY: Final = timedelta(days=1)


class OffClock:
    """Tells the time of the test, and is known to be off."""

    is_off = True

    def __init__(self, access: AccessHarness) -> None:
        self._access = access

    def now(self) -> datetime:
        return self._access.clock.now()


def visit_once(access: AccessHarness, *, is_known: bool) -> None:
    """A visit by an instance that may know that its clock is off."""
    clock = OffClock(access) if is_known else access.clock
    Reconciler(access.store, access.targets, clock, holder="ahead", jitter=lambda: 1.0).reconcile(RIGHT)


def work_a_minute(access: AccessHarness) -> None:
    """What the background does in a minute."""
    reconciler = Reconciler(access.store, access.targets, access.clock, jitter=lambda: 1.0)
    for right in find_put_off(access.store, access.clock.now()):
        reconciler.reconcile(right)
    access.pass_time(MINUTE)


def die() -> Answer:
    raise Killed


@pytest.mark.parametrize("answer", [Unknown("down"), Later(timedelta(seconds=5)), InProgress("a token"), die])
@pytest.mark.parametrize("is_known", [True, False])
def test_revoke_is_not_put_off_by_a_clock_ahead(*, answer: object, is_known: bool) -> None:
    access = AccessHarness()
    grant = access.grant(length=3 * HOUR)
    access.pass_time(2 * MINUTE)
    access.end_early(grant)
    began = access.clock.now()
    access.clock.set(began + DAY)
    access.target.script["take"] = deque([answer])  # type: ignore[list-item]
    try:
        visit_once(access, is_known=is_known)
    except Killed:
        assert answer is die
    access.target.always["poll"] = lambda: access.target.remove(RIGHT)
    assert access.target.held == {RIGHT}
    access.clock.set(began + timedelta(seconds=10))
    work_a_minute(access)
    work_a_minute(access)
    assert not access.is_held
    access.pass_time(2 * MINUTE)
    assert access.status(grant) is GrantStatus.ENDED


def test_opening_is_not_put_off_by_a_clock_ahead() -> None:
    access = AccessHarness()
    grant, began = access.grant(length=3 * HOUR), access.clock.now()
    access.clock.set(began + HOUR)
    access.target.script["inspect"] = deque([Unknown("down")])
    access.visit()
    access.clock.set(began)
    work_a_minute(access)
    assert access.status(grant) is GrantStatus.ACTIVE


def test_clock_that_is_off_corrects_nothing() -> None:
    access = AccessHarness()
    access.grant()
    state = access.store.get_right(RIGHT)
    leased = state.holding.begin(OperationKind.GIVE, state.grants[0].id, "worker", access.clock.now())
    access.store.commit(state, leased)
    access.clock.set(access.clock.now() - HOUR)
    visit_once(access, is_known=True)
    assert not access.target.calls


def test_clocks_that_differ_by_seconds_correct_nothing() -> None:
    access = AccessHarness()
    access.grant()
    access.visit()
    holding, now = access.holding(), access.clock.now()
    leased = holding.begin(OperationKind.TAKE, "0" * 16, "worker", now)
    for each in (holding, leased, leased.lose_operation()):
        assert correct_ahead(each, now - timedelta(seconds=10)) is each
    assert leased.lease is not None
    assert correct_ahead(leased, now - HOUR).lease == leased.lease.model_copy(update={"until": now - HOUR})


def test_moments_of_a_clock_ahead_have_come() -> None:
    access = AccessHarness()
    access.grant()
    now = access.clock.now()
    access.clock.set(now + HOUR / 2)
    access.visit()
    corrected = correct_ahead(access.holding(), now)
    assert corrected.given_at == corrected.seen_at == now
    assert correct_ahead(corrected, now) is corrected


def test_nothing_is_put_off_while_clocks_are_right() -> None:
    access = AccessHarness()
    first, second = access.grant(1), access.grant(2, kind="BREAKGLASS", length=2 * HOUR)
    access.target.script["take"] = deque([Unknown("down")] * 3)
    while GrantStatus.ENDED not in (access.status(first), access.status(second)) or access.is_held:
        assert not list(find_put_off(access.store, access.clock.now()))
        access.pass_time(SETTLE + LEASE)

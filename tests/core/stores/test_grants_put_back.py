"""Somebody who can write to the tables puts an older version of a grant back: sealed, but not what its chain says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access.grant import AWAITS_END, Grant
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.audit.trail import AuditAction
from core.clock import format_time
from core.errors import ConcurrentModification
from core.stores.due import Stage
from tests.core.access.harness import HOUR, MINUTE
from tests.core.access.office import RITA, AccessOffice, right_of
from tests.core.stores.harness import Stored, StoreHarness

if TYPE_CHECKING:
    from tests.harness.clock import FrozenClock

RIGHT: Right = right_of(RITA)
ON_SQLITE = pytest.mark.parametrize("harness", ["sqlite"], indirect=True)
"""What the reconciler does is the same on every engine."""


@pytest.fixture
def office(harness: StoreHarness, clock: FrozenClock) -> AccessOffice:
    return AccessOffice(harness.stores, clock)


@pytest.fixture
def revoked(office: AccessOffice, harness: StoreHarness) -> tuple[Grant, Stored]:
    """A grant that Rita gave back after ten minutes of three hours, and what was stored while it was open."""
    request = office.approve(duration=3 * HOUR)
    office.pass_time(10 * MINUTE)
    grant = office.grant_of(request)
    open_ = harness.stored(grant)
    assert open_ is not None
    office.grants.end(request.chain, RITA)
    office.pass_time(MINUTE)
    return grant, open_


def put_back(harness: StoreHarness, grant: Grant, stored: Stored) -> None:
    harness.put_back(grant, stored)
    if harness.name == "sqlite":
        ends_at = format_time(grant.ends_at)
        harness.spoil_beside(grant, {"awaits": AWAITS_END, "stage": Stage.WANTED, "ended_at": ends_at})


def test_revoked_grant_that_is_put_back_gives_nothing(
    office: AccessOffice, harness: StoreHarness, revoked: tuple[Grant, Stored]
) -> None:
    put_back(harness, *revoked)
    office.pass_time(2 * HOUR)
    assert office.target.count("give") == 1
    harness.stores.refusals.flush()
    alarms = [each for each in harness.stores.audit.export() if each.event is AuditAction.SEAL_BROKEN]
    assert alarms
    assert {each.record for each in alarms} == {revoked[0].chain}


@ON_SQLITE
def test_grant_put_back_before_the_take_keeps_nothing(
    office: AccessOffice, harness: StoreHarness, clock: FrozenClock
) -> None:
    request = office.approve(duration=3 * HOUR)
    office.pass_time(10 * MINUTE)
    grant = office.grant_of(request)
    open_ = harness.stored(grant)
    assert open_ is not None
    office.grants.end(request.chain, RITA)
    put_back(harness, grant, open_)
    office.pass_time(31 * MINUTE)
    assert clock.now() < grant.ends_at
    assert office.target.held == set()


@ON_SQLITE
def test_grant_put_back_at_once_gives_nothing(office: AccessOffice, harness: StoreHarness, clock: FrozenClock) -> None:
    request = office.approve(duration=3 * HOUR)
    office.pass_time(10 * MINUTE)
    grant = office.grant_of(request)
    open_ = harness.stored(grant)
    assert open_ is not None
    office.grants.end(request.chain, RITA)
    office.due.visit_due()
    assert office.target.held == set()
    put_back(harness, grant, open_)
    # What was just taken is given again without a look.
    Reconciler(harness.stores.access, office.targets, clock).reconcile(RIGHT)
    assert office.target.count("give") == 1


@ON_SQLITE
def test_grant_put_back_keeps_no_other_from_ending(office: AccessOffice, harness: StoreHarness) -> None:
    first = office.approve(duration=30 * MINUTE)
    office.pass_time(10 * MINUTE)
    grant = office.grant_of(first)
    open_ = harness.stored(grant)
    assert open_ is not None
    office.pass_time(30 * MINUTE)
    again = office.approve(duration=30 * MINUTE)
    put_back(harness, grant, open_)
    office.pass_time(MINUTE)
    assert office.target.held == {RIGHT}
    office.pass_time(30 * MINUTE)
    assert office.target.held == set()
    assert office.actions(office.grant_of(again))[-1] == "grant_closed"


@ON_SQLITE
def test_grant_put_back_takes_nothing_of_others(
    office: AccessOffice, harness: StoreHarness, clock: FrozenClock
) -> None:
    request = office.approve()
    office.pass_time(10 * MINUTE)
    office.grants.end(request.chain, RITA)
    ending = harness.stored(grant := office.grant_of(request))
    assert ending is not None
    office.pass_time(3 * HOUR)
    office.target.put(RIGHT)
    harness.put_back(grant, ending)
    harness.spoil_beside(grant, {"awaits": AWAITS_END, "stage": Stage.ENDING})
    for _ in range(3):
        Reconciler(harness.stores.access, office.targets, clock).reconcile(RIGHT)
        clock.advance(2 * MINUTE)
    assert office.target.held == {RIGHT}


def test_grant_that_changed_meanwhile_was_not_put_back(office: AccessOffice, harness: StoreHarness) -> None:
    request = office.approve()
    as_read = office.grant_of(request)
    assert harness.stores.access.find_rolled_back([as_read]) == frozenset()
    office.pass_time(MINUTE)
    with pytest.raises(ConcurrentModification):
        harness.stores.access.find_rolled_back([as_read])

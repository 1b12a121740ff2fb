"""Somebody who may write to the table damages what would end access: it ends on time, or before, on every engine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.access.due_rights import DueRights
from core.access.grant import Grant, GrantId, GrantStatus
from core.access.reconciler import Reconciler
from core.audit.trail import AuditAction
from core.errors import ConcurrentModification
from tests.builders import INVOKER, a_draft, an_event
from tests.core.access.harness import ScriptedTarget
from tests.core.access.world import RIGHT
from tests.core.stores.access_bench import HOUR, OTHER, AccessBench, created, ended, new_grant
from tests.core.stores.harness import DynamoHarness, SqliteHarness
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.stores.harness import StoreHarness

MINUTE: Final = timedelta(minutes=1)


class DamagedRight:
    """One right, a target, and a reconciler that is given time, as often as something is due."""

    def __init__(self, harness: StoreHarness) -> None:
        self.stores = harness.stores
        self.clock = harness.clock
        self.bench = AccessBench.on(harness.stores, harness.clock)
        self.target = ScriptedTarget(self.clock)
        reconciler = Reconciler(self.stores.access, {"aws": self.target}, self.clock, jitter=lambda: 1.0)
        self.due = DueRights(self.stores.access, reconciler, self.clock)

    def work(self, length: timedelta = timedelta(seconds=15)) -> None:
        end = self.clock.now() + length
        while self.clock.now() < end:
            self.due.visit_due()
            self.clock.advance(length / 3)

    def skip_to(self, length: timedelta) -> None:
        """Nobody works until this long after the beginning; then for a while."""
        self.clock.set(A_MOMENT + length)
        self.work()

    def open(self, *, is_standing: bool = False) -> Grant:
        grant = self.bench.grant()
        if is_standing:
            self.target.put()
        self.work()
        return self.read(grant)

    def read(self, grant: Grant) -> Grant:
        return self.stores.access.get(GrantId(grant.id))

    def status(self, grant: Grant) -> GrantStatus:
        return self.read(grant).status

    def actions(self, grant: Grant) -> list[AuditAction]:
        return [each.event for each in self.stores.audit.get_chain(grant.chain)]

    def alarms(self) -> set[str | None]:
        self.stores.refusals.flush()
        return {each.record for each in self.stores.audit.export() if each.event is AuditAction.SEAL_BROKEN}

    @property
    def is_held(self) -> bool:
        return RIGHT in self.target.held


def _break_seal(harness: StoreHarness) -> None:
    harness.spoil_holding(RIGHT, {"is_ours": False, "standing": True, "failures": 9})


def _break_version(harness: StoreHarness) -> None:
    harness.spoil_holding(RIGHT, {"updated_at": 7, "seal": 7})


def _break_form(harness: StoreHarness) -> None:
    if isinstance(harness, SqliteHarness):
        harness.ask("UPDATE holdings SET body = '{\"seal\": NaN'")
    elif isinstance(harness, DynamoHarness):
        harness.change_right(RIGHT, {"holding": {"B": b"\x00"}})


def _break_beside(harness: StoreHarness) -> None:
    if isinstance(harness, SqliteHarness):
        harness.ask("UPDATE holdings SET updated_at = '', nudge = 'x'")
    elif isinstance(harness, DynamoHarness):
        harness.change_right(RIGHT, {"nudge": {"S": "x"}, "live": {"N": "1"}, "ttl": {"S": "x"}})


def _delete_it(harness: StoreHarness) -> None:
    harness.remove_right(RIGHT)


@pytest.fixture
def damaged(harness: StoreHarness) -> DamagedRight:
    return DamagedRight(harness)


@pytest.mark.parametrize("damage", [_break_seal, _break_version, _break_form, _break_beside, _delete_it])
def test_open_right_with_a_damaged_holding_ends_on_time(
    harness: StoreHarness, damaged: DamagedRight, damage: Callable[[StoreHarness], None]
) -> None:
    grant = damaged.open()
    generation = damaged.bench.state().holding.generation
    assert (grant.status, damaged.is_held) == (GrantStatus.ACTIVE, True)
    damage(harness)
    damaged.skip_to(HOUR - MINUTE)
    assert damaged.is_held
    damaged.skip_to(HOUR)
    assert (damaged.status(grant), damaged.is_held) == (GrantStatus.ENDED, False)
    assert damaged.target.asked[-1][2].generation > generation
    if damage is not _break_beside or isinstance(harness, DynamoHarness):
        assert AuditAction.HOLDING_REBUILT in damaged.actions(grant)
    damaged.bench.grant(2, length=HOUR * 2)
    damaged.work(MINUTE * 2)
    assert damaged.is_held


def _change_grant(harness: StoreHarness, grant: Grant) -> None:
    harness.spoil(grant, {"decided_by": "U0MALLORY"})


def _make_unreadable(harness: StoreHarness, grant: Grant) -> None:
    harness.make_unreadable(grant)


@pytest.mark.parametrize("damage", [_change_grant, _make_unreadable])
@pytest.mark.parametrize("is_holding_damaged", [False, True])
def test_right_of_a_damaged_grant_is_taken(
    harness: StoreHarness,
    damaged: DamagedRight,
    damage: Callable[[StoreHarness, Grant], None],
    *,
    is_holding_damaged: bool,
) -> None:
    grant = damaged.open()
    damage(harness, grant)
    if is_holding_damaged:
        _break_seal(harness)
    damaged.skip_to(MINUTE * 31)
    assert not damaged.is_held
    assert damaged.bench.state().unreadable == (grant.id,)
    assert damaged.stores.access.list_live().malformed == (grant.id,)
    assert grant.chain in damaged.alarms()


def test_damaged_grant_leaves_what_another_grant_wants(harness: StoreHarness, damaged: DamagedRight) -> None:
    grant = damaged.open()
    damaged.bench.grant(2, length=HOUR * 2)
    damaged.work()
    _change_grant(harness, grant)
    damaged.skip_to(HOUR + MINUTE)
    assert damaged.is_held
    damaged.skip_to(HOUR * 2)
    assert not damaged.is_held


def test_overdue_grant_that_stays_broken_is_visited_seldom(harness: StoreHarness, damaged: DamagedRight) -> None:
    grant = damaged.open()
    _change_grant(harness, grant)
    damaged.skip_to(HOUR * 3)
    damaged.work(MINUTE * 5)
    visits = [damaged.due.visit_due().visited for _ in range(10)]
    assert sum(visits) <= 1


@pytest.mark.parametrize("damage", [_break_seal, _break_form, _break_beside])
def test_emergency_opens_over_a_damaged_holding(
    harness: StoreHarness, damaged: DamagedRight, damage: Callable[[StoreHarness], None]
) -> None:
    state = damaged.bench.state()
    damaged.stores.access.commit(state, state.holding.change(next_look_at=A_MOMENT + HOUR))
    if damage is _break_beside and isinstance(harness, DynamoHarness):
        # What stands beside the holding is repaired by the next visit; a grant can't be made before.
        damage(harness)
        damaged.skip_to(HOUR)
        emergency = damaged.bench.grant(kind="BREAKGLASS", length=HOUR * 2)
    else:
        emergency = damaged.bench.grant(kind="BREAKGLASS")
        damage(harness)
    damaged.work(MINUTE)
    assert (damaged.status(emergency), damaged.is_held) == (GrantStatus.ACTIVE, True)
    damaged.skip_to(HOUR * 2)
    assert not damaged.is_held


def test_emergency_is_declared_over_a_damaged_item(harness: StoreHarness, damaged: DamagedRight) -> None:
    damaged.open()
    _break_beside(harness)
    declared = new_grant(2, kind="BREAKGLASS", length=HOUR * 2)
    event = damaged.stores.break_glass.create(an_event(), a_draft(), grants=[created(declared)])
    damaged.skip_to(HOUR - MINUTE)
    assert (damaged.status(declared), damaged.is_held) == (GrantStatus.ACTIVE, True)
    _break_beside(harness)
    closed = event.close(INVOKER, damaged.clock.now(), "The checkout is up again")
    draft = a_draft(AuditAction.BREAK_GLASS_CLOSED)
    early = ended(damaged.read(declared))
    damaged.stores.break_glass.update(closed, draft, ended=[early])
    damaged.skip_to(HOUR)
    assert not damaged.is_held


@pytest.mark.parametrize("damage", [_break_seal, _delete_it])
def test_standing_access_with_a_damaged_holding_is_left(
    harness: StoreHarness, damaged: DamagedRight, damage: Callable[[StoreHarness], None]
) -> None:
    grant = damaged.open(is_standing=True)
    assert grant.stood_before
    damage(harness)
    damaged.skip_to(HOUR)
    assert (damaged.status(grant), damaged.read(grant).is_kept) == (GrantStatus.ENDED, True)
    assert damaged.is_held
    assert damaged.target.count("take") == 0


def test_nothing_closes_over_a_damaged_holding_before_a_look(harness: StoreHarness, damaged: DamagedRight) -> None:
    grant = damaged.bench.grant()
    state = damaged.bench.state()
    damaged.stores.access.commit(state, state.holding.change(next_look_at=A_MOMENT))
    damaged.stores.access.end([ended(grant)])
    _break_seal(harness)
    damaged.target.put()
    looks = damaged.target.count("inspect")
    damaged.work()
    assert damaged.target.count("inspect") > looks
    assert (damaged.status(grant), damaged.is_held) == (GrantStatus.ENDED, True)
    told = damaged.stores.audit.get_chain(grant.chain)
    assert [each.details["drift"] for each in told if each.event is AuditAction.DRIFT_FOUND] == ["left"]


def test_what_the_chain_says_was_given_is_taken(harness: StoreHarness, damaged: DamagedRight) -> None:
    """It stood before, somebody removed it, and it was given: then it is ours, whatever the holding says."""
    grant = damaged.open(is_standing=True)
    damaged.target.remove()
    damaged.skip_to(MINUTE * 31)
    damaged.work(MINUTE * 2)
    assert AuditAction.GRANT_GIVEN in damaged.actions(grant)
    _break_seal(harness)
    damaged.skip_to(HOUR)
    assert not damaged.is_held


def test_deleted_right_with_a_newer_grant_is_taken(harness: StoreHarness, damaged: DamagedRight) -> None:
    """The newer one finds the right there; whose it is shows when the older one ends."""
    damaged.open()
    _delete_it(harness)
    newer = damaged.bench.grant(2, length=HOUR * 2)
    damaged.work()
    assert damaged.status(newer) is GrantStatus.ACTIVE
    damaged.skip_to(HOUR)
    assert damaged.is_held
    damaged.skip_to(HOUR * 2)
    assert not damaged.is_held


def test_damage_since_it_was_read_makes_a_rebuild_read_again(harness: StoreHarness, damaged: DamagedRight) -> None:
    damaged.open()
    _break_seal(harness)
    state = damaged.bench.state()
    harness.spoil_holding(RIGHT, {"failures": 8})
    with pytest.raises(ConcurrentModification):
        damaged.stores.access.commit(state, state.holding.change(is_ours=True))


def test_broken_grant_of_another_right_claims_nothing(harness: StoreHarness, damaged: DamagedRight) -> None:
    """Somebody lists the broken grant of one right with another right, which stood before."""
    other = damaged.bench.grant(2, right=OTHER)
    damaged.work()
    assert AuditAction.GRANT_GIVEN in damaged.actions(other)
    grant = damaged.open(is_standing=True)
    _change_grant(harness, other)
    harness.list_with(RIGHT, other)
    _break_seal(harness)
    assert damaged.bench.state().unreadable == (other.id,)
    damaged.skip_to(HOUR)
    assert (damaged.is_held, damaged.status(grant)) == (True, GrantStatus.ENDED)

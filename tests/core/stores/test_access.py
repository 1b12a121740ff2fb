"""The access store's contract: on the model in memory, on which the reconciler is tested, and on every engine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantId, GrantStatus
from core.access.holding import Holding, Urgency
from core.actor import ProfileName, UserId
from core.audit.trail import AuditAction
from core.errors import ConcurrentModification, FixedFactChanged, GrantNotFound, InvalidInput, InvalidStateTransition
from core.stores.access import MAX_TOGETHER, DueRight
from tests.core.access.world import RIGHT
from tests.core.stores.access_bench import (
    HOUR,
    OTHER,
    SECOND,
    AccessBench,
    created,
    drafted,
    ended,
    new_grant,
)  # fmt: skip
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.access.grant import Grant
    from core.access.right import Right
    from tests.harness.clock import FrozenClock

EVERYWHERE = ["memory", "sqlite", "moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)]


@pytest.fixture(params=EVERYWHERE)
def bench(request: pytest.FixtureRequest, clock: FrozenClock, harness_on: Callable[[str], object]) -> AccessBench:
    """The model, and each engine, empty."""
    if request.param == "memory":
        return AccessBench.in_memory(clock)
    return AccessBench.on(harness_on(request.param).stores, clock)  # type: ignore[attr-defined]


def _rights(due: tuple[DueRight, ...]) -> list[Right]:
    return [each.right for each in due]


def _person(number: int) -> Right:
    return RIGHT.model_copy(update={"principal": f"person-{number}"})


class TestReading:
    def test_right_that_nobody_has_is_empty(self, bench: AccessBench) -> None:
        assert bench.state() == type(bench.state())(Holding.empty(RIGHT), (), 0)

    def test_grant_is_read_as_it_was_made(self, bench: AccessBench) -> None:
        made = new_grant()
        bench.make(made)
        stored = bench.store.get(GrantId(made.id))
        assert stored.model_copy(update={"audit_head": "", "audit_length": 0}) == made
        with pytest.raises(GrantNotFound):
            bench.store.get(GrantId("0" * 16))

    def test_right_has_its_live_grants_oldest_first(self, bench: AccessBench) -> None:
        bench.make(new_grant(1))
        bench.make(new_grant(2, age=SECOND))
        bench.make(new_grant(3, right=OTHER))
        state = bench.state()
        assert [grant.source[-1] for grant in state.grants] == ["2", "1"]
        assert bench.state(OTHER).grants[0].source[-1] == "3"

    def test_final_grant_is_left_out_unless_it_was_the_last(self, bench: AccessBench) -> None:
        first, second = bench.grant(1), bench.grant(2)
        bench.close(first)
        assert [grant.id for grant in bench.state().grants] == [second.id]
        state = bench.state()
        bench.store.commit(state, state.holding.change(last_grant=first.id))
        assert {grant.id for grant in bench.state().grants} == {first.id, second.id}

    def test_several_are_read_at_once(self, bench: AccessBench) -> None:
        first, second = bench.grant(1), bench.grant(2, right=OTHER)
        found = bench.store.get_each([first.id, second.id, "f" * 16])
        assert {grant.id: grant for grant in found} == {first.id: first, second.id: second}
        assert bench.store.get_each([]) == ()
        assert dict(bench.store.find_many([first.id, "f" * 16])) == {first.id: first}
        assert {grant.id for grant in bench.store.iterate()} == {first.id, second.id}
        assert set(bench.store.iterate_ids()) == {first.id, second.id}


class TestCommitting:
    def test_commit_returns_what_is_stored(self, bench: AccessBench) -> None:
        grant = bench.grant()
        state = bench.state()
        opened = state.grants[0].open(A_MOMENT)
        holding = state.holding.begin("give", grant.id, "worker", A_MOMENT)  # type: ignore[arg-type]
        entries = [drafted(grant, AuditAction.GRANT_GIVEN), drafted(opened, AuditAction.GRANT_OPENED)]
        later = bench.store.commit(state, holding, opened, entries)
        assert later == bench.state()
        assert later.holding.generation == 1
        assert later.grants[0].status is GrantStatus.ACTIVE
        assert later.grants[0].audit_length == 3
        assert bench.store.commit(later, later.holding.change(failures=1)) == bench.state()

    def test_version_moves_forward_while_the_clock_stands(self, bench: AccessBench) -> None:
        state = bench.state()
        versions = []
        for _ in range(3):
            state = bench.store.commit(state, state.holding)
            versions.append(state.holding.updated_at)
        bench.clock.set(A_MOMENT - HOUR)
        versions.append(bench.store.commit(state, state.holding).holding.updated_at)
        assert versions == sorted(set(versions), key=str)

    def test_second_commit_on_one_version_is_refused(self, bench: AccessBench) -> None:
        empty = bench.state()
        first = bench.store.commit(empty, empty.holding.change(failures=1))
        for late in (empty, empty):
            with pytest.raises(ConcurrentModification, match="HOLDING#aws"):
                bench.store.commit(late, late.holding.change(failures=2))
        bench.store.commit(first, first.holding.change(failures=3))
        with pytest.raises(ConcurrentModification):
            bench.store.commit(first, first.holding)
        assert bench.state().holding.failures == 3

    @pytest.mark.parametrize("change", ["made", "ended", "deleted"])
    def test_commit_is_refused_after_a_nudge(self, bench: AccessBench, change: str) -> None:
        grant = bench.grant(1)
        state = bench.state()
        if change == "made":
            bench.grant(2)
        elif change == "ended":
            bench.store.end([ended(grant)])
        else:
            bench.store.delete(grant, drafted(grant, AuditAction.RECORD_DELETED))
        with pytest.raises(ConcurrentModification, match="HOLDING#aws"):
            bench.store.commit(state, state.holding.change(failures=1))
        assert bench.state().holding == Holding.empty(RIGHT)

    def test_refused_commit_changes_neither(self, bench: AccessBench) -> None:
        bench.grant(1)
        state = bench.state()
        bench.grant(2)
        opened = state.grants[0].open(A_MOMENT)
        with pytest.raises(ConcurrentModification, match="HOLDING#aws"):
            bench.store.commit(state, state.holding, opened, [drafted(opened, AuditAction.GRANT_OPENED)])
        assert {grant.status for grant in bench.state().grants} == {GrantStatus.PENDING}

    def test_worker_that_opens_what_ended_is_told_to_read_again(self, bench: AccessBench) -> None:
        """Not that the move is illegal: the reconciler starts over after a conflict, and after nothing else."""
        grant = bench.grant()
        state = bench.state()
        bench.store.end([ended(grant)])
        opened = state.grants[0].open(A_MOMENT)
        with pytest.raises(ConcurrentModification, match="HOLDING#aws"):
            bench.store.commit(state, state.holding, opened, [drafted(opened, AuditAction.GRANT_OPENED)])

    def test_grant_without_an_entry_is_refused(self, bench: AccessBench) -> None:
        grant = bench.grant()
        state = bench.state()
        with pytest.raises(ValueError, match="audit entry"):
            bench.store.commit(state, state.holding, grant.open(A_MOMENT), [])
        assert bench.state() == state

    def test_holding_of_one_right_leaves_others_alone(self, bench: AccessBench) -> None:
        first, second = bench.state(), bench.state(OTHER)
        bench.store.commit(first, first.holding)
        assert bench.state(OTHER) == second


class TestEnding:
    def test_end_is_stored_and_due_as_a_revoke(self, bench: AccessBench) -> None:
        grant = bench.open(bench.grant())
        bench.clock.advance(SECOND)
        (early,) = bench.store.end([ended(grant)])
        assert early == bench.store.get(GrantId(grant.id))
        assert early.status is GrantStatus.ENDING
        assert bench.store.list_due(Urgency.REVOKE, bench.clock.now()) == (DueRight(RIGHT, bench.clock.now()),)

    def test_several_end_together_or_not_at_all(self, bench: AccessBench) -> None:
        first, second = bench.grant(1), bench.grant(2)
        stale = second
        bench.open(second)
        with pytest.raises(ConcurrentModification):
            bench.store.end([ended(first), ended(stale)])
        assert bench.store.get(GrantId(first.id)).status is GrantStatus.PENDING
        both = [ended(each) for each in bench.state().grants]
        assert {grant.status for grant in bench.store.end(both)} == {GrantStatus.ENDING}
        assert {grant.status for grant in bench.state().grants} == {GrantStatus.ENDING}
        assert bench.store.end([]) == ()

    def test_too_many_at_once_are_refused(self, bench: AccessBench) -> None:
        grant = bench.grant()
        with pytest.raises(ValueError, match="too many"):
            bench.store.end([ended(grant)] * (MAX_TOGETHER + 1))

    def test_what_ended_cannot_end_again(self, bench: AccessBench) -> None:
        grant = bench.grant()
        (early,) = bench.store.end([ended(grant)])
        with pytest.raises(ConcurrentModification):
            bench.store.end([ended(grant, by="U0ADMIN")])
        bench.close(early)
        with pytest.raises(InvalidStateTransition) as caught:
            bench.store.end([ended(grant, by="U0ADMIN")])
        assert caught.value.decided_by == "U0REQUESTER"
        assert bench.state().grants == ()

    def test_grant_that_is_not_there_cannot_end(self, bench: AccessBench) -> None:
        with pytest.raises(GrantNotFound):
            bench.store.end([ended(new_grant())])

    def test_fixed_facts_stay(self, bench: AccessBench) -> None:
        grant = bench.grant()
        early = ended(grant).grant
        moved = early.model_copy(update={"decided_by": "U0MALLORY"})
        with pytest.raises(FixedFactChanged):
            bench.store.end([created(moved)])

    def test_deleted_grant_makes_its_right_due(self, bench: AccessBench) -> None:
        grant = bench.open(bench.grant())
        bench.store.delete(grant, drafted(grant, AuditAction.RECORD_DELETED))
        assert bench.state().grants == ()
        assert _rights(bench.store.list_due(Urgency.REVOKE, bench.clock.now())) == [RIGHT]
        with pytest.raises(GrantNotFound):
            bench.store.delete(grant, drafted(grant, AuditAction.RECORD_DELETED))


class TestDue:
    @pytest.mark.parametrize(("kind", "urgency"), [("REQUEST", Urgency.GRANT), ("BREAKGLASS", Urgency.EMERGENCY)])
    def test_new_grant_is_due_now(self, bench: AccessBench, kind: str, urgency: Urgency) -> None:
        bench.grant(kind=kind)
        assert bench.store.list_due(urgency, A_MOMENT) == (DueRight(RIGHT, A_MOMENT),)
        assert bench.store.list_due(urgency, A_MOMENT - SECOND) == ()
        assert [each for each in Urgency if bench.store.list_due(each, A_MOMENT)] == [urgency]

    def test_commit_says_when_it_is_due_again(self, bench: AccessBench) -> None:
        bench.grant()
        state = bench.state()
        later = A_MOMENT + HOUR
        state = bench.store.commit(state, state.holding.change(next_look_at=later, urgency=Urgency.LOOK))
        assert all(bench.store.list_due(each, later - SECOND) == () for each in Urgency)
        assert bench.store.list_due(Urgency.LOOK, later) == (DueRight(RIGHT, later),)
        bench.store.commit(state, state.holding.change(next_look_at=None))
        assert all(bench.store.list_due(each, later + HOUR) == () for each in Urgency)

    def test_nudge_makes_it_due_again_at_once(self, bench: AccessBench) -> None:
        grant = bench.grant()
        state = bench.state()
        bench.store.commit(state, state.holding.change(next_look_at=A_MOMENT + HOUR))
        bench.store.end([ended(grant)])
        assert _rights(bench.store.list_due(Urgency.REVOKE, A_MOMENT)) == [RIGHT]

    def test_longest_due_come_first_page_by_page(self, bench: AccessBench) -> None:
        # The last two are due at the same moment: then by the right's key.
        moments = [5, 3, 4, 1, 2, 2]
        for number, moment in enumerate(moments):
            state = bench.state(_person(number))
            bench.store.commit(state, state.holding.change(next_look_at=A_MOMENT + moment * SECOND))
        now = A_MOMENT + 4 * SECOND
        whole = bench.store.list_due(Urgency.LOOK, now)
        assert _rights(whole) == [_person(each) for each in (3, 4, 5, 1, 2)]
        paged: list[DueRight] = []
        while page := bench.store.list_due(Urgency.LOOK, now, limit=2, after=paged[-1] if paged else None):
            paged += page
            # What becomes of a right meanwhile doesn't matter to the next page.
            state = bench.state(page[-1].right)
            bench.store.commit(state, state.holding.change(next_look_at=None))
        assert tuple(paged) == whole
        assert bench.store.list_due(Urgency.LOOK, A_MOMENT, after=whole[-1]) == ()

    def test_limit_has_bounds(self, bench: AccessBench) -> None:
        for limit in (0, 1001):
            with pytest.raises(InvalidInput):
                bench.store.list_due(Urgency.LOOK, A_MOMENT, limit=limit)
            with pytest.raises(InvalidInput):
                bench.store.list_overdue(A_MOMENT, limit=limit)


class TestEnds:
    def _make(self, bench: AccessBench) -> dict[str, Grant]:
        """Grants that end after 1 to 4 minutes, one of them open, and one that ended early."""
        made = {}
        for number in range(1, 5):
            length = timedelta(minutes=number)
            made[str(number)] = bench.grant(number, right=_person(number), length=length)
        bench.open(made["2"])
        bench.store.end([ended(made["3"])])
        return made

    def test_overdue_are_those_whose_window_passed(self, bench: AccessBench) -> None:
        self._make(bench)
        now = A_MOMENT + timedelta(minutes=4)
        assert _rights(bench.store.list_overdue(now - SECOND)) == [_person(1), _person(2)]
        whole = bench.store.list_overdue(now)
        assert _rights(whole) == [_person(1), _person(2), _person(4)]
        assert whole[0].due_at == A_MOMENT + timedelta(minutes=1)
        assert bench.store.list_overdue(now, limit=1, after=whole[0]) == whole[1:2]
        assert bench.store.list_overdue(A_MOMENT) == ()

    def test_first_end_counts_what_is_ending(self, bench: AccessBench) -> None:
        assert bench.store.find_first_end() is None
        made = self._make(bench)
        assert bench.store.find_first_end() == A_MOMENT
        assert (bench.store.count_live(100), bench.store.count_live(2)) == (4, 2)
        bench.close(bench.store.get(GrantId(made["3"].id)))
        assert bench.store.find_first_end() == A_MOMENT + timedelta(minutes=1)
        for each in ("1", "2", "4"):
            bench.close(bench.store.get(GrantId(made[each].id)))
        assert bench.store.find_first_end() is None
        assert bench.store.count_live(100) == 0
        assert bench.store.list_overdue(A_MOMENT + HOUR) == ()


class TestLists:
    def test_lists_are_newest_first_page_by_page(self, bench: AccessBench) -> None:
        made = [bench.grant(each, right=_person(each), age=each * SECOND) for each in range(5)]
        by_status = bench.store.list_by_status(GrantStatus.PENDING, limit=2)
        paged = [*by_status.items]
        while by_status.cursor is not None:
            by_status = bench.store.list_by_status(GrantStatus.PENDING, limit=2, cursor=by_status.cursor)
            paged += by_status.items
        assert paged == made
        since = bench.store.list_by_profile(ProfileName("prod"), since=A_MOMENT - SECOND)
        assert list(since.items) == made[:2]

    def test_lists_are_of_what_they_say(self, bench: AccessBench) -> None:
        ann = bench.grant(1)
        bob = bench.grant(2, right=OTHER, grantee=UserId("U0BOB"), profile=ProfileName("staging"))
        closed = bench.close(ann)
        assert bench.store.list_by_person(UserId("U0BOB")).items == (bob,)
        assert bench.store.list_by_person(ann.grantee).items == (closed,)
        assert bench.store.list_by_profile(ProfileName("staging")).items == (bob,)
        assert bench.store.list_by_status(GrantStatus.ENDED).items == (closed,)
        assert bench.store.list_live().items == (bob,)

    def test_live_are_listed_until_they_are_final(self, bench: AccessBench) -> None:
        grants = [bench.grant(each, right=_person(each), age=each * SECOND) for each in range(4)]
        opened = bench.open(grants[0])
        (ending,) = bench.store.end([ended(grants[1])])
        final = bench.close(grants[2])
        live = bench.store.list_live(limit=2)
        assert live.items == (opened, ending)
        assert bench.store.list_live(limit=2, cursor=live.cursor).items == (grants[3],)
        assert not final.is_live

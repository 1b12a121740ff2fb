"""What only an engine can break: the transactions that make and end grants, the seals, and what is kept how long."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from core.access.grant import GrantId, GrantStatus
from core.access.holding import DORMANT_FOR, Holding, Urgency
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSALS_KIND, AuditAction
from core.break_glass import EventId
from core.errors import (
    BrokenSeal,
    ConcurrentModification,
    EventNotFound,
    GrantExists,
    GrantNotFound,
    MalformedRecord,
    RequestNotFound,
)  # fmt: skip
from core.request import RequestId, RequestStatus
from core.stores.base import DEFAULT_RETENTION, Replaced
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from core.usage import UsageLedger
from tests.builders import APPROVER, INVOKER, SECOND_APPROVER, a_draft, a_request, an_event
from tests.core.access.world import RIGHT
from tests.core.stores.access_bench import HOUR, OTHER, SECOND, AccessBench, created, drafted, ended, new_grant
from tests.core.stores.harness import DynamoHarness, SqliteHarness
from tests.core.stores.test_cut_replies import through
from tests.harness import faults
from tests.harness.clock import A_MOMENT
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.access.grant import Grant
    from core.request import Request
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness
    from tests.harness.clock import FrozenClock

THIRD: Final = RIGHT.model_copy(update={"principal": "cleo"})


@pytest.fixture
def bench(harness: StoreHarness) -> AccessBench:
    """Each engine in turn, empty."""
    return AccessBench.on(harness.stores, harness.clock)


def _approve(stores: Stores, request: Request, *grants: Grant) -> Request:
    approved = request.approve(APPROVER, A_MOMENT)
    entry = a_draft(AuditAction.REQUEST_APPROVED, actor=APPROVER, outcome="approved")
    return stores.requests.update(approved, entry, grants=[created(grant) for grant in grants])


def _is_untouched(stores: Stores, grant: Grant) -> bool:
    """True when no part of the grant was stored, and nobody was told that its right is due."""
    with pytest.raises(GrantNotFound):
        stores.access.get(GrantId(grant.id))
    state = stores.access.get_right(grant.right)
    return (state.grants, state.nudge) == ((), 0) and stores.audit.get_chain(grant.chain) == ()


class TestTransactions:
    def test_approval_makes_its_grant(self, harness: StoreHarness) -> None:
        stores, grant = harness.stores, new_grant()
        request = stores.requests.create(a_request(), a_draft())
        assert _approve(stores, request, grant).status is RequestStatus.APPROVED
        assert stores.access.get_right(RIGHT).grants[0].id == grant.id
        assert [each.event for each in stores.audit.get_chain(grant.chain)] == [AuditAction.GRANT_CREATED]
        assert grant.chain in {each.entry.chain for each in stores.outbox.iterate_due(A_MOMENT)}

    def test_one_approval_makes_several_grants(self, harness: StoreHarness) -> None:
        harness.exempt("dynamodb_local", "it takes ten writes in a transaction")
        grants = [new_grant(right=right) for right in (RIGHT, OTHER, THIRD)]
        request = harness.stores.requests.create(a_request(), a_draft())
        _approve(harness.stores, request, *grants)
        due = harness.stores.access.list_due(Urgency.GRANT, A_MOMENT)
        assert {each.right for each in due} == {RIGHT, OTHER, THIRD}

    def test_conflict_on_the_request_makes_no_grant(self, harness: StoreHarness) -> None:
        stores, grant = harness.stores, new_grant()
        request = stores.requests.create(a_request(required_approvals=2), a_draft())
        stores.requests.update(request.approve(SECOND_APPROVER, A_MOMENT), a_draft(AuditAction.APPROVAL_ADDED))
        with pytest.raises(ConcurrentModification, match="REQUEST"):
            _approve(stores, request, grant)
        assert _is_untouched(stores, grant)

    def test_grant_that_exists_leaves_the_request_pending(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant = bench.grant()
        request = harness.stores.requests.create(a_request(), a_draft())
        with pytest.raises(GrantExists):
            _approve(harness.stores, request, new_grant())
        assert harness.stores.requests.get(RequestId(request.id)) == request
        assert harness.stores.access.get(GrantId(grant.id)) == grant
        assert bench.state().nudge == 1

    def test_request_and_its_grant_are_made_together_or_not(self, harness: StoreHarness, bench: AccessBench) -> None:
        bench.grant()
        request = a_request()
        with pytest.raises(GrantExists):
            harness.stores.requests.create(request, a_draft(), grants=[created(new_grant())])
        with pytest.raises(RequestNotFound):
            harness.stores.requests.get(RequestId(request.id))

    def test_declaration_makes_its_grant_with_its_ledgers(self, harness: StoreHarness) -> None:
        stores, event, grant = harness.stores, an_event(), new_grant(kind="BREAKGLASS")
        ledger = UsageLedger.of_invoker(INVOKER)
        stores.break_glass.create(event, a_draft(), [ledger.add(event)], grants=[created(grant)])
        assert stores.access.list_due(Urgency.EMERGENCY, A_MOMENT)[0].right == RIGHT
        second, later = an_event(), new_grant(2, kind="BREAKGLASS", right=OTHER)
        with pytest.raises(ConcurrentModification):
            stores.break_glass.create(second, a_draft(), [ledger.add(second)], grants=[created(later)])
        assert _is_untouched(stores, later)
        with pytest.raises(EventNotFound):
            stores.break_glass.get(EventId(second.id))

    def test_declaration_over_a_request_makes_its_grant(self, harness: StoreHarness) -> None:
        harness.exempt("dynamodb_local", "it takes ten writes in a transaction")
        stores, grant = harness.stores, new_grant(kind="BREAKGLASS")
        request = stores.requests.create(a_request(requester=INVOKER), a_draft())
        replaced = Replaced(request.cancel(INVOKER, A_MOMENT), a_draft(AuditAction.REQUEST_CANCELLED))
        stores.break_glass.create(
            an_event(), a_draft(), [UsageLedger.of_invoker(INVOKER)], replacing=replaced, grants=[created(grant)]
        )
        assert stores.requests.get(RequestId(request.id)).status is RequestStatus.CANCELLED
        assert stores.access.get(GrantId(grant.id)).status is GrantStatus.PENDING

    def test_closing_ends_its_grant_or_changes_nothing(self, harness: StoreHarness, bench: AccessBench) -> None:
        stores, event = harness.stores, an_event()
        event = stores.break_glass.create(event, a_draft(), grants=[created(new_grant(kind="BREAKGLASS"))])
        stale = stores.access.get_right(RIGHT).grants[0]
        opened = bench.open(stale)
        closed = event.close(INVOKER, A_MOMENT + SECOND, "The checkout is up again")
        draft = a_draft(AuditAction.BREAK_GLASS_CLOSED)
        with pytest.raises(ConcurrentModification, match="GRANT"):
            stores.break_glass.update(closed, draft, ended=[ended(stale)])
        assert stores.break_glass.get(EventId(event.id)) == event
        stores.break_glass.update(closed, draft, ended=[ended(opened)])
        assert stores.access.get(GrantId(opened.id)).status is GrantStatus.ENDING
        assert stores.access.list_due(Urgency.REVOKE, A_MOMENT)[0].right == RIGHT

    def test_entries_of_one_commit_are_one_chain(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant = bench.grant()
        state = bench.state()
        opened = grant.open(A_MOMENT)
        told = [drafted(opened, AuditAction.GRANT_GIVEN), drafted(opened, AuditAction.GRANT_OPENED)]
        harness.stores.access.commit(state, state.holding, opened, told)
        chain = harness.stores.audit.get_chain(grant.chain)
        assert [each.seq for each in chain] == [1, 2, 3]
        assert chain[-1].digest == harness.stores.access.get(GrantId(grant.id)).audit_head


class TestSeals:
    def _alarms(self, harness: StoreHarness) -> list[str | None]:
        harness.stores.refusals.flush()
        chains = [name for name, _ in harness.stores.audit.iterate_chains() if name.startswith(REFUSALS_KIND)]
        return [entry.record for name in chains for entry in harness.stores.audit.get_chain(name)]

    @pytest.mark.parametrize("change", [{"is_ours": True}, {"seal": None}, {"standing": True, "seal": "0:0"}])
    def test_changed_holding_is_not_believed(
        self, harness: StoreHarness, bench: AccessBench, change: dict[str, object]
    ) -> None:
        opened = bench.open(bench.grant())
        harness.spoil_holding(RIGHT, change)
        state = harness.stores.access.get_right(RIGHT)
        assert (state.is_lost, state.holding, state.grants) == (True, Holding.empty(RIGHT), (opened,))
        assert self._alarms(harness) == [f"HOLDING#{RIGHT}"]
        (_, found), *_ = harness.stores.access.scan_holdings()
        assert isinstance(found, BrokenSeal)

    def test_holding_that_changed_since_it_was_read_stays(self, harness: StoreHarness, bench: AccessBench) -> None:
        bench.open(bench.grant())
        state = bench.state()
        harness.spoil_holding(RIGHT, {"seal": "0:0"})
        with pytest.raises(ConcurrentModification):
            harness.stores.access.commit(state, state.holding.change(failures=1))

    def test_holding_of_another_right_is_refused(self, harness: StoreHarness, bench: AccessBench) -> None:
        for right in (RIGHT, OTHER):
            state = bench.state(right)
            harness.stores.access.commit(state, state.holding)
        harness.spoil_holding(RIGHT, harness.stored_holding(OTHER) or {})
        assert harness.stores.access.get_right(RIGHT).is_lost

    def test_changed_grant_is_refused_wherever_it_is_read(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant, other = bench.grant(1), bench.grant(2, right=OTHER)
        harness.spoil(grant, {"decided_by": "U0MALLORY"})
        store = harness.stores.access
        with pytest.raises(BrokenSeal):
            store.get(GrantId(grant.id))
        state = store.get_right(RIGHT)
        assert (state.grants, state.unreadable) == ((), (grant.id,))
        assert store.get_each([grant.id, other.id]) == (other,)
        assert (store.list_live().items, store.list_live().malformed) == ((other,), (grant.id,))
        assert list(store.iterate()) == [other]
        found = store.find_many([grant.id, other.id])
        changed = found[grant.id]
        assert not isinstance(changed, MalformedRecord)
        assert changed.as_read.problems
        assert set(self._alarms(harness)) == {grant.chain}

    def test_unreadable_grant_hides_no_other(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant, other = bench.grant(1), bench.grant(2, right=OTHER)
        harness.make_unreadable(grant)
        assert harness.stores.access.get_right(RIGHT).unreadable == (grant.id,)
        assert harness.stores.access.get_right(OTHER).grants == (other,)
        assert harness.stores.access.list_live().malformed == (grant.id,)
        assert len(harness.stores.access.list_due(Urgency.GRANT, A_MOMENT)) == 2

    def test_unreadable_due_row_takes_no_other_row_place(self, harness: StoreHarness, bench: AccessBench) -> None:
        for number, right in enumerate((RIGHT, OTHER, THIRD)):
            bench.grant(number, right=right)
            bench.clock.advance(SECOND)
        harness.damage_due(RIGHT)
        found = harness.stores.access.list_due(Urgency.GRANT, bench.clock.now(), limit=2)
        assert [each.right for each in found] == [OTHER, THIRD]

    def test_grant_counts_only_for_its_own_right(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant = bench.grant(1)
        state = bench.state(OTHER)
        harness.stores.access.commit(state, state.holding.change(last_grant=grant.id))
        assert harness.stores.access.get_right(OTHER).grants == ()

    def test_scan_names_what_would_never_be_looked_at(self, harness: StoreHarness, bench: AccessBench) -> None:
        for right in (RIGHT, OTHER):
            state = bench.state(right)
            harness.stores.access.commit(state, state.holding.change(next_look_at=A_MOMENT))
        harness.forget_due(OTHER)
        found = dict(harness.stores.access.scan_holdings())
        problems = {key: each.as_read.problems for key, each in found.items() if isinstance(each, Holding)}
        assert problems[str(RIGHT)] == ()
        assert len(problems[str(OTHER)]) == 1

    def test_rotated_key_seals_live_grants_and_holdings_anew(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant = bench.open(bench.grant())
        bench.grant(2, right=OTHER)
        before = harness.stored_holding(RIGHT)
        harness.settings = StoreSettings(AuditKeyring.from_text(f"{OTHER_AUDIT_KEY},{AUDIT_KEY}"), clock=harness.clock)
        stores = harness.open()
        state = stores.access.get_right(RIGHT)
        # The grant that opened and its holding, the other grant, and the two requests of the bench.
        assert stores.reseal() == 5
        assert stores.reseal() == 0
        harness.settings = StoreSettings(AuditKeyring.from_text(OTHER_AUDIT_KEY), clock=harness.clock)
        alone = harness.open()
        assert alone.access.get_right(RIGHT) == state
        assert alone.access.get(GrantId(grant.id)) == grant
        assert harness.stored_holding(RIGHT) != before
        with pytest.raises(ConcurrentModification):
            # Read before it was sealed anew.
            stores.access.commit(state, state.holding)

    def test_newer_fields_of_a_holding_are_kept(self, harness: StoreHarness) -> None:
        store = harness.stores.access
        state = store.get_right(RIGHT)
        store.commit(state, state.holding.change(newer='{"colour": "green"}'))
        later = store.get_right(RIGHT)
        store.commit(later, later.holding.change(failures=1))
        stored = harness.stored_holding(RIGHT) or {}
        assert (stored["colour"], stored["failures"]) == ("green", 1)


class TestLostAnswers:
    @pytest.mark.parametrize("after_bytes", [0, -1])
    def test_lost_answer_of_a_commit_is_found_again(self, dynamo: DynamoHarness, after_bytes: int) -> None:
        bench = AccessBench.on(dynamo.stores, dynamo.clock)
        grant = bench.grant()
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            state = stores.access.get_right(RIGHT)
            proxy.next(faults.CutReply(after_bytes), only="UpdateItem")
            state = stores.access.commit(state, state.holding.change(failures=1))
            proxy.next(faults.CutReply(after_bytes), only="TransactWriteItems")
            opened = grant.open(A_MOMENT)
            state = stores.access.commit(state, state.holding, opened, [drafted(opened, AuditAction.GRANT_OPENED)])
            assert state == bench.state()
            proxy.next(faults.CutReply(after_bytes), only="TransactWriteItems")
            (early,) = stores.access.end([ended(state.grants[0])])
        assert early == dynamo.stores.access.get(GrantId(grant.id))
        assert len(dynamo.stores.audit.get_chain(grant.chain)) == 3

    def test_commit_of_another_worker_is_not_ours(self, dynamo: DynamoHarness) -> None:
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            state = stores.access.get_right(RIGHT)
            dynamo.stores.access.commit(state, state.holding.change(failures=1))
            proxy.next(faults.CutReply(0), only="UpdateItem")
            with pytest.raises(ConcurrentModification):
                stores.access.commit(state, state.holding.change(failures=2))

    def test_lost_answer_of_an_approval_makes_one_grant(self, dynamo: DynamoHarness) -> None:
        grant = new_grant()
        request = dynamo.stores.requests.create(a_request(), a_draft())
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            proxy.next(faults.CutReply(0), only="TransactWriteItems")
            assert _approve(stores, request, grant).status is RequestStatus.APPROVED
        state = dynamo.stores.access.get_right(RIGHT)
        assert ([each.id for each in state.grants], state.nudge) == ([grant.id], 1)


class TestRetention:
    def test_final_grant_is_kept_as_promised(self, harness: StoreHarness, bench: AccessBench) -> None:
        live, final = bench.grant(1), bench.close(bench.grant(2, right=OTHER))
        end = A_MOMENT + DEFAULT_RETENTION
        if isinstance(harness, DynamoHarness):
            ttls = [(harness.stored(each) or {}).get("ttl") for each in (live, final)]
            assert ttls == [None, int(end.timestamp())]
            return
        stores = harness.stores
        assert isinstance(stores, SqliteStores)
        stores.purge(end - SECOND)
        assert {each.id for each in stores.access.iterate()} == {live.id, final.id}
        stores.purge(end + SECOND)
        assert [each.id for each in stores.access.iterate()] == [live.id]

    def test_dormant_holding_is_forgotten_until_a_nudge(self, harness: StoreHarness, bench: AccessBench) -> None:
        grant = bench.grant()
        bench.move(grant.open(A_MOMENT), AuditAction.GRANT_OPENED, next_look_at=None, seen_at=A_MOMENT)
        assert harness.kept_until(RIGHT) is None
        final = bench.close(bench.state().grants[0])
        assert not final.is_live
        kept_until = harness.kept_until(RIGHT)
        assert kept_until is not None
        # DynamoDB counts in whole seconds.
        assert abs(kept_until - A_MOMENT - DORMANT_FOR) < SECOND
        if isinstance(harness.stores, SqliteStores):
            harness.stores.purge(kept_until - SECOND)
            assert harness.stored_holding(RIGHT) is not None
        bench.grant(2)
        assert harness.kept_until(RIGHT) is None
        if isinstance(harness.stores, SqliteStores):
            harness.stores.purge(kept_until)
        assert harness.stored_holding(RIGHT) is not None

    def test_holding_that_is_due_is_kept(self, harness: StoreHarness, bench: AccessBench) -> None:
        state = bench.state()
        harness.stores.access.commit(state, state.holding.change(next_look_at=A_MOMENT + HOUR))
        assert harness.kept_until(RIGHT) is None


class TestSqliteFile:
    def test_file_of_an_older_version_gains_the_tables(self, tmp_path: Path, clock: FrozenClock) -> None:
        harness = SqliteHarness(tmp_path / "older.db", clock)
        harness.close()
        with closing(sqlite3.connect(harness.path)) as connection, connection:
            connection.execute("DROP TABLE grants")
            connection.execute("DROP TABLE holdings")
        bench = AccessBench.on(harness.open(), clock)
        assert bench.state().grants == ()
        bench.grant()
        names = {name for (name,) in harness.ask("SELECT name FROM sqlite_master WHERE type = 'index'")}
        harness.close()
        assert {"grants_by_right", "grants_by_end", "grants_by_awaits", "holdings_due"} <= names

    @pytest.mark.parametrize(
        ("ask", "index"),
        [
            (lambda bench: bench.store.list_due(Urgency.GRANT, A_MOMENT), "holdings_due"),
            (lambda bench: bench.store.list_overdue(A_MOMENT), "grants_by_end"),
            (lambda bench: bench.store.find_first_end(), "grants_by_end"),
            (lambda bench: bench.store.list_live(), "grants_by_awaits"),
            (lambda bench: bench.state(), "grants_by_right"),
        ],
        ids=["due", "overdue", "first end", "live", "right"],
    )  # fmt: skip
    def test_each_read_uses_its_index(
        self, tmp_path: Path, clock: FrozenClock, ask: Callable[[AccessBench], object], index: str
    ) -> None:
        harness = SqliteHarness(tmp_path / "countersign.db", clock)
        bench = AccessBench.on(harness.stores, clock)
        statements: list[str] = []
        with harness.stores.access._database.read() as connection:  # type: ignore[attr-defined]  # noqa: SLF001
            connection.set_trace_callback(statements.append)
        ask(bench)
        plans = [
            str(harness.ask(f"EXPLAIN QUERY PLAN {each}"))
            for each in statements
            if "grants" in each or "due_at" in each
        ]
        harness.close()
        assert plans
        assert all(index in plan for plan in plans)
        assert not any("SCAN" in plan for plan in plans)


def test_reads_cost_the_same_however_much_is_held(dynamo: DynamoHarness) -> None:
    """Counted calls, none of which looks at what isn't due."""
    bench = AccessBench.on(dynamo.stores, dynamo.clock)
    costs, made, right = [], 0, RIGHT
    for live in (1, 10, 40):
        while made < live:
            made += 1
            right = RIGHT.model_copy(update={"principal": f"person-{made}"})
            bench.grant(made, right=right)
            state = bench.state(right)
            bench.store.commit(state, state.holding.change(next_look_at=A_MOMENT + HOUR))
        with dynamo.calls() as calls:
            assert bench.store.list_overdue(A_MOMENT) == ()
            assert all(bench.store.list_due(each, A_MOMENT) == () for each in Urgency)
            bench.state()
            bench.state(right)
            bench.store.find_first_end()
        costs.append([(name, "FilterExpression" in params) for name, params in calls])
    assert costs[0] == costs[1] == costs[2]
    names = ["Query"] * (1 + len(Urgency)) + ["GetItem"] + ["GetItem", "BatchGetItem"] + ["Query"] * 2
    assert costs[0] == [(name, False) for name in names]


def test_right_costs_its_live_grants_not_its_past_ones(dynamo: DynamoHarness) -> None:
    bench = AccessBench.on(dynamo.stores, dynamo.clock)
    for number in range(4):
        bench.close(bench.grant(number))
    live = bench.grant(9)
    with dynamo.calls() as calls:
        assert [each.id for each in bench.state().grants] == [live.id]
    (keys,) = (params["RequestItems"] for name, params in calls if name == "BatchGetItem")
    assert [len(each["Keys"]) for each in keys.values()] == [1]


def test_change_between_the_two_reads_is_caught(dynamo: DynamoHarness) -> None:
    """The holding is read first: a state that is half old is good for no commit."""
    bench = AccessBench.on(dynamo.stores, dynamo.clock)
    grant = bench.grant()
    others = [lambda: dynamo.stores.access.end([ended(grant)])]

    def act(**_: object) -> None:
        if others:
            others.pop()()

    events, event = dynamo.client.meta.events, "before-call.dynamodb.BatchGetItem"
    events.register(event, act)
    state = bench.state()
    events.unregister(event, act)
    assert not others
    with pytest.raises(ConcurrentModification):
        dynamo.stores.access.commit(state, state.holding.change(failures=1))

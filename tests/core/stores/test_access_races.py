"""Threads of several instances that decide about one right at once: one of them wins, and nobody's grant is missed.

COUNTERSIGN_RACE_ROUNDS sets the rounds. Moto handles one request at a time, so there a round shows only that it agrees.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from core.access.grant import GrantId, GrantStatus
from core.access.holding import OperationKind, Urgency
from core.audit.trail import AuditAction
from core.errors import CountersignError
from core.request import RequestId
from tests.builders import APPROVER, SECOND_APPROVER, a_draft, a_request
from tests.core.access.world import RIGHT
from tests.core.stores.access_bench import AccessBench, created, drafted, ended, new_grant
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.access.grant import Grant
    from core.access.right import Right
    from core.actor import UserId
    from core.request import Request
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

ROUNDS: Final = int(os.environ.get("COUNTERSIGN_RACE_ROUNDS", "0")) or 6

pytestmark = pytest.mark.race


@pytest.fixture
def instances(harness: StoreHarness) -> list[Stores]:
    """Three running bots on one store."""
    return [harness.open() for _ in range(3)]


def _rights(harness: StoreHarness) -> list[Right]:
    rounds = 1 if harness.name == "moto" else ROUNDS
    return [RIGHT.model_copy(update={"principal": f"person-{number}"}) for number in range(rounds)]


def _race(*attempts: Callable[[], object]) -> list[int]:
    """Those who got what they wanted, by their number."""
    start = threading.Barrier(len(attempts))

    def run(number: int) -> int | None:
        start.wait()
        try:
            attempts[number]()
        except CountersignError:
            return None
        return number

    with ThreadPoolExecutor(len(attempts)) as threads:
        return [each for each in threads.map(run, range(len(attempts))) if each is not None]


def _approve(stores: Stores, request: Request, voter: UserId, grant: Grant) -> None:
    read = stores.requests.get(RequestId(request.id))
    entry = a_draft(AuditAction.REQUEST_APPROVED, actor=voter, outcome="approved")
    stores.requests.update(read.approve(voter, A_MOMENT), entry, grants=[created(grant)])


def _open(stores: Stores, right: Right) -> None:
    """A worker that saw the right in its target."""
    state = stores.access.get_right(right)
    opened = state.grants[0].open(A_MOMENT)
    stores.access.commit(state, state.holding, opened, [drafted(opened, AuditAction.GRANT_OPENED)])


def _begin(stores: Stores, right: Right, worker: str) -> None:
    """A worker that is about to give."""
    state = stores.access.get_right(right)
    stores.access.commit(state, state.holding.begin(OperationKind.GIVE, state.grants[0].id, worker, A_MOMENT))


def _rest(stores: Stores, right: Right) -> None:
    """A worker that finds nothing to do."""
    state = stores.access.get_right(right)
    if not state.grants:
        stores.access.commit(state, state.holding.change(next_look_at=None))


def test_two_deciding_votes_make_one_grant(harness: StoreHarness, instances: list[Stores]) -> None:
    one, two, _ = instances
    for right in _rights(harness):
        request = harness.stores.requests.create(a_request(), a_draft())
        grant = new_grant(right=right)
        winners = _race(
            partial(_approve, one, request, APPROVER, grant), partial(_approve, two, request, SECOND_APPROVER, grant)
        )
        assert len(winners) == 1
        state = harness.stores.access.get_right(right)
        assert ([each.id for each in state.grants], state.nudge) == ([grant.id], 1)
        assert len(harness.stores.audit.get_chain(grant.chain)) == 1


def test_early_end_and_commit_of_a_worker_exclude_each_other(harness: StoreHarness, instances: list[Stores]) -> None:
    bench = AccessBench.on(harness.stores, harness.clock)
    one, two, three = instances
    for number, right in enumerate(_rights(harness)):
        grant = bench.grant(number, right=right)
        end = partial(one.access.end, [ended(grant)])
        winners = _race(end, partial(_open, two, right), partial(_open, three, right))
        assert len(winners) == 1
        stored = harness.stores.access.get(GrantId(grant.id))
        assert stored.status is (GrantStatus.ENDING if winners == [0] else GrantStatus.ACTIVE)
        due = {each.right for each in harness.stores.access.list_due(Urgency.REVOKE, A_MOMENT)}
        assert (right in due) == (winners == [0])


def test_each_worker_that_begins_has_seen_the_one_before(harness: StoreHarness, instances: list[Stores]) -> None:
    bench = AccessBench.on(harness.stores, harness.clock)
    for number, right in enumerate(_rights(harness)):
        bench.grant(number, right=right)
        winners = _race(*(partial(_begin, each, right, f"worker-{at}") for at, each in enumerate(instances)))
        holding = harness.stores.access.get_right(right).holding
        assert holding.lease is not None
        assert holding.lease.holder in {f"worker-{each}" for each in winners}
        assert holding.generation == len(winners) > 0


def test_grant_made_while_workers_rest_is_due(harness: StoreHarness, instances: list[Stores]) -> None:
    one, two, three = instances
    bench = AccessBench.on(three, harness.clock)
    for number, right in enumerate(_rights(harness)):
        _race(partial(_rest, one, right), partial(bench.grant, number, right=right), partial(_rest, two, right))
        assert len(harness.stores.access.get_right(right).grants) == 1
        assert right in {each.right for each in harness.stores.access.list_due(Urgency.GRANT, A_MOMENT)}

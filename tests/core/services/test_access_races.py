"""Approvals, early ends and the reconciler at the same time: afterwards there is one story, and nothing is left behind.

Invariant: each contestant has a connection of its own to one SQLite file, as two processes have.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from core.break_glass import EventStatus
from core.errors import CountersignError, InvalidStateTransition
from core.services import BreakGlassService, GrantService, RequestService
from core.stores import Stores, open_stores
from tests.builders import HOUR
from tests.core.services.access_harness import ADA, Targets, statuses, with_access
from tests.core.services.harness import ANN, BOB, DEPLOY, RITA, ChangingPolicy, event_id_of, invoke, request_id_of
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory

ROUNDS: Final = int(os.environ.get("COUNTERSIGN_RACE_ROUNDS", "10"))
WHY: Final = "The deploy is over"


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy whose profiles give rights."""
    return with_access()


@pytest.fixture
def second_stores(tmp_path: Path, stores: Stores, clock: FrozenClock) -> Iterator[Stores]:
    """The same file, opened again."""
    _ = stores
    with closing(open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)) as second:
        yield second


def at_once(*contestants: Callable[[], object]) -> list[object]:
    """What became of each: what it returned, or the error."""
    barrier, results = threading.Barrier(len(contestants)), [object()] * len(contestants)

    def run(number: int, contestant: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[number] = contestant()
        except CountersignError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(contestants)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_approval_while_a_person_is_revoked(
    stores: Stores,
    second_stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    requests: RequestService,
    directory: OfficeDirectory,
) -> None:
    other = RequestService(second_stores, policy, clock, directory=directory)
    service, targets = GrantService(stores, policy, clock), Targets(stores, clock)
    for _ in range(ROUNDS):
        pending = request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY))
        approved, ends = at_once(
            lambda pending=pending: other.approve(pending, ANN),  # type: ignore[misc]
            lambda: service.revoke_person(RITA.id, ADA, WHY),
        )
        chain = f"REQUEST#{pending}"
        (grant,) = service.find(chain)
        # Either it was found and ended, or it was decided after the person was looked for, and stands.
        assert (grant.ended_early is not None) == (chain in ends.ended), (approved, ends)  # type: ignore[attr-defined]
        service.revoke_person(RITA.id, ADA, WHY)
        targets.reconcile()
        assert (targets.held, statuses(service.find(chain))) == (set(), ["ended"])


def test_close_while_the_reconciler_commits(
    stores: Stores, second_stores: Stores, policy: ChangingPolicy, clock: FrozenClock, break_glass: BreakGlassService
) -> None:
    closer, targets = BreakGlassService(second_stores, policy, clock), Targets(stores, clock)
    grants = GrantService(stores, policy, clock)
    for _ in range(ROUNDS):
        event = invoke(break_glass)
        closed, _answer = at_once(
            lambda event=event: closer.close(event_id_of(event), ANN, WHY),  # type: ignore[misc]
            targets.reconcile,
        )
        assert getattr(closed, "status", closed) is EventStatus.CLOSED
        assert {grant.ended_early is not None for grant in grants.find(event.chain)} == {True}
        # The event is over, and so are the limits on the next one.
        clock.advance(25 * HOUR)
        targets.reconcile()
        assert targets.held == set()


def test_two_who_end_it_at_once_agree(
    stores: Stores, second_stores: Stores, policy: ChangingPolicy, clock: FrozenClock, requests: RequestService
) -> None:
    mine, theirs = GrantService(stores, policy, clock), GrantService(second_stores, policy, clock)
    for _ in range(ROUNDS):
        pending = request_id_of(requests.submit(RITA, "prod", HOUR, DEPLOY))
        requests.approve(pending, ANN)
        chain = requests.approve(pending, BOB).chain
        results = at_once(
            lambda chain=chain: mine.end(chain, RITA),  # type: ignore[misc]
            lambda chain=chain: theirs.revoke(chain, ADA, WHY),  # type: ignore[misc]
        )
        refused = [each for each in results if isinstance(each, InvalidStateTransition)]
        ended_by = {grant.ended_early.by for grant in mine.find(chain) if grant.ended_early is not None}
        assert len(refused) == 1, results
        assert {refused[0].decided_by} == ended_by

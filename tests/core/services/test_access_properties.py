"""The properties of the grant machine that begin with a decision, through the services and a reconciler.

The numbers are those of the list of properties; tests/core/access/test_properties.py has the others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from core.access.grant import GrantStatus
from core.audit.trail import AuditAction, EntryDraft
from core.errors import GrantExists, LimitReached
from core.request import Request, RequestStatus
from core.services import BreakGlassService, GrantService, RequestService
from core.services.granting import grants_of_request
from core.stores import Stores
from core.targets.base import Held
from tests.builders import HOUR
from tests.core.services.access_harness import (
    ADA,
    DB,
    QUEUE,
    KnownPrincipals,
    Targets,
    change_access,
    right,
    rights_of_prod,
    statuses,
    with_access,
)
from tests.core.services.harness import (
    ANN,
    BOB,
    DEPLOY,
    RITA,
    ChangingPolicy,
    invoke,
    request_id_of,
)
from tests.harness.clock import FrozenClock

MINUTE: Final = timedelta(minutes=1)


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy whose profiles give rights."""
    return with_access()


def approve(requests: RequestService, profile: str = "staging", length: timedelta = HOUR) -> Request:
    """RITA's request, approved."""
    pending = request_id_of(requests.submit(RITA, profile, length, DEPLOY))
    approved = requests.approve(pending, ANN)
    return approved if profile == "staging" else requests.approve(pending, BOB)


def test_05_grant_is_durable_before_the_first_call(requests: RequestService, stores: Stores, targets: Targets) -> None:
    approved = approve(requests)
    stored: list[tuple[RequestStatus, GrantStatus]] = []

    def give() -> Held:
        (grant,) = stores.access.list_live().items
        stored.append((stores.requests.get(request_id_of(approved)).status, grant.status))
        return targets.aws.put(right("rita"))

    targets.aws.script["give"].append(give)
    assert targets.aws.calls == []
    targets.reconcile()
    assert stored == [(RequestStatus.APPROVED, GrantStatus.PENDING)]
    assert targets.held == {right("rita")}


def test_05_no_approval_without_its_grants(requests: RequestService, stores: Stores, clock: FrozenClock) -> None:
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    request_id = request_id_of(pending)
    voted = requests.approve(request_id, ANN)
    approved = voted.approve(BOB.id, clock.now())
    # Somebody puts the last of its grants into the store, where only this approval may put it.
    _, last = grants_of_request(approved)
    reminded = requests.submit(RITA, "staging", HOUR, DEPLOY).remind(clock.now())
    entry = EntryDraft.of(reminded, AuditAction.REQUEST_REMINDED, "clock")
    stores.requests.update(reminded, entry, grants=(last,))
    with pytest.raises(GrantExists):
        requests.approve(request_id, BOB)
    assert stores.requests.get(request_id) == voted
    assert [grant.id for grant in stores.access.list_live().items] == [last.grant.id]


def test_07_one_decision_makes_one_grant(requests: RequestService, stores: Stores, targets: Targets) -> None:
    first = approve(requests)
    for _ in range(3):
        assert requests.approve(request_id_of(first), ANN) == first
        targets.reconcile()
    assert len(stores.access.list_live().items) == 1
    assert targets.aws.count("give") == 1


def test_13_slow_opening_moves_no_end(
    requests: RequestService, grants: GrantService, targets: Targets, clock: FrozenClock
) -> None:
    approved = approve(requests)
    ends_at = approved.access_ends_at
    assert ends_at is not None
    clock.advance(50 * MINUTE)
    targets.reconcile()
    (grant,) = grants.find(approved.chain)
    assert (grant.opened_at, grant.ends_at) == (clock.now(), ends_at)
    clock.set(ends_at)
    targets.reconcile()
    assert targets.held == set()


@pytest.mark.parametrize("cause", ["done", "revoked", "person", "departed", "closed"])
def test_14_every_early_end_takes_at_once(
    requests: RequestService,
    break_glass: BreakGlassService,
    grants: GrantService,
    targets: Targets,
    clock: FrozenClock,
    cause: str,
) -> None:
    decided = invoke(break_glass) if cause == "closed" else approve(requests)
    targets.reconcile()
    assert targets.held == set(decided.rights)
    clock.advance(MINUTE)
    match cause:
        case "done":
            grants.end(decided.chain, RITA)
        case "revoked":
            grants.revoke(decided.chain, BOB, "Not now")
        case "person":
            grants.revoke_person(RITA.id, ADA, "Not now")
        case "departed":
            grants.end_departed(RITA.id)
        case _:
            grants.end(decided.chain, ANN)
    targets.reconcile()
    assert targets.held == set()


def test_15_extension_in_time_has_no_gap(
    requests: RequestService, targets: Targets, clock: FrozenClock, grants: GrantService
) -> None:
    first = approve(requests)
    targets.reconcile()
    clock.advance(HOUR - timedelta(seconds=1))
    second = approve(requests)
    (grant,) = grants.find(second.chain)
    assert grant.starts_at == second.decided_at == clock.now()
    clock.advance(timedelta(seconds=1))
    targets.reconcile()
    assert (targets.held, targets.aws.count("take")) == ({right("rita")}, 0)
    assert statuses(grants.find(first.chain)) == ["ended"]
    clock.advance(HOUR)
    targets.reconcile()
    assert targets.held == set()


def test_15_open_access_is_no_open_request(requests: RequestService) -> None:
    approve(requests)
    pending = requests.submit(RITA, "staging", HOUR, DEPLOY)
    assert pending.status is RequestStatus.PENDING
    with pytest.raises(LimitReached, match="open request"):
        requests.submit(RITA, "staging", HOUR, DEPLOY)


def test_15_ending_one_decision_leaves_the_other(
    requests: RequestService, targets: Targets, grants: GrantService
) -> None:
    first, second = approve(requests), approve(requests, "prod")
    targets.reconcile()
    grants.end(first.chain, RITA)
    targets.reconcile()
    assert targets.held == set(rights_of_prod("rita"))
    grants.end(second.chain, RITA)
    targets.reconcile()
    assert targets.held == set()


def test_19_person_is_found_once_and_kept(
    requests: RequestService,
    targets: Targets,
    principals: KnownPrincipals,
    grants: GrantService,
    policy: ChangingPolicy,
) -> None:
    pending = request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY))
    principals.names["aws"] = "renamed"
    approved = requests.approve(pending, ANN)
    targets.reconcile()
    assert targets.held == {right("rita")}
    change_access(policy, {"U0RITA: {aws: rita}": "U0RITA: {aws: renamed}"})
    grants.end(approved.chain, RITA)
    targets.reconcile()
    assert targets.held == set()
    assert len(principals.asked) == 1


@pytest.mark.parametrize("is_gone", ["right", "profile"])
def test_20_policy_change_strands_no_grant(
    requests: RequestService, targets: Targets, grants: GrantService, policy: ChangingPolicy, is_gone: str
) -> None:
    approved = approve(requests, "prod")
    targets.reconcile()
    if is_gone == "right":
        change_access(policy, {DB: QUEUE})
    else:
        change_access(policy, {"prod: {description: Production": "other: {description: Production",
                               "profiles: [prod]": "profiles: [other]",
                               "profiles: [prod, staging]": "profiles: [other, staging]"})  # fmt: skip
    assert [grant.source for grant in grants.list_live(RITA).items] == [approved.chain] * 2
    grants.revoke(approved.chain, ADA, "The profile is gone")
    targets.reconcile()
    assert targets.held == set()

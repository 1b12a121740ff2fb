"""A decision makes its grants in its own transaction, for the rights that were found before anything was written."""

from __future__ import annotations

import threading

import pytest

from core.access.grant import grant_id_for
from core.access.principals import PrincipalUnavailable, PrincipalUnknown
from core.access.right import right_key
from core.actor import ProfileName
from core.audit.trail import AuditAction
from core.errors import NotAllowed
from core.request import Request, RequestStatus
from core.services import BreakGlassService, GrantService, RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.access_harness import (
    DB,
    QUEUE,
    SHOP,
    UNKNOWN,
    KnownPrincipals,
    change_access,
    right,
    rights_of_prod,
    statuses,
    with_access,
)
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    EVE,
    INCIDENT,
    OUTAGE,
    RITA,
    STRANGER,
    ChangingPolicy,
    by,
    invoke,
    noted,
    request_id_of,
    trail,
)
from tests.harness.clock import FrozenClock


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy whose profiles give rights."""
    return with_access()


@pytest.fixture
def approved(requests: RequestService) -> Request:
    """RITA's request for prod, approved by two."""
    pending = request_id_of(requests.submit(RITA, "prod", 2 * HOUR, DEPLOY))
    requests.approve(pending, ANN)
    return requests.approve(pending, BOB)


def test_rights_are_fixed_when_access_is_requested(
    requests: RequestService, stores: Stores, principals: KnownPrincipals
) -> None:
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    assert pending.rights == rights_of_prod("rita")
    (entry,) = stores.audit.get_chain(pending.chain)
    assert entry.details["rights"] == [right_key(each) for each in pending.rights]
    assert principals.asked == [("aws", RITA.id, False), ("shop", RITA.id, False)]


def test_approval_makes_a_grant_of_each_right(requests: RequestService, stores: Stores, clock: FrozenClock) -> None:
    pending = requests.submit(RITA, "prod", 2 * HOUR, DEPLOY)
    requests.approve(request_id_of(pending), ANN)
    assert stores.access.list_live().items == ()
    decided_at = clock.advance(HOUR)
    approved = requests.approve(request_id_of(pending), BOB)
    grants = [stores.access.get(grant_id_for(approved.chain, each)) for each in approved.rights]
    assert [(grant.starts_at, grant.ends_at) for grant in grants] == [(decided_at, approved.access_ends_at)] * 2
    assert {(grant.grantee, grant.profile, grant.decided_by, grant.rule or "") for grant in grants} == {
        (RITA.id, ProfileName("prod"), by(BOB), "prod")
    }
    assert [trail(stores, grant) for grant in grants] == [[("grant_created", BOB.id)]] * 2


def test_grants_last_as_long_as_the_shortest_vote_gave(
    requests: RequestService, stores: Stores, clock: FrozenClock
) -> None:
    pending = requests.submit(RITA, "prod", 2 * HOUR, DEPLOY)
    requests.approve(request_id_of(pending), ANN, duration=HOUR / 2)
    approved = requests.approve(request_id_of(pending), BOB)
    grants = [stores.access.get(grant_id_for(approved.chain, each)) for each in approved.rights]
    assert {(grant.starts_at, grant.ends_at) for grant in grants} == {(clock.now(), clock.now() + HOUR / 2)}


def test_rights_are_those_of_the_person_whom_somebody_asked_for(
    requests: RequestService, stores: Stores, principals: KnownPrincipals
) -> None:
    asked = requests.submit(ANN, "prod", HOUR, DEPLOY, on_behalf_of=RITA)
    assert (asked.rights, {who for _, who, _ in principals.asked}) == (rights_of_prod("rita"), {RITA.id})
    assert stores.access.list_live().items == ()


def test_a_second_vote_makes_no_second_grant(requests: RequestService, stores: Stores, approved: Request) -> None:
    before = stores.access.list_live().items
    assert requests.approve(request_id_of(approved), BOB) == approved
    requests.approve(request_id_of(approved), ANN)
    assert stores.access.list_live().items == before


def test_automatic_approval_makes_grants_at_once(requests: RequestService, grants: GrantService) -> None:
    approved = requests.submit(EVE, "staging", HOUR, DEPLOY)
    assert approved.status is RequestStatus.APPROVED
    (grant,) = grants.find(approved.chain)
    assert (grant.right, grant.decided_by) == (right("eve"), "policy:staging")


def test_same_submission_again_makes_nothing_new(
    requests: RequestService, stores: Stores, principals: KnownPrincipals
) -> None:
    first = requests.submit(EVE, "staging", HOUR, DEPLOY, idempotency_key="a")
    principals.names["aws"] = "somebody-else"
    assert requests.submit(EVE, "staging", HOUR, DEPLOY, idempotency_key="a") == first
    assert len(stores.access.list_live().items) == 1


def test_profile_without_access_stays_decision_only(
    requests: RequestService, stores: Stores, principals: KnownPrincipals
) -> None:
    pending = requests.submit(CLEO, "vault", HOUR, DEPLOY)
    approved = requests.approve(request_id_of(pending), ANN)
    assert (approved.rights, stores.access.list_live().items, principals.asked) == ((), (), [])


@pytest.mark.parametrize("problem", [UNKNOWN, PrincipalUnavailable("aws", "AWS doesn't answer. Try again.")])
def test_unknown_person_is_refused_before_anything_is_written(
    requests: RequestService, stores: Stores, principals: KnownPrincipals, problem: Exception
) -> None:
    principals.refusals["aws"] = problem
    with pytest.raises(type(problem), match="aws: "):
        requests.submit(RITA, "prod", HOUR, DEPLOY)
    assert list(stores.requests.iterate()) == []
    (refusal,) = noted(stores)
    assert (refusal.event, refusal.profile) == (AuditAction.SUBMIT_REFUSED, "prod")
    assert refusal.details["why"] == str(problem)
    principals.refusals.clear()
    assert requests.submit(RITA, "prod", HOUR, DEPLOY).rights, "what was refused is no open request"


def test_name_that_fits_no_right_is_refused(requests: RequestService, principals: KnownPrincipals) -> None:
    principals.names["aws"] = "two words"
    with pytest.raises(PrincipalUnknown, match="can't be part of a right"):
        requests.submit(RITA, "prod", HOUR, DEPLOY)


def test_nobody_without_the_right_asks_a_target(requests: RequestService, principals: KnownPrincipals) -> None:
    with pytest.raises(NotAllowed):
        requests.submit(STRANGER, "prod", HOUR, DEPLOY)
    assert principals.asked == []


def test_instance_without_targets_refuses_requests(stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> None:
    with pytest.raises(PrincipalUnavailable, match="can't reach targets"):
        RequestService(stores, policy, clock).submit(RITA, "prod", HOUR, DEPLOY)


# The policy may change between the request and the vote


def test_vote_for_access_that_the_policy_took_away_is_refused(
    requests: RequestService, policy: ChangingPolicy, stores: Stores
) -> None:
    pending = request_id_of(requests.submit(RITA, "prod", HOUR, DEPLOY))
    change_access(policy, {SHOP: QUEUE})
    requests.approve(pending, ANN)
    with pytest.raises(NotAllowed, match=r"no longer gives shop\|orders\|write\|rita@shop"):
        requests.approve(pending, BOB)
    assert stores.requests.get(pending).status is RequestStatus.PENDING
    assert stores.access.list_live().items == ()
    assert requests.deny(pending, BOB, "Ask anew").status is RequestStatus.DENIED


@pytest.mark.parametrize(
    "change", [{"U0RITA: {aws: rita}": "U0RITA: {aws: rita2}"}, {"U0RITA: {aws: rita}": "U0ZOE: {aws: Rita}"}]
)
def test_vote_for_a_principal_who_is_somebody_else_is_refused(
    requests: RequestService, policy: ChangingPolicy, stores: Stores, change: dict[str, str]
) -> None:
    pending = request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY))
    change_access(policy, change)
    with pytest.raises(NotAllowed, match=r"U0RITA isn't rita at aws any more"):
        requests.approve(pending, ANN)
    assert stores.access.list_live().items == ()
    assert requests.deny(pending, ANN, "Ask anew").status is RequestStatus.DENIED


def test_access_that_the_policy_gained_is_not_given(
    requests: RequestService, policy: ChangingPolicy, grants: GrantService
) -> None:
    pending = request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY))
    change_access(policy, {f"access: [{DB}]": f"access: [{DB}, {QUEUE}]"})
    approved = requests.approve(pending, ANN)
    assert [grant.right for grant in grants.find(approved.chain)] == [right("rita")]


# Emergencies


def test_event_gives_its_rights_at_once(break_glass: BreakGlassService, grants: GrantService, stores: Stores) -> None:
    event = invoke(break_glass)
    assert event.rights == rights_of_prod("ann")
    made = grants.find(event.chain)
    assert [(grant.starts_at, grant.ends_at) for grant in made] == [(event.created_at, event.expires_at)] * 2
    assert all(grant.is_emergency and grant.decided_by == by(ANN) for grant in made)
    (entry,) = stores.audit.get_chain(event.chain)
    assert entry.details["rights"] == [right_key(each) for each in event.rights]


def test_unknown_person_stops_no_emergency(
    break_glass: BreakGlassService, principals: KnownPrincipals, stores: Stores
) -> None:
    principals.refusals["aws"] = UNKNOWN
    event = invoke(break_glass)
    assert event.rights == rights_of_prod("ann")[1:], "what can be given is given"
    assert event.access_problem == str(UNKNOWN)
    (entry,) = stores.audit.get_chain(event.chain)
    assert entry.details["access_problem"] == str(UNKNOWN)
    assert [is_emergency for _, _, is_emergency in principals.asked] == [True, True]


def test_broken_target_stops_no_emergency(break_glass: BreakGlassService, principals: KnownPrincipals) -> None:
    principals.refusals |= {"aws": RuntimeError("\nsecret"), "shop": PrincipalUnavailable("shop", "x\n" * 999)}
    event = invoke(break_glass)
    assert event.rights == ()
    assert event.access_problem is not None
    assert event.access_problem.startswith("aws: it couldn't be asked which user you are; shop: x x")
    assert "secret" not in event.access_problem


def test_target_that_hangs_stops_no_emergency(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, principals: KnownPrincipals
) -> None:
    principals.hold["aws"] = threading.Event()
    service = BreakGlassService(stores, policy, clock, principals=principals, principal_wait_seconds=0.05)
    try:
        event = invoke(service)
        assert event.rights == rights_of_prod("ann")[1:]
        assert event.access_problem == "aws: it couldn't say in time which user you are"
        invoke(service, BOB)
        invoke(service, ANN, "staging")
        assert [slack_id for target, slack_id, _ in principals.asked if target == "aws"] == [ANN.id, BOB.id]
    finally:
        principals.hold["aws"].set()


def test_instance_without_targets_stops_no_emergency(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    event = invoke(BreakGlassService(stores, policy, clock))
    assert event.rights == ()
    assert "can't reach targets" in (event.access_problem or "")


def test_request_whose_access_ended_stops_no_emergency(
    requests: RequestService, break_glass: BreakGlassService, grants: GrantService
) -> None:
    pending = request_id_of(requests.submit(ANN, "prod", HOUR, DEPLOY))
    requests.approve(pending, BOB)
    approved = requests.approve(pending, CLEO)
    assert statuses(grants.end(approved.chain, ANN)) == ["ending", "ending"]
    event = break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR, instead_of=pending)
    assert event.instead_of is None


def test_access_that_ended_early_is_not_found_any_more(
    requests: RequestService, grants: GrantService, clock: FrozenClock
) -> None:
    def approve() -> Request:
        pending = request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY))
        return requests.approve(pending, ANN)

    first = approve()
    clock.advance(HOUR / 2)
    second = approve()
    assert requests.find_access(RITA.id, first.profile) == second
    grants.end(second.chain, RITA)
    assert requests.find_access(RITA.id, first.profile) == first
    grants.end(first.chain, RITA)
    assert requests.find_access(RITA.id, first.profile) is None

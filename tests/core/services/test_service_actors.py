"""Machines that ask on their own: the owner answers for them and can't approve; limits count each apart."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantStatus
from core.actor import Actor, ServiceName
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.errors import InvalidStateTransition, LimitReached, NotAllowed
from core.open_requests import OPEN_REQUEST
from core.request import RequestStatus
from core.services import BreakGlassService, GrantService, RequestService
from core.services.ledger_check import LedgerCheck, empty_ledger
from tests.core.services.access_harness import KnownPrincipals
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    INCIDENT,
    OUTAGE,
    RITA,
    ChangingPolicy,
    event_id_of,
    person,
    request_id_of,
)

if TYPE_CHECKING:
    from core.request import Request
    from core.stores import Stores
    from tests.harness.clock import FrozenClock
    from tests.harness.directory import OfficeDirectory

MINUTES = timedelta(minutes=1)
TEXT = """
version: 1
profiles:
  prod: {channel: C0ACCESS1, access: [{target: wh, resource: prod, level: admin}]}
  staging: {channel: C0ACCESS1}
targets: {wh: {type: webhook, url: "https://example.com/hook", secret: "env:HOOK_SECRET"}}
admins: [U0CLEO]
people: {U0RITA: {wh: rita}}
same_person: [[U0RITA, W0RITA]]
approval:
  - {name: all, profiles: ["*"], approvers: [U0ANN, U0BOB, U0RITA], max_duration: 4h}
break_glass: [{name: all, profiles: [prod], users: [U0RITA], max_duration: 1h}]
services:
  ci-deploy: {owner: U0RITA, may: [prod], max_duration: 30m}
  agent: {owner: U0RITA, may: [prod]}
"""
CI = RITA.model_copy(update={"service": ServiceName("ci-deploy")})
AGENT = RITA.model_copy(update={"service": ServiceName("agent")})


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy with two services of one owner."""
    return ChangingPolicy(TEXT)


@pytest.fixture
def requests(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory, principals: KnownPrincipals
) -> RequestService:
    """The service of one instance, without the limits of patience."""
    return RequestService(stores, policy, clock, directory=directory, principals=principals)


def ask(
    requests: RequestService, actor: Actor = CI, device: str | None = "runner-7", key: str | None = None
) -> Request:
    return requests.submit(actor, "prod", 10 * MINUTES, DEPLOY, device=device, idempotency_key=key)


def approve(requests: RequestService, actor: Actor = CI) -> Request:
    return requests.approve(request_id_of(ask(requests, actor)), ANN)


def test_records_say_for_which_service_and_on_which_device(requests: RequestService, stores: Stores) -> None:
    request = approve(requests)
    (grant,) = stores.access.list_live().items
    assert (request.requester, request.service, request.device) == (RITA.id, "ci-deploy", "runner-7")
    assert (grant.grantee, grant.service) == (RITA.id, "ci-deploy")
    entries = [stores.audit.get_chain(each.chain)[0].details for each in (request, grant)]
    assert [each.get("service") for each in entries] == ["ci-deploy"] * 2
    assert entries[0]["device"] == "runner-7"


def test_person_in_slack_leaves_no_trace_of_either(requests: RequestService, stores: Stores) -> None:
    request = requests.submit(RITA, "prod", MINUTES, DEPLOY)
    assert not {"service", "device"} & {*request.to_item(), *stores.audit.get_chain(request.chain)[0].details}


def test_owner_can_not_approve(requests: RequestService) -> None:
    request = ask(requests)
    for owner in (RITA, person("W0RITA"), CI, AGENT):
        with pytest.raises(NotAllowed):
            requests.approve(request_id_of(request), owner)
    assert requests.approve(request_id_of(request), BOB).status is RequestStatus.APPROVED


def test_service_asks_for_nothing_else(requests: RequestService, break_glass: BreakGlassService) -> None:
    with pytest.raises(NotAllowed, match="may not request staging"):
        requests.submit(CI, "staging", MINUTES, DEPLOY)
    with pytest.raises(NotAllowed, match="30m"):
        requests.submit(CI, "prod", 31 * MINUTES, DEPLOY)
    with pytest.raises(NotAllowed, match="only people"):
        break_glass.invoke(CI, "prod", INCIDENT, OUTAGE, MINUTES)
    break_glass.invoke(RITA, "prod", INCIDENT, OUTAGE, MINUTES)


def test_limits_count_each_service_and_its_owner_apart(requests: RequestService) -> None:
    first = ask(requests)
    for actor in (AGENT, RITA):
        ask(requests, actor)
    with pytest.raises(LimitReached) as refused:
        ask(requests)
    assert (refused.value.limit, refused.value.value) == (OPEN_REQUEST, first.id)
    with pytest.raises(LimitReached):
        ask(requests, RITA)


def test_limit_follows_a_service_to_its_new_owner(requests: RequestService, policy: ChangingPolicy) -> None:
    ask(requests)
    policy.policy = ChangingPolicy(TEXT.replace("ci-deploy: {owner: U0RITA", "ci-deploy: {owner: U0BOB")).policy
    with pytest.raises(LimitReached):
        ask(requests, BOB.model_copy(update={"service": ServiceName("ci-deploy")}))


def test_idempotency_key_belongs_to_the_service(requests: RequestService) -> None:
    first, agents = ask(requests, key="run-7"), ask(requests, AGENT, key="run-7")
    assert ask(requests, key="run-7") == first
    assert len({first.id, agents.id, ask(requests, RITA, key="run-7").id}) == 3


@pytest.mark.parametrize("services", ["U0ANN", "gone"])
def test_request_of_a_lost_service_is_not_approved(
    requests: RequestService, policy: ChangingPolicy, services: str
) -> None:
    request = ask(requests)
    changed = TEXT.replace("ci-deploy: {owner: U0RITA", f"ci-deploy: {{owner: {services}")
    if services == "gone":
        changed = TEXT.replace("ci-deploy:", "ci-other:")
    policy.policy = ChangingPolicy(changed).policy
    with pytest.raises(NotAllowed, match="ci-deploy"):
        requests.approve(request_id_of(request), BOB)


def test_service_cancels_only_what_it_asked_for(requests: RequestService) -> None:
    own, of_the_agent, of_the_owner = ask(requests), ask(requests, AGENT), ask(requests, RITA)
    for other in (of_the_agent, of_the_owner):
        with pytest.raises(NotAllowed, match="ci-deploy may only cancel"):
            requests.cancel(request_id_of(other), CI)
    assert requests.cancel(request_id_of(own), CI).status is RequestStatus.CANCELLED
    assert requests.cancel(request_id_of(of_the_agent), RITA).status is RequestStatus.CANCELLED


def test_service_ends_only_its_own_access(
    requests: RequestService, grants: GrantService, break_glass: BreakGlassService
) -> None:
    own, of_the_agent = approve(requests), approve(requests, AGENT)
    event = break_glass.invoke(RITA, "prod", INCIDENT, OUTAGE, MINUTES)
    for other in (of_the_agent, event):
        with pytest.raises(NotAllowed, match="ci-deploy may only end"):
            grants.end(other.chain, CI)
    for attempt in (lambda: grants.revoke(own.chain, CI, "No longer needed"),
                    lambda: break_glass.close(event_id_of(event), CI, "No longer needed")):  # fmt: skip
        with pytest.raises(NotAllowed):
            attempt()
    assert [each.status for each in grants.end(own.chain, CI)] == [GrantStatus.ENDING]
    assert [each.status for each in grants.end(of_the_agent.chain, RITA)] == [GrantStatus.ENDING]


def test_service_sees_its_own_access_only(requests: RequestService, grants: GrantService) -> None:
    approve(requests)
    approve(requests, AGENT)
    approve(requests, RITA)
    assert [each.service for each in grants.list_live(CI).items] == ["ci-deploy"]
    assert {each.service for each in grants.list_live(RITA).items} == {None, "ci-deploy", "agent"}
    assert len(grants.list_live(CLEO).items) == 3


def test_departed_owner_ends_the_access_of_services(requests: RequestService, grants: GrantService) -> None:
    request = approve(requests)
    assert grants.end_departed(RITA.id).ended == (request.chain,)
    with pytest.raises(InvalidStateTransition):
        grants.end(request.chain, CI)


def test_ledger_of_a_service_is_rebuilt_from_its_requests(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    ask(requests)
    ask(requests, RITA)
    check = LedgerCheck(stores, clock, policy.current().ids_of)
    assert list(check.find_problems()) == []
    for owner in ("OPEN#service:ci-deploy#prod", "OPEN#U0RITA#prod"):
        empty = empty_ledger(owner)
        assert empty is not None
        before = stores.break_glass.get_ledger(empty)
        check.rebuild(empty)
        after = stores.break_glass.get_ledger(empty)
        ids = [[each.id for each in getattr(ledger, "requests", ())] for ledger in (before, after)]
        assert ids[0] == ids[1]
        assert len(ids[0]) == 1
    for actor in (CI, RITA):
        with pytest.raises(LimitReached):
            ask(requests, actor)


def test_trail_of_a_service_has_no_findings(requests: RequestService, stores: Stores, clock: FrozenClock) -> None:
    approve(requests)
    assert list(verify_trail(stores, AuditKeyring(), clock.now())) == []

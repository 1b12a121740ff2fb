"""Access that starts later: what can be asked for, until when people decide, and that nothing opens before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from core.access.grant_status import AccessPhase, GrantStatus
from core.access.summary import summarize
from core.audit.grant_sources import compare_with_source
from core.audit.replay import find_contradictions
from core.audit.trail import AuditAction
from core.clock import TICK, format_time
from core.errors import InvalidInput, InvalidStateTransition, NotAllowed
from core.request import Request, RequestStatus
from core.services import BreakGlassService, GrantService, RequestService
from core.services.again import AskAgain
from core.stores import Stores
from core.targets.base import TargetRefused
from tests.builders import DAY, HOUR
from tests.core.services.access_harness import ADA, Targets, change_access, with_access
from tests.core.services.harness import ANN, BOB, DEPLOY, EVE, RITA, ChangingPolicy, invoke, request_id_of, trail
from tests.harness.clock import A_MOMENT, FrozenClock

MINUTE: Final = timedelta(minutes=1)
LATER: Final = A_MOMENT + DAY
AHEAD: Final = {
    "    remind_after: 3h\n": "    remind_after: 3h\n    starts_within: 2d\n",
    "    decide_within: 2h\n": "    decide_within: 2h\n    starts_within: 7d\n",
}


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy whose profiles give rights, prod up to two days ahead, staging up to seven."""
    return with_access(AHEAD)


def ask(requests: RequestService, starts_at: datetime | None = LATER, profile: str = "prod") -> Request:
    return requests.submit(RITA, profile, 2 * HOUR, DEPLOY, starts_at=starts_at)


@pytest.fixture
def approved(requests: RequestService) -> Request:
    """RITA's request for prod a day ahead, approved by two."""
    pending = request_id_of(ask(requests))
    requests.approve(pending, ANN)
    return requests.approve(pending, BOB, duration=HOUR)


def test_people_can_decide_until_the_start(requests: RequestService, clock: FrozenClock, stores: Stores) -> None:
    pending = ask(requests)
    assert (pending.starts_at, pending.expires_at) == (LATER, LATER)
    (entry,) = stores.audit.get_chain(pending.chain)
    assert entry.details["starts_at"] == format_time(LATER)
    requests.approve(request_id_of(pending), ANN)
    clock.set(LATER - TICK)
    approved = requests.approve(request_id_of(pending), BOB)
    assert (approved.access_opens_at, approved.access_ends_at) == (LATER, LATER + 2 * HOUR)


def test_nobody_decides_from_the_start_on(requests: RequestService, clock: FrozenClock) -> None:
    pending = ask(requests)
    clock.set(LATER)
    with pytest.raises(InvalidStateTransition):
        requests.approve(request_id_of(pending), ANN)
    assert [each.status for each in requests.expire_due()] in ([], [RequestStatus.EXPIRED])


@pytest.mark.parametrize(
    ("starts_at", "problem"),
    [
        (A_MOMENT - TICK, "2026-01-15 03:53 UTC has passed"),
        (A_MOMENT + 5 * MINUTE - TICK, "is less than 5m away"),
        (A_MOMENT + 8 * DAY, "is too far ahead"),
    ],
)
def test_impossible_start_is_refused_unchanged(
    requests: RequestService, stores: Stores, starts_at: datetime, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem) as refused:
        ask(requests, starts_at, "staging")
    assert refused.value.field == "starts_at"
    assert stores.requests.list_by_requester(RITA.id).items == ()


def test_start_beyond_the_rule_says_how_far(requests: RequestService) -> None:
    with pytest.raises(NotAllowed, match="allows a start up to 2d ahead, and this one is 2d1m ahead") as refused:
        ask(requests, A_MOMENT + 2 * DAY + MINUTE)
    assert refused.value.unmet == ("start",)
    assert ask(requests, A_MOMENT + 2 * DAY).starts_at == A_MOMENT + 2 * DAY


def test_rule_without_starts_within_is_for_now(requests: RequestService, policy: ChangingPolicy) -> None:
    change_access(policy, {})
    with pytest.raises(NotAllowed, match="access under rule prod can't start later"):
        ask(requests)


def test_deciding_vote_judges_the_start_again(requests: RequestService, policy: ChangingPolicy) -> None:
    pending = request_id_of(ask(requests))
    requests.approve(pending, ANN)
    change_access(policy, {})
    with pytest.raises(NotAllowed, match="can't start later"):
        requests.approve(pending, BOB)


def test_reminder_comes_halfway_to_a_near_start(requests: RequestService, clock: FrozenClock) -> None:
    ask(requests, A_MOMENT + 2 * HOUR)
    clock.advance(HOUR - TICK)
    assert requests.remind_due() == ()
    clock.advance(TICK)
    assert len(requests.remind_due()) == 1


def test_reminder_of_a_start_waits_for_the_hours(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    hours = "    approver_hours: {hours: '09:00-17:00', timezone: UTC}\n"
    change_access(policy, {"    remind_after: 3h\n": f"    remind_after: 3h\n    starts_within: 2d\n{hours}"})
    nine = A_MOMENT.replace(hour=9, minute=0, second=0, microsecond=0)
    ask(requests, nine + HOUR)
    for at, reminded in ((nine - TICK, 0), (nine, 1)):
        clock.set(at)
        assert len(requests.remind_due()) == reminded


def test_access_opens_at_its_start_and_not_before(
    approved: Request, targets: Targets, clock: FrozenClock, grants: GrantService
) -> None:
    made = grants.find(approved.chain)
    assert {(each.created_at, each.starts_at, each.ends_at) for each in made} == {(A_MOMENT, LATER, LATER + HOUR)}, (
        "the least that a vote gave"
    )
    targets.reconcile()
    clock.set(LATER - TICK)
    targets.reconcile()
    assert (targets.held, targets.aws.calls, targets.shop.calls) == (set(), [], [])
    clock.set(LATER)
    targets.reconcile()
    assert targets.held == set(approved.rights)
    clock.set(LATER + HOUR)
    targets.reconcile()
    assert targets.held == set()
    assert {each.status for each in grants.find(approved.chain)} == {GrantStatus.ENDED}


def test_access_ahead_is_shown_and_gives_nothing(
    approved: Request, requests: RequestService, grants: GrantService, clock: FrozenClock
) -> None:
    access = summarize(grants.find(approved.chain), clock.now())
    assert access is not None
    assert (access.phase, access.may_end, access.may_extend) == (AccessPhase.SCHEDULED, True, False)
    assert len(grants.list_live(RITA).items) == len(approved.rights)
    assert requests.find_access(RITA.id, approved.profile) is None
    clock.set(LATER)
    assert requests.find_access(RITA.id, approved.profile) == approved


def test_access_ended_before_it_opens_never_opens(
    approved: Request, targets: Targets, clock: FrozenClock, grants: GrantService
) -> None:
    targets.reconcile()
    clock.advance(HOUR)
    grants.end(approved.chain, RITA)
    targets.reconcile()
    clock.set(LATER + MINUTE)
    targets.reconcile()
    assert (targets.held, targets.aws.calls) == (set(), [])
    ended = grants.find(approved.chain)
    assert {(each.status, each.was_open, each.residual_until) for each in ended} == {(GrantStatus.ENDED, False, None)}


def test_departure_ends_access_that_was_ahead_for_days(
    requests: RequestService, grants: GrantService, clock: FrozenClock, targets: Targets
) -> None:
    start = A_MOMENT + 7 * DAY
    approved = requests.approve(request_id_of(ask(requests, start, "staging")), ANN)
    clock.set(start + HOUR)
    targets.reconcile()
    assert targets.held == set(approved.rights)
    assert grants.end_departed(RITA.id).ended == (approved.chain,)
    assert grants.revoke_person(RITA.id, ADA, "left").ended == ()
    targets.reconcile()
    assert targets.held == set()


def test_reminder_of_the_end_follows_the_start(
    approved: Request, grants: GrantService, targets: Targets, clock: FrozenClock
) -> None:
    clock.set(LATER)
    targets.reconcile()
    clock.set(LATER + HOUR - 10 * MINUTE - TICK)
    assert grants.remind_due() == ()
    clock.advance(TICK)
    assert [each.source for each in grants.remind_due()] == [approved.chain]


def test_earlier_refusal_fails_no_grant_that_opens_later(
    approved: Request, requests: RequestService, targets: Targets, clock: FrozenClock, grants: GrantService
) -> None:
    targets.aws.always["give"] = TargetRefused("the account is frozen")
    now = requests.approve(request_id_of(ask(requests, None, "staging")), ANN)
    targets.reconcile()
    assert {each.status for each in grants.find(now.chain)} == {GrantStatus.FAILED}
    targets.aws.always.clear()
    clock.set(LATER)
    targets.reconcile()
    assert targets.held == set(approved.rights)


def test_auto_approval_is_for_the_hours_it_opens_in(
    requests: RequestService, policy: ChangingPolicy, targets: Targets
) -> None:
    hours = "time: {timezone: UTC, hours: '09:00-17:00'}"
    change_access(policy, {**AHEAD, "max_duration: 1h}\n": f"max_duration: 1h, {hours}}}\n"})
    ten = A_MOMENT.replace(hour=10)
    pending = requests.submit(EVE, "staging", HOUR, DEPLOY)
    assert pending.status is RequestStatus.PENDING, "it is night"
    requests.cancel(request_id_of(pending), EVE)
    ahead = requests.submit(EVE, "staging", HOUR, DEPLOY, starts_at=ten)
    assert (ahead.status, ahead.access_opens_at) == (RequestStatus.APPROVED, ten)
    targets.reconcile()
    assert targets.held == set()
    late = requests.submit(EVE, "staging", HOUR, DEPLOY, starts_at=ten + 10 * HOUR)
    assert late.status is RequestStatus.PENDING


def test_glass_can_be_broken_before_it_opens(
    requests: RequestService, break_glass: BreakGlassService, targets: Targets
) -> None:
    requests.approve(request_id_of(requests.submit(BOB, "staging", HOUR, DEPLOY, starts_at=LATER)), ANN)
    event = invoke(break_glass, BOB, profile="staging")
    targets.reconcile()
    assert targets.held == set(event.rights)


def test_asking_again_keeps_a_start_that_is_ahead(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock, approved: Request
) -> None:
    asking = AskAgain(stores, requests, policy, clock)
    with pytest.raises(NotAllowed):
        asking.again(request_id_of(approved), RITA, None)
    denied = requests.deny(request_id_of(ask(requests, LATER, "staging")), ANN, "not needed")
    again = asking.again(request_id_of(denied), RITA, None)
    assert again.starts_at == LATER
    clock.set(LATER)
    assert asking.again(request_id_of(again), RITA, None).starts_at is None


def test_same_request_again_after_its_start_is_the_same(requests: RequestService, clock: FrozenClock) -> None:
    first = requests.submit(RITA, "prod", HOUR, DEPLOY, starts_at=LATER, idempotency_key="a form")
    clock.set(LATER + MINUTE)
    again = requests.submit(RITA, "prod", HOUR, DEPLOY, starts_at=LATER, idempotency_key="a form")
    assert again.id == first.id


def test_form_of_several_starts_all_of_them(requests: RequestService) -> None:
    made = requests.submit_several(RITA, ("prod", "staging"), HOUR, DEPLOY, starts_at=LATER)
    assert [each.request.starts_at for each in made if each.request is not None] == [LATER, LATER]


def test_what_an_older_version_opened_early_is_named(approved: Request, stores: Stores) -> None:
    entries = tuple(stores.audit.get_chain(approved.chain))
    grant = stores.access.get_each([each.id for each in stores.access.list_live().items])[0]
    assert list(find_contradictions(approved, entries)) == []
    assert list(compare_with_source(grant, approved)) == []
    early = approved.replace(access_ends_at=A_MOMENT + HOUR)
    assert early.access_opens_at == early.decided_at
    assert "its access began before the start that was asked for" in list(find_contradictions(early, entries))
    assert any("window" in each for each in compare_with_source(grant, early))
    moved = approved.replace(starts_at=LATER - HOUR, expires_at=LATER - HOUR, access_ends_at=LATER)
    assert "its starts at is not what was asked for" in list(find_contradictions(moved, entries))
    without = approved.replace(starts_at=None, access_ends_at=A_MOMENT + HOUR)
    assert "its starts at is not what was asked for" in list(find_contradictions(without, entries))


def test_entry_of_the_approval_says_the_window(approved: Request, stores: Stores) -> None:
    last = list(stores.audit.get_chain(approved.chain))[-1]
    assert last.event is AuditAction.REQUEST_APPROVED
    assert last.details["access_opens_at"] == format_time(LATER)
    assert trail(stores, approved)[-1][0] == "request_approved"

"""People hear once, before the access of an approved request ends, that it will."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from core.access.grant import Grant
from core.audit.trail import AuditAction
from core.clock import TICK, format_time
from core.request import Request
from core.services import BreakGlassService, GrantService, RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.access_harness import ADA, Between, Targets, change_access, with_access
from tests.core.services.harness import ANN, BOB, CLEO, DEPLOY, RITA, ChangingPolicy, invoke, request_id_of, trail
from tests.harness.clock import FrozenClock

MINUTE: Final = timedelta(minutes=1)
BEFORE: Final = 10 * MINUTE
"""How long before the end people are reminded, unless the rule says otherwise."""


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy whose profiles give rights."""
    return with_access()


def approve(requests: RequestService, profile: str = "prod", length: timedelta = HOUR) -> Request:
    """RITA's request, approved."""
    pending = request_id_of(requests.submit(RITA, profile, length, DEPLOY))
    approved = requests.approve(pending, ANN)
    return approved if profile == "staging" else requests.approve(pending, BOB)


def sources(reminded: tuple[Grant, ...]) -> list[str]:
    """Whose end people were reminded of."""
    return [grant.source for grant in reminded]


def test_reminder_comes_once_before_the_end(
    requests: RequestService, grants: GrantService, targets: Targets, clock: FrozenClock, stores: Stores
) -> None:
    approved = approve(requests)
    targets.reconcile()
    clock.advance(HOUR - BEFORE - TICK)
    assert grants.remind_due() == ()
    at = clock.advance(TICK)
    (told,) = grants.remind_due()
    assert (told.source, told.ending_told_at) == (approved.chain, at)
    assert trail(stores, told)[-1] == (AuditAction.ACCESS_ENDING_SOON.value, "clock")
    entry = list(stores.audit.get_chain(told.chain))[-1]
    assert entry.details == {"source": approved.chain, "ends_at": format_time(told.ends_at)}
    clock.advance(MINUTE)
    assert grants.remind_due() == ()
    targets.reconcile()
    assert targets.held == set(approved.rights), "a reminder ends nothing"


def test_other_instances_remind_nobody_again(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock, grants: GrantService
) -> None:
    approved = approve(requests)
    clock.advance(HOUR - MINUTE)
    other = GrantService(stores, policy, clock)
    assert sources(grants.remind_due()) == [approved.chain]
    assert other.remind_due() == ()
    assert GrantService(stores, policy, clock).remind_due() == ()


def test_two_at_once_remind_once(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock, grants: GrantService
) -> None:
    approved = approve(requests, "staging")
    clock.advance(HOUR - MINUTE)
    first: list[str] = []
    between = Between(stores, [lambda: first.extend(sources(grants.remind_due()))])
    slower = GrantService(between, policy, clock)
    assert slower.remind_due() == ()
    assert first == [approved.chain]
    assert slower.remind_due() == ()


def test_access_that_ends_meanwhile_stops_no_reminder(
    requests: RequestService,
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    grants: GrantService,
    targets: Targets,
) -> None:
    approved = approve(requests, "staging")
    clock.advance(MINUTE)
    other = request_id_of(requests.submit(ANN, "prod", HOUR, DEPLOY))
    requests.approve(other, BOB)
    requests.approve(other, CLEO)
    clock.advance(HOUR - 2 * MINUTE)

    def end() -> None:
        grants.end(approved.chain, RITA)
        targets.reconcile()

    # The newest are told of first.
    service = GrantService(Between(stores, [lambda: None, end]), policy, clock)
    assert sources(service.remind_due()) == [f"REQUEST#{other}"]
    assert service.remind_due() == ()


def test_rule_says_how_long_before(
    requests: RequestService, grants: GrantService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    change_access(policy, {"remind_after: 3h": "remind_after: 3h\n    ask_before_end: 30m"})
    approved = approve(requests, length=2 * HOUR)
    clock.advance(HOUR + 29 * MINUTE)
    assert grants.remind_due() == ()
    clock.advance(MINUTE)
    assert sources(grants.remind_due()) == [approved.chain]


def test_short_access_is_told_of_at_its_half(
    requests: RequestService, grants: GrantService, clock: FrozenClock
) -> None:
    approved = approve(requests, length=10 * MINUTE)
    assert grants.remind_due() == ()
    clock.advance(5 * MINUTE)
    assert sources(grants.remind_due()) == [approved.chain]


@pytest.mark.parametrize("ending", ["done", "revoked", "over"])
def test_ended_access_needs_no_reminder(
    requests: RequestService, grants: GrantService, clock: FrozenClock, ending: str
) -> None:
    approved = approve(requests)
    clock.advance(HOUR - BEFORE)
    if ending == "done":
        grants.end(approved.chain, RITA)
    elif ending == "revoked":
        grants.revoke(approved.chain, ADA, "The deploy is over")
    else:
        clock.advance(BEFORE)
    assert grants.remind_due() == ()


def test_access_that_is_extended_needs_no_reminder(
    requests: RequestService, grants: GrantService, clock: FrozenClock
) -> None:
    approve(requests)
    clock.advance(HOUR / 2)
    later = approve(requests)
    clock.advance(HOUR / 2 - MINUTE)
    assert grants.remind_due() == ()
    grants.end(later.chain, RITA)
    assert len(grants.remind_due()) == 1, "now nothing outlasts it"


@pytest.mark.parametrize("gap", [timedelta(0), MINUTE])
def test_access_that_starts_by_the_end_outlasts_it(
    requests: RequestService, grants: GrantService, policy: ChangingPolicy, clock: FrozenClock, gap: timedelta
) -> None:
    change_access(policy, {"    remind_after: 3h\n": "    remind_after: 3h\n    starts_within: 2d\n"})
    first = approve(requests)
    later = request_id_of(requests.submit(RITA, "prod", HOUR, DEPLOY, starts_at=first.life_ends_at() + gap))
    requests.approve(later, ANN)
    requests.approve(later, BOB)
    clock.advance(HOUR - MINUTE)
    assert sources(grants.remind_due()) == ([first.chain] if gap else [])


def test_extension_of_one_right_alone_still_reminds(
    requests: RequestService, grants: GrantService, clock: FrozenClock
) -> None:
    approved = approve(requests)
    clock.advance(HOUR / 2)
    approve(requests, "staging")
    clock.advance(HOUR / 2 - MINUTE)
    assert sources(grants.remind_due()) == [approved.chain], "the right at the shop ends"


def test_events_are_asked_about_elsewhere(
    break_glass: BreakGlassService, grants: GrantService, clock: FrozenClock
) -> None:
    invoke(break_glass)
    clock.advance(HOUR - MINUTE)
    assert grants.remind_due() == ()


def test_sweep_costs_what_is_due(
    requests: RequestService, clock: FrozenClock, stores: Stores, policy: ChangingPolicy
) -> None:
    approve(requests)
    counting = Between(stores, [])
    service = GrantService(counting, policy, clock)
    clock.advance(HOUR - BEFORE)
    assert len(service.remind_due()) == 1
    reads: list[str] = []
    counting.watch = reads.append
    clock.advance(MINUTE)
    assert service.remind_due() == ()
    assert reads == ["list_live"]

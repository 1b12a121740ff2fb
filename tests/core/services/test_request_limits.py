"""One person has as many open requests for a profile as the rule allows, and waits after a denial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from core.audit.trail import AuditAction
from core.clock import TICK, format_time
from core.errors import LimitReached
from core.request import Request, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.builders import HOUR, PROD
from tests.core.services.harness import (
    ANN,
    DEPLOY,
    EVE,
    RITA,
    ChangingPolicy,
    by,
    invoke,
    noted,
    person,
    request_id_of,
)
from tests.harness.clock import A_MOMENT, FrozenClock

RULE_PROD: Final = "    remind_after: 3h\n"
RITAS_OTHER_ID: Final = person("U0RITA2")
ONE_PERSON: Final = {
    "[U0RITA, U0ANN]": "[U0RITA, U0RITA2, U0ANN]",
    "security_channel": "same_person: [[U0RITA, U0RITA2]]\nsecurity_channel",
}


def _ask(requests: RequestService, profile: str = "prod") -> Request:
    return requests.submit(RITA, profile, HOUR, DEPLOY)


def _with(line: str) -> dict[str, str]:
    return {RULE_PROD: f"{RULE_PROD}    {line}\n"}


def test_second_request_is_refused_with_the_id_of_the_first(requests: RequestService, stores: Stores) -> None:
    first = _ask(requests)
    with pytest.raises(LimitReached) as refused:
        _ask(requests)
    error = refused.value
    assert (error.limit, error.value, error.ends_at) == ("open request", first.id, first.expires_at)
    assert [each.id for each in stores.requests.iterate()] == [first.id]
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.profile) == (AuditAction.SUBMIT_REFUSED, by(RITA), PROD)
    assert entry.details == {"limit": "open request", "value": first.id, "ends_at": format_time(first.expires_at)}


def test_other_people_and_profiles_have_limits_of_their_own(requests: RequestService) -> None:
    made = [_ask(requests), _ask(requests, "staging"), requests.submit(ANN, "prod", HOUR, DEPLOY)]
    assert len({each.id for each in made}) == 3


@pytest.mark.parametrize(
    "end",
    [
        lambda requests, request, _: requests.cancel(request_id_of(request), RITA),
        lambda requests, request, _: requests.approve(request_id_of(request), ANN),
        lambda requests, request, _: requests.deny(request_id_of(request), ANN, "not today"),
        lambda requests, _, clock: (clock.advance(2 * HOUR), requests.expire_due()),
        lambda _, __, clock: clock.advance(2 * HOUR),
    ],
    ids=["cancelled", "approved", "denied", "expired", "overdue"],
)
def test_request_is_possible_again_once_it_ended(
    requests: RequestService, clock: FrozenClock, end: Callable[[RequestService, Request, FrozenClock], object]
) -> None:
    first = _ask(requests, "staging")
    end(requests, first, clock)
    assert _ask(requests, "staging").id != first.id
    with pytest.raises(LimitReached):
        _ask(requests, "staging")


def test_cooldown_runs_from_a_denial_and_from_nothing_else(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    policy.edit(_with("cooldown_after_denial: 2h"))
    requests.cancel(request_id_of(_ask(requests)), RITA)
    denied = _ask(requests)
    clock.advance(HOUR)
    requests.deny(request_id_of(denied), ANN, "not today")
    clock.advance(2 * HOUR - TICK)
    with pytest.raises(LimitReached, match="cooldown after a denial") as refused:
        _ask(requests)
    assert refused.value.ends_at == clock.now() + TICK
    clock.advance(TICK)
    assert _ask(requests).status is RequestStatus.PENDING


def test_cooldown_counts_a_denial_after_more_requests(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    """What the ledger lists must not be pushed out of it by what came later."""
    policy.edit(_with("max_pending: 3\n    cooldown_after_denial: 2h"))
    first = _ask(requests)
    _ask(requests)
    requests.deny(request_id_of(first), ANN, "not today")
    with pytest.raises(LimitReached, match="cooldown after a denial"):
        _ask(requests)
    clock.advance(2 * HOUR)
    _ask(requests)


def test_rule_may_allow_several_open_requests(requests: RequestService, policy: ChangingPolicy) -> None:
    policy.edit(_with("max_pending: 3"))
    made = [_ask(requests) for _ in range(3)]
    with pytest.raises(LimitReached) as refused:
        _ask(requests)
    assert (refused.value.limit, refused.value.value) == ("open requests", "3")
    requests.cancel(request_id_of(made[1]), RITA)
    _ask(requests)
    with pytest.raises(LimitReached):
        _ask(requests)


def test_two_ids_of_one_person_count_once(requests: RequestService, policy: ChangingPolicy) -> None:
    policy.edit(ONE_PERSON)
    first = requests.submit(RITAS_OTHER_ID, "prod", HOUR, DEPLOY)
    with pytest.raises(LimitReached, match=first.id):
        _ask(requests)
    requests.cancel(request_id_of(first), RITA)
    second = _ask(requests)
    with pytest.raises(LimitReached, match=second.id):
        requests.submit(RITAS_OTHER_ID, "prod", HOUR, DEPLOY)


def test_automatic_approvals_are_never_open(requests: RequestService) -> None:
    made = {requests.submit(EVE, "staging", HOUR, DEPLOY).id for _ in range(3)}
    assert len(made) == 3


def test_same_key_gives_the_same_request_whatever_came_after(requests: RequestService) -> None:
    def ask(key: str) -> Request:
        return requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key=key)

    first = ask("view-1")
    assert ask("view-1") == first
    cancelled = requests.cancel(request_id_of(first), RITA)
    second = ask("view-2")
    assert (ask("view-1"), ask("view-2")) == (cancelled, second)
    with pytest.raises(LimitReached):
        ask("view-3")


def test_open_request_keeps_nobody_from_an_emergency(requests: RequestService, break_glass: BreakGlassService) -> None:
    requests.submit(ANN, "prod", HOUR, DEPLOY)
    assert invoke(break_glass, ANN, "prod").is_granting(A_MOMENT)

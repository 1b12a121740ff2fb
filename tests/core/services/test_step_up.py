"""Breaking the glass with MFA: one code, one event; five guesses; and nobody learns more than they may."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, ReasonCode
from core.directory import FixedDirectory
from core.errors import CodeRefused, LimitReached, NotAllowed, StoreUnavailable
from core.mfa import LOCK
from core.services import BreakGlassService
from core.stores import Stores
from tests.builders import HOUR, PROD
from tests.core.services.harness import ANN, BOB, ChangingPolicy, Disturbance, DisturbedStores, noted
from tests.harness.clock import FrozenClock
from tests.harness.mfa import STEP_SECONDS, WrittenCodes, code_at

WHY = "The checkout is down, INC-12"
STEP = timedelta(seconds=STEP_SECONDS)


@pytest.fixture
def codes() -> WrittenCodes:
    return WrittenCodes(frozenset({ANN.id, BOB.id}))


@pytest.fixture
def service(stores: Stores, policy: ChangingPolicy, clock: FrozenClock, codes: WrittenCodes) -> BreakGlassService:
    return BreakGlassService(stores, policy, clock, mfa=codes, directory=FixedDirectory())


def declare(
    service: BreakGlassService, code: str | None, *, who: Actor = ANN, profile: str = "vault", key: str | None = None
) -> BreakGlassEvent:
    return service.invoke(who, profile, ReasonCode.INCIDENT, WHY, HOUR, code=code, idempotency_key=key)


def test_right_code_is_accepted_and_the_event_names_the_method(
    service: BreakGlassService, stores: Stores, clock: FrozenClock
) -> None:
    event = declare(service, code_at(ANN.id, clock.now()))
    assert (event.mfa_verified, event.mfa_method) == (True, "totp")
    assert stores.audit.get_chain(event.chain)[0].details["mfa_method"] == "totp"


@pytest.mark.parametrize("code", [None, ""])
def test_profile_that_needs_a_code_is_refused_without_one(
    service: BreakGlassService, stores: Stores, code: str | None
) -> None:
    with pytest.raises(NotAllowed, match="an MFA code is required"):
        declare(service, code)
    assert not list(stores.break_glass.iterate())


def test_code_counts_for_nothing_where_mfa_is_not_set_up(break_glass: BreakGlassService, clock: FrozenClock) -> None:
    with pytest.raises(NotAllowed, match="an MFA code is required"):
        declare(break_glass, code_at(ANN.id, clock.now()))


def test_one_code_opens_one_event(service: BreakGlassService, stores: Stores, clock: FrozenClock) -> None:
    code = code_at(ANN.id, clock.now())
    first = declare(service, code)
    with pytest.raises(CodeRefused) as refusal:
        declare(service, code, profile="prod")
    assert refusal.value.problem == "used"
    assert list(stores.break_glass.iterate()) == [first]
    clock.advance(STEP)
    assert declare(service, code_at(ANN.id, clock.now()), profile="prod").mfa_verified


def test_code_is_not_used_up_by_an_event_that_came_to_nothing(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, codes: WrittenCodes, disturbance: Disturbance
) -> None:
    def fail() -> None:
        raise StoreUnavailable("no answer")

    disturbance.steps.append(fail)
    disturbed = BreakGlassService(
        DisturbedStores(stores, disturbance), policy, clock, mfa=codes, directory=FixedDirectory()
    )
    code = code_at(ANN.id, clock.now())
    with pytest.raises(StoreUnavailable):
        declare(disturbed, code)
    assert declare(disturbed, code).mfa_verified


def test_same_declaration_gets_its_event_though_its_code_is_used(
    service: BreakGlassService, clock: FrozenClock
) -> None:
    code = code_at(ANN.id, clock.now())
    event = declare(service, code, key="V1")
    assert declare(service, code, key="V1") == event


def test_code_of_another_person_is_wrong(service: BreakGlassService, stores: Stores, clock: FrozenClock) -> None:
    with pytest.raises(CodeRefused) as refusal:
        declare(service, code_at(BOB.id, clock.now()))
    assert (refusal.value.problem, refusal.value.tries_left) == ("wrong", 4)
    assert not list(stores.break_glass.iterate())
    assert stores.break_glass.get_ledgers_and_codes(BOB.id, PROD)[2].wrong_at == (), "it counts against who typed it"


def test_five_wrong_codes_lock_even_the_right_one_until_the_end(
    service: BreakGlassService, codes: WrittenCodes, clock: FrozenClock, stores: Stores
) -> None:
    for left in (4, 3, 2, 1):
        with pytest.raises(CodeRefused) as refusal:
            declare(service, "000000")
        assert refusal.value.tries_left == left
    locked_until = clock.now() + LOCK
    for _ in range(2):
        with pytest.raises(LimitReached) as hit:
            declare(service, "000000")
        assert (hit.value.limit, hit.value.value, hit.value.ends_at) == ("wrong codes", "5 in 15m", locked_until)
    with pytest.raises(LimitReached):
        declare(service, code_at(ANN.id, clock.now()))
    assert codes.asked == ["000000"] * 5, "while it is locked, nobody looks at a code"
    assert declare(service, code_at(BOB.id, clock.now()), who=BOB, profile="prod").mfa_verified
    clock.advance(LOCK)
    assert declare(service, code_at(ANN.id, clock.now())).mfa_verified
    times = [entry.details.get("times", 1) for entry in noted(stores)]
    assert (len(times), times[-1]) == (5, 3), "each is noted; those that say the same, in one line"


def test_limit_is_checked_before_a_code_is_asked_or_counted(
    service: BreakGlassService, codes: WrittenCodes, clock: FrozenClock
) -> None:
    declare(service, code_at(ANN.id, clock.now()))
    asked = list(codes.asked)
    with pytest.raises(LimitReached, match="live event"):
        declare(service, "000000")
    assert codes.asked == asked


def test_person_without_mfa_is_refused_and_told_so(stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> None:
    service = BreakGlassService(stores, policy, clock, mfa=WrittenCodes(frozenset()), directory=FixedDirectory())
    with pytest.raises(NotAllowed, match="no second factor is enrolled"):
        declare(service, "000000")


def test_code_that_is_given_without_need_has_to_be_right(service: BreakGlassService, clock: FrozenClock) -> None:
    with pytest.raises(CodeRefused):
        declare(service, "000000", profile="prod")
    assert declare(service, code_at(ANN.id, clock.now()), profile="prod").mfa_verified
    assert not declare(service, None, who=BOB, profile="prod").mfa_verified


def test_wrong_code_is_noted_as_a_refusal_without_the_code(service: BreakGlassService, stores: Stores) -> None:
    with pytest.raises(CodeRefused):
        declare(service, "314159")
    (entry,) = noted(stores)
    assert (entry.event, entry.must_be_delivered) == (AuditAction.INVOKE_REFUSED, True)
    assert entry.details["why"] == "Wrong code; 4 attempts left"
    assert "314159" not in str(entry)


@pytest.mark.parametrize("is_right", [False, True], ids=["wrong", "right"])
def test_overtaken_attempt_is_judged_again(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    codes: WrittenCodes,
    disturbance: Disturbance,
    service: BreakGlassService,
    *,
    is_right: bool,
) -> None:
    """Four wrong codes come in between the judging and the writing: the fifth try counts on top of them."""

    def four_wrong_codes() -> None:
        for _ in range(4):
            with pytest.raises(CodeRefused):
                declare(service, "999999")

    disturbance.steps.append(four_wrong_codes)
    disturbed = BreakGlassService(
        DisturbedStores(stores, disturbance), policy, clock, mfa=codes, directory=FixedDirectory()
    )
    if is_right:
        assert declare(disturbed, code_at(ANN.id, clock.now())).mfa_verified
        return
    with pytest.raises(LimitReached, match="wrong codes"):
        declare(disturbed, "000000")
    assert len(stores.break_glass.get_ledgers_and_codes(ANN.id, PROD)[2].wrong_at) == 5

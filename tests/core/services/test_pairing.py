"""Pairing a terminal: five minutes, one use, five tries, for the one who typed the code, and for nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from core.access.device import DeviceStatus
from core.access.pairing import (
    ALPHABET,
    CODE_LIFE,
    KEPT_FOR,
    Pairing,
    PairingExpired,
    PairingRefused,
    PairingStatus,
    PairingTooFast,
    PairingUnknown,
    PairingWaiting,
    read_user_code,
)
from core.access.pairing_bounds import LOCK, MAX_OPEN_PER_ADDRESS
from core.audit.trail import AuditAction
from core.errors import ConcurrentModification, CountersignError, InvalidInput, LimitReached, NotAllowed, NotKnown
from core.services import PairingService
from core.services.poll_pace import MAX_REMEMBERED, PollPace
from tests.core.services.harness import ANN, BOB, POLICY, RITA, ChangingPolicy, noted, person, trail
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.services.pairing import StartedPairing
    from core.stores import Stores
    from tests.harness.clock import FrozenClock
    from tests.harness.directory import OfficeDirectory

POLL = timedelta(seconds=5)
SERVICES = "services:\n  ci-deploy: {owner: U0RITA, may: [prod], max_duration: 30m}\n"
SAME = "same_person: [[U0RITA, W0RITA]]\n"


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy with a service, and a person with two ids."""
    return ChangingPolicy(POLICY + SERVICES + SAME)


@pytest.fixture
def pairing(stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory) -> PairingService:
    """The service of one instance."""
    return PairingService(stores, policy, clock, directory=directory)


def start(pairing: PairingService, service: str | None = None, address: str = "10.0.0.1") -> StartedPairing:
    return pairing.start("ritas-laptop", "countersign 1.0", address, service)


def wrong_code(right: str) -> str:
    first = next(each for each in ALPHABET if each != right[0])
    return first + right[1:]


class TestCodes:
    """What people type, and what machines hold."""

    def test_code_is_eight_letters_that_nobody_confuses(self, pairing: PairingService) -> None:
        code = start(pairing).user_code
        assert len(code.split("-")[0]) == len(code.split("-")[1]) == 4
        assert set(code) - {"-"} <= set(ALPHABET)
        assert not set(ALPHABET) & set("AEIOU0123456789V")

    @pytest.mark.parametrize("typed", ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "WDJB_MJHT"])
    def test_code_may_be_typed_in_any_way(self, typed: str) -> None:
        assert read_user_code(typed) == "WDJBMJHT"

    @pytest.mark.parametrize("typed", ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "x" * 1000, "WDJB-MJH0"])
    def test_text_that_is_no_code_is_not_counted(self, pairing: PairingService, typed: str) -> None:
        for _ in range(6):
            with pytest.raises(InvalidInput, match="code"):
                pairing.find(typed, RITA)
        assert pairing.find(start(pairing).user_code, RITA).name == "ritas-laptop"

    def test_secrets_are_in_no_repr_no_trail_and_no_store(
        self, pairing: PairingService, stores: Stores, clock: FrozenClock
    ) -> None:
        started = start(pairing)
        pairing.confirm(started.user_code, RITA)
        clock.advance(POLL)
        issued = pairing.exchange(started.device_code, "10.0.0.1")
        # The secret itself may have an underscore, so it is all that follows the second one.
        secrets = [each.get_secret_value().split("_", 2)[-1] for each in (started.device_code, issued.token)]
        kept = stores.devices.find_pairing(read_user_code(started.user_code))
        texts = [repr(started), repr(issued), repr(kept), repr(issued.device), str(issued.device.to_item())]
        texts += [str(entry.to_item()) for entry in stores.audit.export()]
        texts.append(str(kept.to_item() if kept is not None else ""))
        assert [secret for secret in secrets for text in texts if secret in text] == []


class TestConfirming:
    """Who confirmed, once."""

    def test_machine_gets_its_token_once(self, pairing: PairingService, stores: Stores, clock: FrozenClock) -> None:
        started = start(pairing)
        with pytest.raises(PairingWaiting):
            pairing.exchange(started.device_code, "10.0.0.1")
        assert pairing.confirm(started.user_code, RITA).status is PairingStatus.CONFIRMED
        clock.advance(POLL)
        issued = pairing.exchange(started.device_code, "10.0.0.9")
        device = issued.device
        assert (device.owner, device.name, device.address, device.service) == (
            RITA.id, "ritas-laptop", "10.0.0.1", None,
        )  # fmt: skip
        assert device.expires_at == clock.now() + timedelta(hours=12)
        assert trail(stores, device) == [("device_paired", "U0RITA")]
        (entry,) = stores.audit.get_chain(device.chain)
        assert entry.details["fetched_from"] == "10.0.0.9"
        clock.advance(POLL)
        with pytest.raises(PairingExpired, match="used"):
            pairing.exchange(started.device_code, "10.0.0.1")

    def test_confirming_twice_is_once(self, pairing: PairingService) -> None:
        started = start(pairing)
        first = pairing.confirm(started.user_code, RITA)
        assert pairing.confirm(started.user_code, RITA) == first
        assert pairing.confirm(started.user_code, person("W0RITA")) == first
        with pytest.raises(PairingExpired, match="confirmed already"):
            pairing.confirm(started.user_code, ANN)
        with pytest.raises(PairingExpired, match="confirmed already"):
            pairing.refuse(started.user_code, ANN)

    def test_refused_pairing_gives_nothing(self, pairing: PairingService, stores: Stores, clock: FrozenClock) -> None:
        started = start(pairing)
        pairing.confirm(started.user_code, RITA)
        assert pairing.refuse(started.user_code, RITA).status is PairingStatus.DENIED
        assert pairing.refuse(started.user_code, RITA).status is PairingStatus.DENIED
        clock.advance(POLL)
        with pytest.raises(PairingRefused):
            pairing.exchange(started.device_code, "10.0.0.1")
        with pytest.raises(PairingRefused):
            pairing.confirm(started.user_code, RITA)
        assert list(stores.devices.iterate()) == []
        assert {each.event for each in noted(stores)} == {AuditAction.PAIR_REFUSED}

    def test_code_lives_five_minutes(self, pairing: PairingService, clock: FrozenClock) -> None:
        waiting, confirmed = start(pairing), start(pairing)
        pairing.confirm(confirmed.user_code, RITA)
        clock.advance(CODE_LIFE)
        for attempt in (
            lambda: pairing.find(waiting.user_code, RITA),
            lambda: pairing.confirm(waiting.user_code, RITA),
            lambda: pairing.exchange(confirmed.device_code, "10.0.0.1"),
            lambda: pairing.exchange(waiting.device_code, "10.0.0.1"),
        ):
            with pytest.raises(PairingExpired):
                attempt()

    @pytest.mark.parametrize("code", ["csd_WDJBMJHT_" + "x" * 43, "junk", "", "cst_0123456789abcdef_" + "x" * 43])
    def test_device_code_that_nobody_gave_is_refused(self, pairing: PairingService, code: str) -> None:
        with pytest.raises(PairingExpired):
            pairing.exchange(SecretStr(code), "10.0.0.1")

    def test_user_code_alone_fetches_nothing(self, pairing: PairingService) -> None:
        started = start(pairing)
        pairing.confirm(started.user_code, RITA)
        letters = read_user_code(started.user_code)
        with pytest.raises(PairingExpired, match="isn't valid"):
            pairing.exchange(SecretStr(f"csd_{letters}_{'x' * 43}"), "10.0.0.1")

    def test_person_who_left_meanwhile_gets_no_device(
        self, pairing: PairingService, stores: Stores, clock: FrozenClock, directory: OfficeDirectory
    ) -> None:
        started = start(pairing)
        pairing.confirm(started.user_code, RITA)
        clock.advance(POLL)
        directory.fall_silent(RITA.id)
        with pytest.raises(NotKnown):
            pairing.exchange(started.device_code, "10.0.0.1")
        directory.answer_again()
        directory.leave(RITA.id)
        clock.advance(POLL)
        with pytest.raises(PairingRefused):
            pairing.exchange(started.device_code, "10.0.0.1")
        assert list(stores.devices.iterate()) == []

    def test_polls_that_come_too_fast_are_refused(self, pairing: PairingService, clock: FrozenClock) -> None:
        started, other = start(pairing), start(pairing)
        for step, expected in ((0, PairingWaiting), (3, PairingTooFast), (1, PairingWaiting), (5, PairingWaiting)):
            clock.advance(timedelta(seconds=step))
            with pytest.raises(expected):
                pairing.exchange(started.device_code, "10.0.0.1")
        with pytest.raises(PairingWaiting):
            pairing.exchange(other.device_code, "10.0.0.1")

    def test_pace_is_bounded_and_a_clock_may_go_back(self, clock: FrozenClock) -> None:
        pace = PollPace(clock)
        assert [pace.may_ask("a"), pace.may_ask("a")] == [True, False]
        clock.advance(-timedelta(hours=1))
        assert pace.may_ask("a")
        assert all(pace.may_ask(str(number)) for number in range(MAX_REMEMBERED))
        assert pace.may_ask("a")


class TestBounds:
    """Wrong codes and floods."""

    def test_fifth_wrong_code_locks_for_fifteen_minutes(
        self, pairing: PairingService, stores: Stores, clock: FrozenClock
    ) -> None:
        started = start(pairing)
        wrong = wrong_code(started.user_code)
        for left in (4, 3, 2, 1):
            with pytest.raises(PairingUnknown) as refused:
                pairing.find(wrong, RITA)
            assert refused.value.tries_left == left
        for _ in range(2):
            with pytest.raises(LimitReached, match="wrong pairing codes"):
                pairing.confirm(wrong, person("W0RITA"))
        with pytest.raises(LimitReached):
            pairing.confirm(started.user_code, RITA)
        assert pairing.find(started.user_code, ANN).name == "ritas-laptop"
        clock.advance(LOCK)
        assert pairing.confirm(start(pairing).user_code, RITA).person == RITA.id
        assert all(wrong not in str(each.to_item()) for each in noted(stores))

    def test_wrong_codes_typed_at_once_count_each(self, pairing: PairingService, stores: Stores) -> None:
        wrong = wrong_code(start(pairing).user_code)

        def guess(_number: int) -> str:
            try:
                pairing.find(wrong, RITA)
            except CountersignError as refused:
                return type(refused).__name__
            return "found"

        with ThreadPoolExecutor(4) as threads:
            said = list(threads.map(guess, range(8)))
        assert (said.count("PairingUnknown"), said.count("LimitReached")) == (4, 4)
        assert len(stores.devices.find_for_person(read_user_code(wrong), RITA.id)[1].wrong_at) == 5

    def test_open_pairings_are_bounded_in_all(
        self, pairing: PairingService, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.access.pairing_bounds.MAX_OPEN", MAX_OPEN_PER_ADDRESS + 3)
        for number in range(MAX_OPEN_PER_ADDRESS + 3):
            start(pairing, address=f"10.0.{number // MAX_OPEN_PER_ADDRESS}.1")
        with pytest.raises(LimitReached) as refused:
            start(pairing, address="10.0.99.1")
        assert refused.value.ends_at == A_MOMENT + CODE_LIFE
        clock.advance(CODE_LIFE)
        start(pairing, address="10.0.99.1")

    def test_addresses_of_one_customer_count_as_one(self, pairing: PairingService) -> None:
        for number in range(MAX_OPEN_PER_ADDRESS):
            start(pairing, address=f"2001:db8:1:2::{number:x}")
        with pytest.raises(LimitReached):
            start(pairing, address="2001:db8:1:2:ffff::1")
        start(pairing, address="2001:db8:1:3::1")

    @pytest.mark.parametrize(
        ("name", "agent", "address"), [("", "a", "b"), ("x" * 81, "a", "b"), ("x", "a" * 121, "b"), ("x\0", "a", "b")]
    )
    def test_what_a_machine_says_is_bounded(self, pairing: PairingService, name: str, agent: str, address: str) -> None:
        with pytest.raises(InvalidInput):
            pairing.start(name, agent, address)

    def test_what_hides_in_a_name_is_taken_out(self, pairing: PairingService) -> None:
        code = pairing.start("ann\u202eslaptop\u200b", "", "").user_code
        assert pairing.find(code, RITA).name == "annslaptop"


class TestServices:
    """A device for a service."""

    def test_owner_pairs_a_device_for_the_service(
        self, pairing: PairingService, stores: Stores, clock: FrozenClock
    ) -> None:
        started = start(pairing, "ci-deploy")
        for stranger in (ANN, BOB):
            with pytest.raises(NotAllowed, match="not the owner"):
                pairing.confirm(started.user_code, stranger)
        pairing.confirm(started.user_code, RITA)
        clock.advance(POLL)
        device = pairing.exchange(started.device_code, "10.0.0.1").device
        assert (device.service, device.owner, device.status) == ("ci-deploy", RITA.id, DeviceStatus.ACTIVE)
        (entry,) = stores.audit.get_chain(device.chain)
        assert entry.details["service"] == "ci-deploy"

    def test_nobody_pairs_for_a_service_that_is_not_there(self, pairing: PairingService) -> None:
        with pytest.raises(NotAllowed, match="no service ci-old"):
            pairing.confirm(start(pairing, "ci-old").user_code, RITA)
        with pytest.raises(InvalidInput, match="service"):
            start(pairing, "CI Deploy")

    def test_new_owner_between_confirming_and_fetching(
        self, pairing: PairingService, policy: ChangingPolicy, clock: FrozenClock
    ) -> None:
        started = start(pairing, "ci-deploy")
        pairing.confirm(started.user_code, RITA)
        policy.policy = ChangingPolicy(POLICY + SERVICES.replace("U0RITA", "U0ANN")).policy
        clock.advance(POLL)
        with pytest.raises(PairingRefused, match="not the owner"):
            pairing.exchange(started.device_code, "10.0.0.1")


def test_pairing_that_was_changed_meanwhile_is_judged_again(pairing: PairingService, stores: Stores) -> None:
    started = start(pairing)
    before = stores.devices.find_pairing(read_user_code(started.user_code))
    pairing.confirm(started.user_code, RITA)
    assert isinstance(before, Pairing)
    with pytest.raises(ConcurrentModification):
        stores.devices.put_pairing(before.confirm(ANN.id, A_MOMENT))
    assert before.kept_until() == A_MOMENT + KEPT_FOR

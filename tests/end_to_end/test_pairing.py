"""A person pairs a terminal by its code, hears of it, sees it in Home, and ends it: all of it through Slack."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.views.devices.list import END_DEVICE
from bot.views.devices.notices import NOT_ME
from bot.views.devices.pairing import CODE, FOREIGN, OWN, WHOSE
from bot.views.inputs import ANSWER
from core.access.device import Device, DeviceId, DeviceStatus
from core.access.pairing import PairingRefused, PairingWaiting
from core.access.pairing_bounds import LOCK, MAX_WRONG
from core.request import RequestStatus
from tests.end_to_end.harness import AIKO, GUEST, JON, MIRA, PAIRS, POLICY, Harness, said, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.services.pairing import StartedPairing
    from core.stores.base import Stores
    from localslack.answer import Answer
    from localslack.records import SlackMessage
    from tests.harness.clock import FrozenClock

HOST: Final = "miras-laptop <!channel> *bold*"
WHERE: Final = "192.0.2.7"
SERVICES: Final = f"\nservices: {{ci-deploy: {{owner: {JON}, may: [prod], max_duration: 30m}}}}\n".encode()


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, policy=POLICY + SERVICES) as harness:
        yield harness


def _start(harness: Harness, service: str | None = None) -> StartedPairing:
    """What `countersign login` does."""
    return harness.services.pairing.start(HOST, "countersign/1 (linux)", WHERE, service)


def _answer(harness: Harness, user: str, block: str, value: str) -> Answer:
    """Fill in the one field of the form on somebody's screen, and submit it."""
    return harness.slack.submit(user, harness.modal(user), {block: {ANSWER: value}})


def _fetch(harness: Harness, started: StartedPairing) -> Device:
    harness.clock.advance(timedelta(seconds=6))
    device = harness.services.pairing.exchange(started.device_code, WHERE).device
    harness.deliver()
    return device


def _pair(harness: Harness, user: str = MIRA) -> Device:
    started = _start(harness)
    harness.access(user, f"pair {started.user_code}")
    assert "Confirmed" in said(_answer(harness, user, WHOSE, OWN))
    return _fetch(harness, started)


def _message_about(harness: Harness, device: Device) -> SlackMessage:
    found = harness.slack.wait_until(
        lambda: next((each for each in harness.slack.dm(device.owner) if device.id in str(each.blocks)), None)
    )
    assert found is not None
    return found


@pytest.mark.parametrize("write", [str, str.lower, lambda code: code.replace("-", ""), lambda code: f" `{code}` "])
def test_code_in_any_form_shows_the_terminal(harness: Harness, write: object) -> None:
    started = _start(harness)
    assert callable(write)
    harness.access(MIRA, f"pair {write(started.user_code)}")
    shown = said_in(harness)

    assert all(part in shown for part in (HOST, WHERE, "countersign/1 (linux)", started.user_code))
    assert "Only pair a terminal that you started yourself just now" in shown
    assert "Nobody from IT will ever ask you to type a code" in shown


def test_terminal_is_paired_only_by_the_submitted_form(harness: Harness) -> None:
    started = _start(harness)
    harness.access(MIRA, f"pair {started.user_code}")
    with pytest.raises(PairingWaiting):
        harness.services.pairing.exchange(started.device_code, WHERE)
    _answer(harness, MIRA, WHOSE, OWN)

    assert _fetch(harness, started).owner == MIRA


def test_code_can_be_typed_into_a_form(harness: Harness) -> None:
    started = _start(harness)
    harness.access(MIRA, "pair")
    wrong = _answer(harness, MIRA, CODE, "BCDF-GHJK")
    assert "4 attempts left" in wrong.errors[CODE]
    shown = _answer(harness, MIRA, CODE, started.user_code.lower())

    assert HOST in said(shown)
    assert "Confirmed" in said(_answer(harness, MIRA, WHOSE, OWN))


def test_wrong_codes_are_counted_and_lock(harness: Harness) -> None:
    left = [said(harness.access(MIRA, "pair BCDF-GHJK")) for _ in range(MAX_WRONG)]
    started = _start(harness)
    locked = said(harness.access(MIRA, f"pair {started.user_code}"))

    assert "4 attempts left" in left[0]
    assert "Too many wrong codes" in locked
    assert "try again after" in locked
    assert HOST in said_of(harness, AIKO, started), "others can still pair"
    harness.clock.advance(LOCK)
    again = _start(harness)
    assert HOST in said_of(harness, MIRA, again)


def test_what_cannot_be_a_code_costs_no_try(harness: Harness) -> None:
    for text in ("pair 12345678", "pair hello", "pair BCDF"):
        assert "isn't a pairing code" in said(harness.access(MIRA, text))

    assert "4 attempts left" in said(harness.access(MIRA, "pair BCDF-GHJK"))


def test_person_who_did_not_start_it_refuses(harness: Harness) -> None:
    started = _start(harness)
    harness.access(MIRA, f"pair {started.user_code}")

    assert "Refused" in said(_answer(harness, MIRA, WHOSE, FOREIGN))
    with pytest.raises(PairingRefused):
        harness.services.pairing.exchange(started.device_code, WHERE)


def test_old_and_used_codes_are_refused(harness: Harness) -> None:
    started, used = _start(harness), _start(harness)
    harness.access(MIRA, f"pair {used.user_code}")
    _answer(harness, MIRA, WHOSE, OWN)
    _fetch(harness, used)

    assert "used already" in said(harness.access(AIKO, f"pair {used.user_code}"))
    harness.clock.advance(timedelta(minutes=5))
    assert "has expired" in said(harness.access(MIRA, f"pair {started.user_code}"))


def test_guests_pair_nothing(harness: Harness) -> None:
    started = _start(harness)

    assert "can't do this" in said(harness.access(GUEST, f"pair {started.user_code}"))


def test_service_is_paired_by_its_owner_only(harness: Harness) -> None:
    started = _start(harness, "ci-deploy")
    refused = said(harness.access(MIRA, f"pair {started.user_code}"))
    shown = said_of(harness, JON, started)

    assert "can't do this" in refused
    assert "service `ci-deploy`" in shown
    assert "You can't approve its requests" in shown


def test_new_device_is_announced_once_with_a_way_out(harness: Harness) -> None:
    device = _pair(harness)
    text = text_of(_message_about(harness, device))

    assert "A terminal was paired with your account" in text
    assert HOST in text
    assert WHERE in text
    assert len([each for each in harness.slack.dm(MIRA) if device.id in str(each.blocks)]) == 1


def test_stranger_is_ended_with_all_that_it_asked_for(harness: Harness) -> None:
    device = _pair(harness)
    message = _message_about(harness, device)
    why = "deploy the fix for INC-12"
    asked = harness.services.requests.submit(
        harness.actor(MIRA), "prod", timedelta(hours=2), why, idempotency_key="1", device=device.name
    )
    own = harness.ask(MIRA, "staging", "4h")
    harness.slack.press(MIRA, message, NOT_ME)
    reply = harness.next_reply(MIRA)

    assert harness.stores.devices.get(DeviceId(device.id)).status is DeviceStatus.REVOKED
    assert harness.status(asked) is RequestStatus.CANCELLED
    assert harness.status(own) is RequestStatus.PENDING
    assert "cancelled: `prod`" in reply
    assert "change your password" in reply
    alarm = harness.slack.wait_until(lambda: [each for each in harness.slack.messages(PAIRS) if device.id in str(each)])
    assert "didn't pair this device" in text_of(alarm[0])
    harness.slack.wait_until(lambda: NOT_ME not in str(_message_about(harness, device).blocks))


def test_home_lists_devices_and_ends_them(harness: Harness) -> None:
    device = _pair(harness)
    home = harness.home(MIRA)
    assert "miras-laptop" in str(home.blocks)
    assert "miras-laptop" not in str(harness.home(AIKO).blocks)
    assert "miras-laptop" in said(harness.access(MIRA, "devices"))
    harness.slack.press(MIRA, home, END_DEVICE)

    harness.slack.wait_until(lambda: _status(harness, device) is DeviceStatus.REVOKED)
    assert "No terminal is paired" in said(harness.access(MIRA, "devices"))


def test_nobody_ends_the_device_of_another(harness: Harness) -> None:
    device = _pair(harness)
    message = _message_about(harness, device)
    harness.slack.press(AIKO, message, NOT_ME)

    assert "can't do this" in harness.next_reply(AIKO)
    assert _status(harness, device) is DeviceStatus.ACTIVE


def said_in(harness: Harness, user: str = MIRA) -> str:
    return " ".join(map(str, harness.modal(user).blocks))


def said_of(harness: Harness, user: str, started: StartedPairing) -> str:
    harness.access(user, f"pair {started.user_code}")
    return said_in(harness, user)


def _status(harness: Harness, device: Device) -> DeviceStatus:
    return harness.stores.devices.get(DeviceId(device.id)).status

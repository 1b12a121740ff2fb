"""Recognising a device by its token, and ending it: every call is judged anew, and what can't be said is a no."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from core.access.device import Device, DeviceEnded, DeviceNotFound, DeviceStatus, TokenRefused, read_token, write_token
from core.actor import Actor
from core.clock import new_secret
from core.errors import InvalidStateTransition, NotAllowed, NotKnown
from core.services import DeviceService, PairingService
from tests.core.services.harness import ANN, BOB, POLICY, RITA, ChangingPolicy, noted, person, trail

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from core.services.pairing import IssuedDevice
    from core.stores import Stores
    from tests.harness.clock import FrozenClock
    from tests.harness.directory import OfficeDirectory

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SERVICES = "services:\n  ci-deploy: {owner: U0RITA, may: [prod], max_duration: 30m}\n"
REST = "same_person: [[U0RITA, W0RITA]]\nadmins: [U0BOB]\n"


class Terminals:
    """People who pair, and the service that recognises what they paired."""

    def __init__(self, stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory) -> None:
        self.stores = stores
        self.clock = clock
        self.pairing = PairingService(stores, policy, clock, directory=directory)
        self.devices = DeviceService(stores, policy, clock, directory=directory)

    def pair(self, owner: Actor = RITA, service: str | None = None) -> IssuedDevice:
        """A device that its owner paired just now."""
        started = self.pairing.start("laptop", "countersign 1.0", "10.0.0.1", service)
        self.pairing.confirm(started.user_code, owner)
        return self.pairing.exchange(started.device_code, "10.0.0.1")

    def last_used(self, device: Device) -> datetime | None:
        """When the store says that it was used."""
        (found,) = [each for each in self.stores.devices.list_active().items if each.id == device.id]
        return found.last_used_at


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy with a service, an admin, and a person with two ids."""
    return ChangingPolicy(POLICY + SERVICES + REST)


@pytest.fixture
def terminals(stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory) -> Terminals:
    """The services of one instance."""
    return Terminals(stores, policy, clock, directory)


class TestTokens:
    """Who calls."""

    def test_token_names_its_device_and_person(self, terminals: Terminals) -> None:
        issued = terminals.pair()
        user = terminals.devices.authenticate(issued.token)
        assert (user.device, user.actor, user.service) == (issued.device, Actor(id=RITA.id), None)
        service = terminals.pair(service="ci-deploy")
        user = terminals.devices.authenticate(service.token)
        assert (user.actor.id, user.actor.service, user.service) == (RITA.id, "ci-deploy", "ci-deploy")

    def test_every_other_token_is_refused(self, terminals: Terminals) -> None:
        issued, other = terminals.pair(), terminals.pair(ANN)
        device_id, secret = read_token(issued.token)
        for text in (
            "", "cst_", issued.token.get_secret_value() + "x", issued.token.get_secret_value()[:-1],
            write_token("00000000000000ff", secret).get_secret_value(),
            write_token(device_id, new_secret()).get_secret_value(),
            write_token(other.device.id, secret).get_secret_value(),
            f"cst_{device_id}_{issued.device.token_digest}", "é" * 64,
        ):  # fmt: skip
            with pytest.raises(TokenRefused):
                terminals.devices.authenticate(SecretStr(text))

    def test_device_ends_with_its_time(self, terminals: Terminals, clock: FrozenClock) -> None:
        issued = terminals.pair()
        clock.advance(12 * HOUR - timedelta(microseconds=1))
        terminals.devices.authenticate(issued.token)
        clock.advance(timedelta(microseconds=1))
        with pytest.raises(DeviceEnded) as ended:
            terminals.devices.authenticate(issued.token)
        assert ended.value.status is DeviceStatus.EXPIRED

    def test_shorter_age_in_the_policy_ends_older_devices(
        self, terminals: Terminals, policy: ChangingPolicy, clock: FrozenClock
    ) -> None:
        issued = terminals.pair()
        clock.advance(HOUR)
        policy.policy = ChangingPolicy(POLICY + SERVICES + REST + "devices: {max_age: 1h}\n").policy
        with pytest.raises(DeviceEnded):
            terminals.devices.authenticate(issued.token)
        assert terminals.devices.list_own(RITA) == ()
        assert [each.id for each in terminals.devices.expire_due()] == [issued.device.id]
        assert terminals.pair().device.expires_at == clock.now() + HOUR

    def test_deactivated_person_is_refused_at_once(
        self, terminals: Terminals, stores: Stores, directory: OfficeDirectory
    ) -> None:
        issued = terminals.pair()
        directory.fall_silent(RITA.id)
        with pytest.raises(NotKnown):
            terminals.devices.authenticate(issued.token)
        directory.answer_again()
        directory.leave(RITA.id)
        for _ in range(3):
            with pytest.raises(NotAllowed):
                terminals.devices.authenticate(issued.token)
        assert [(each.event.value, each.record) for each in noted(stores)] == [("device_refused", issued.device.chain)]

    @pytest.mark.parametrize("services", ["", SERVICES.replace("U0RITA", "U0ANN")])
    def test_service_that_left_or_changed_hands_is_refused(
        self, terminals: Terminals, policy: ChangingPolicy, services: str
    ) -> None:
        issued, own = terminals.pair(service="ci-deploy"), terminals.pair()
        policy.policy = ChangingPolicy(POLICY + services + REST).policy
        with pytest.raises(NotAllowed):
            terminals.devices.authenticate(issued.token)
        terminals.devices.authenticate(own.token)

    def test_use_is_written_once_a_minute(self, terminals: Terminals, clock: FrozenClock) -> None:
        issued = terminals.pair()
        used = []
        for step in (timedelta(), MINUTE / 2, MINUTE / 2, MINUTE):
            clock.advance(step)
            terminals.devices.authenticate(issued.token)
            used.append(terminals.last_used(issued.device))
        start = used[0]
        assert start is not None
        assert used == [start, start, start + MINUTE, start + 2 * MINUTE]

    def test_reader_writes_nothing(
        self, terminals: Terminals, stores: Stores, policy: ChangingPolicy, directory: OfficeDirectory
    ) -> None:
        issued = terminals.pair()
        reader = DeviceService(stores, policy, terminals.clock, directory=directory, notes_use=False)
        assert reader.authenticate(issued.token).device == issued.device
        assert terminals.last_used(issued.device) is None

    def test_failed_note_of_use_fails_no_call(
        self, terminals: Terminals, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        issued = terminals.pair()
        with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE UPDATE OF used_at ON devices BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        assert terminals.devices.authenticate(issued.token).actor.id == RITA.id
        assert "could not be written" in caplog.text


class TestEnding:
    """Revoking, leaving and expiring."""

    def test_owner_revokes_with_any_id(self, terminals: Terminals, stores: Stores) -> None:
        issued = terminals.pair()
        ended = terminals.devices.revoke(issued.device.id, person("W0RITA"))
        assert terminals.devices.revoke(issued.device.id, RITA) == ended
        assert trail(stores, ended) == [("device_paired", "U0RITA"), ("device_revoked", "U0RITA")]
        with pytest.raises(DeviceEnded) as refused:
            terminals.devices.authenticate(issued.token)
        assert refused.value.status is DeviceStatus.REVOKED

    def test_admin_revokes_any_and_others_none(self, terminals: Terminals, stores: Stores) -> None:
        issued = terminals.pair()
        with pytest.raises(NotAllowed):
            terminals.devices.revoke(issued.device.id, ANN)
        assert [each.event.value for each in noted(stores)] == ["device_refused"]
        terminals.devices.authenticate(issued.token)
        assert str(terminals.devices.revoke(issued.device.id, BOB).revoked_by) == BOB.id
        with pytest.raises(DeviceNotFound):
            terminals.devices.revoke("00000000000000ff", BOB)

    def test_service_ends_its_own_devices_only(self, terminals: Terminals) -> None:
        service, own = terminals.pair(service="ci-deploy"), terminals.pair()
        acting = terminals.devices.authenticate(service.token).actor
        with pytest.raises(NotAllowed, match="ci-deploy"):
            terminals.devices.revoke(own.device.id, acting)
        with pytest.raises(NotAllowed, match="ci-deploy"):
            terminals.devices.revoke_all(RITA.id, acting)
        assert [each.id for each in terminals.devices.list_own(acting)] == [service.device.id]
        assert len(terminals.devices.list_own(RITA)) == 2
        terminals.devices.revoke(service.device.id, acting)
        assert [each.id for each in terminals.devices.list_own(RITA)] == [own.device.id]

    def test_all_devices_of_a_person_end(self, terminals: Terminals) -> None:
        issued = [terminals.pair(), terminals.pair(person("W0RITA")), terminals.pair(ANN)]
        with pytest.raises(NotAllowed):
            terminals.devices.revoke_all(RITA.id, ANN)
        ended = terminals.devices.revoke_all(RITA.id, BOB)
        assert {each.id for each in ended.revoked} == {each.device.id for each in issued[:2]}
        assert ended.failed == ()
        terminals.devices.authenticate(issued[2].token)

    def test_departed_person_leaves_no_device(self, terminals: Terminals, stores: Stores) -> None:
        gone, service, other = terminals.pair(), terminals.pair(service="ci-deploy"), terminals.pair(person("W0RITA"))
        ended = terminals.devices.end_departed(RITA.id)
        assert {each.id for each in ended.revoked} == {gone.device.id, service.device.id}
        assert trail(stores, gone.device)[-1] == ("device_revoked", "clock")
        # A second account that is closed says nothing of the one in use.
        terminals.devices.authenticate(other.token)
        assert terminals.devices.end_departed(RITA.id).revoked == ()

    def test_expiry_is_recorded_once(self, terminals: Terminals, stores: Stores, clock: FrozenClock) -> None:
        issued = terminals.pair()
        assert terminals.devices.expire_due() == ()
        clock.advance(12 * HOUR)
        assert [each.status for each in terminals.devices.expire_due()] == [DeviceStatus.EXPIRED]
        assert terminals.devices.expire_due() == ()
        assert trail(stores, issued.device) == [("device_paired", "U0RITA"), ("device_expired", "clock")]
        with pytest.raises(InvalidStateTransition):
            terminals.devices.revoke(issued.device.id, RITA)

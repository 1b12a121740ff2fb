"""A device that its person never paired takes along what it asked for, and nothing of another one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.access.device import DeviceId
from core.directory import FixedDirectory
from core.services import SessionService
from core.services.device_ending import DeviceEnding
from core.services.devices import DeviceService
from tests.core.access.office import WHY, AccessOffice, OnePolicy
from tests.core.services.test_sessions import CountingIssuer
from tests.core.stores.device_bench import DeviceBench
from tests.core.targets.role_office import POLICY, RITA

if TYPE_CHECKING:
    from core.stores import Stores
    from tests.harness.clock import FrozenClock


def test_another_device_of_the_same_name_keeps_its_requests(stores: Stores, clock: FrozenClock) -> None:
    policy, directory, bench = OnePolicy(POLICY), FixedDirectory(), DeviceBench(stores, clock)
    office = AccessOffice(stores, clock, policy=policy)
    devices = DeviceService(stores, policy, clock, directory=directory)
    sessions = SessionService(stores, policy, clock, CountingIssuer(clock), directory=directory)
    mine, strange = (bench.pair(RITA.id, name="laptop") for _ in range(2))
    asked = {
        name: office.requests.submit(RITA, "prod", timedelta(hours=1), WHY, device="laptop", device_id=device_id)
        for name, device_id in (("mine", mine.id), ("strange", strange.id), ("older", None))
    }

    ended = DeviceEnding(stores, devices, sessions, office.requests).disown(DeviceId(strange.id), RITA)
    assert {each.id for each in ended.cancelled} == {asked["strange"].id, asked["older"].id}
    assert ended.failed == ()

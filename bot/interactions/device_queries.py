"""The devices of one person, for their lists and their Home tab.

Invariant: nobody is shown another person's devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from bot.interactions.access_queries import AccessQueries
from bot.interactions.list_pages import HomeList, cut_page
from bot.views.block_kit import Message
from bot.views.devices.list import device_page, device_row
from bot.views.home import HomeRow
from bot.views.home_state import SectionKey
from core.access.device import Device
from core.access.summary import AccessSummary
from core.actor import Actor
from core.clock import Clock
from core.errors import StoreError
from core.policy import PolicySource
from core.services.device_ending import EndedDevice
from core.services.devices import DeviceService


class DeviceQueries:
    """Reads for one person. Safe for threads. Everything here may raise StoreError."""

    def __init__(self, devices: DeviceService, access: AccessQueries, policy: PolicySource, clock: Clock) -> None:
        self._devices = devices
        self._access = access
        self._policy = policy
        self._clock = clock

    def page(self, person: Actor, number: int) -> Message:
        """One page of the person's devices, counted from 1."""
        shown, has_more = cut_page(iter(self._devices.list_own(person)), number)
        return device_page(shown, page=number, has_more=has_more, now=self._clock.now())

    def home_lists(self, person: Actor) -> tuple[HomeList[Device], ...]:
        """What the person's Home tab has of devices."""

        def draw(devices: Sequence[Device]) -> list[HomeRow]:
            now = self._clock.now()
            return [HomeRow(device.id, device_row(device, now)) for device in devices]

        return (HomeList(SectionKey.DEVICES, self._devices.list_own(person), draw),)

    def still_open(self, ended: EndedDevice, person: Actor) -> Sequence[AccessSummary]:
        """The person's access that was requested on a device which wasn't theirs. What can't be read is left out."""
        # What was committed is more important than what can still be read.
        with suppress(StoreError):
            own = self._access.own(person).accesses
            return [each for each in own if each.source in ended.open_sources]
        return ()

    def max_age(self) -> timedelta:
        """How long a device lives at most."""
        return self._policy.current().device_max_age

    def has_alarm(self) -> bool:
        """Whether the policy names a channel for the security team."""
        return self._policy.current().notifications.security_channel is not None

    def now(self) -> datetime:
        """The present moment."""
        return self._clock.now()

"""Devices and pairings in a store under test, made as the services make them.

Invariant: what is made is valid as it stands; a test says only what it is about.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.access.device import Device, DeviceId, DeviceNotFound, DeviceUser, digest_secret
from core.access.pairing import Pairing, read_device_code
from core.access.pairing_bounds import OpenPairings
from core.actor import CLOCK, Actor, DeciderId, ServiceName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.clock import format_time, new_id
from tests.builders import REQUESTER

if TYPE_CHECKING:
    from core.stores.base import Stores
    from core.stores.devices import DeviceStore
    from tests.harness.clock import FrozenClock

SECRET = "s" * 43


def a_device(owner: UserId, now: datetime, **changes: object) -> Device:
    """An active device, paired now for 12 hours."""
    device = Device(
        id=new_id(),
        owner=owner,
        name="laptop",
        agent="countersign 1.0",
        token_digest=digest_secret(SECRET),
        confirmed_at=now,
        created_at=now,
        updated_at=now,
        expires_at=now + timedelta(hours=12),
    )
    return device.replace(**changes) if changes else device


def paired(device: Device) -> EntryDraft:
    """The first entry of a device."""
    said = {name: value for name, value in device.to_item().items() if name in {"name", "agent", "address", "service"}}
    times = {"confirmed_at": format_time(device.confirmed_at), "expires_at": format_time(device.expires_at)}
    return EntryDraft.of(device, AuditAction.DEVICE_PAIRED, device.owner, {**said, **times})


def revoked(device: Device, by: DeciderId, now: datetime) -> tuple[Device, EntryDraft]:
    """The device after its revoke, and the entry."""
    after = device.revoke(by, now)
    return after, EntryDraft.of(after, AuditAction.DEVICE_REVOKED, by)


@dataclass
class DeviceBench:
    """The store of devices, and the clock."""

    stores: Stores
    clock: FrozenClock
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def store(self) -> DeviceStore:
        """The store under test."""
        return self.stores.devices

    def start(self, name: str = "laptop", address: str = "10.0.0.1") -> tuple[Pairing, str]:
        """A pairing that waits, and its letters."""
        pairing, code = Pairing.start(name, "", address, None, self.clock.now())
        letters, _ = read_device_code(code)
        return self.store.start_pairing(pairing, self.store.get_open_pairings().add(pairing, self.clock.now())), letters

    def confirm(self, pairing: Pairing, person: UserId = REQUESTER) -> Pairing:
        """The same, confirmed by somebody."""
        return self.store.put_pairing(pairing.confirm(person, self.clock.now()))

    def pair(self, owner: UserId = REQUESTER, **changes: object) -> Device:
        """A device, through a pairing of its own."""
        pairing, _ = self.start()
        return self.use(self.confirm(pairing, owner), a_device(owner, self.clock.now(), **changes))

    def user(self, person: Actor, number: int = 1, service: str | None = None) -> DeviceUser:
        """Somebody on one of their devices; it is paired when it is first used."""
        name = ServiceName(service) if service is not None else None
        device_id = hashlib.sha256(f"{person.id} {number} {service}".encode()).hexdigest()[:16]
        with self.lock:
            try:
                device = self.store.get(DeviceId(device_id))
            except DeviceNotFound:
                device = self.pair(person.id, id=device_id, name=f"host-{number}", service=name)
        return DeviceUser(device, person.model_copy(update={"service": name}))

    def use(self, pairing: Pairing, device: Device) -> Device:
        """The device that a pairing becomes."""
        used = pairing.use(DeviceId(device.id), self.clock.now())
        return self.store.create(device, paired(device), used)

    def revoke(self, device: Device) -> Device:
        """The device, revoked by its owner."""
        return self.store.update(*revoked(device, DeciderId(device.owner), self.clock.now()))

    def expire(self, device: Device) -> Device:
        """The device, expired by the clock."""
        after = device.expire(self.clock.now())
        return self.store.update(after, EntryDraft.of(after, AuditAction.DEVICE_EXPIRED, CLOCK))


def waiting(store: DeviceStore) -> int:
    """How many pairings the list has."""
    found: OpenPairings = store.get_open_pairings()
    return len(found.waiting)

"""What every store promises about devices: the paired ones, and the pairings that wait.

Invariant: a device is made in the transaction that uses its pairing, so that one code makes one device. A pairing, the
wrong codes of a person and the list of what waits each replace only the version that was read. Pairings are forgotten
after a day; they have no audit chain, because anybody may start one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.access.device import AWAITS_DEVICE_END, Device, DeviceId, DeviceStatus
from core.access.pairing import Pairing
from core.access.pairing_bounds import OpenPairings, PairingTries
from core.actor import UserId
from core.audit.trail import EntryDraft
from core.directory import DirectoryNotes
from core.stores.record_store import DEFAULT_LIMIT, Page, RecordStore


def is_first_version(device: Device) -> bool:
    """True for a device that nothing happened to: its end is its second and last entry."""
    return device.status is DeviceStatus.ACTIVE and device.audit_length == 1


class DeviceStore(RecordStore[Device, DeviceStatus], Protocol):
    """The devices and the pairings."""

    def get(self, device_id: DeviceId) -> Device:
        """Read one device, consistently. Raises DeviceNotFound, MalformedRecord, StoreUnavailable."""
        ...

    def get_with_notes(self, device_id: DeviceId) -> tuple[Device, DirectoryNotes]:
        """The same, with the notes of changes in the directory, in one read; see RequestStore.get_with_notes.

        Raises BrokenSeal, with the alarm, for one that ended and was put back as it was before.
        """
        ...

    def create(self, device: Device, entry: EntryDraft, pairing: Pairing) -> Device:
        """Store a new device with its entry, and the pairing that it used up.

        Raises DeviceExists, StoreUnavailable; ConcurrentModification when the pairing was changed since it was read.
        """
        ...

    def update(self, device: Device, entry: EntryDraft) -> Device:
        """Replace the device that was read with `device.updated_at`; see RequestStore.update."""
        ...

    def note_use(self, device: Device, at: datetime) -> None:
        """Write when the device was last used, beside it; nothing for one that is gone. Raises StoreUnavailable."""
        ...

    def get_open_pairings(self) -> OpenPairings:
        """What waits. One that can't be read counts as empty and may be replaced. Raises StoreUnavailable."""
        ...

    def start_pairing(self, pairing: Pairing, waiting: OpenPairings) -> Pairing:
        """Store a new pairing, and what waits now.

        Raises ConcurrentModification when its code is taken or the list changed; StoreUnavailable.
        """
        ...

    def find_pairing(self, letters: str) -> Pairing | None:
        """The pairing with this code, read consistently. Raises MalformedRecord, StoreUnavailable."""
        ...

    def find_for_person(self, letters: str, person: UserId) -> tuple[Pairing | None, PairingTries, DirectoryNotes]:
        """The same, with the wrong codes of a person and the notes of changes in the directory, in one read."""
        ...

    def put_pairing(self, pairing: Pairing) -> Pairing:
        """Replace the pairing that was read. Raises ConcurrentModification, StoreUnavailable."""
        ...

    def put_tries(self, tries: PairingTries) -> PairingTries:
        """Replace the wrong codes that were read. Raises ConcurrentModification, StoreUnavailable."""
        ...

    def list_by_person(
        self, person: UserId, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Device]:
        """One person's devices, newest first."""
        return self.list_page("owner", person, limit=limit, cursor=cursor, since=since)

    def list_active(
        self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, since: datetime | None = None
    ) -> Page[Device]:
        """The devices that are neither revoked nor recorded as expired, newest first."""
        return self.list_page("awaits", AWAITS_DEVICE_END, limit=limit, cursor=cursor, since=since)

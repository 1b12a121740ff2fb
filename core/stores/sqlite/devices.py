"""Devices and pairings in SQLite: a device is a record, and everything about pairing is a ledger.

Invariant: a device is stored in the transaction that uses its pairing. When it was last used stands beside the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.access.device import Device, DeviceId
from core.access.pairing import Pairing
from core.access.pairing_bounds import OpenPairings, PairingTries
from core.actor import UserId
from core.audit.trail import EntryDraft
from core.clock import format_time
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.stores.commit import StoreSettings
from core.stores.devices import DeviceStore, is_first_version
from core.stores.record_store import Page
from core.stores.right_state import tell_rolled_back
from core.stores.schema import AWAITS_ATTRIBUTE
from core.stores.seals import SealAlarm, SealedLedger, as_written, seal_ledger
from core.stores.sqlite.audit import has_entry
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import notes_among
from core.stores.sqlite.ledgers import find_ledgers, replace_raw, write_ledgers
from core.stores.sqlite.records import COPIED, SqliteRecords


class SqliteDevices(SqliteRecords[Device], DeviceStore):
    """The DeviceStore in SQLite."""

    _copied = tuple(name for name in COPIED if name != "profile")
    _further_columns = (AWAITS_ATTRIBUTE,)

    def __init__(self, database: Database, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(database, settings, alarm, "devices", Device)

    def get(self, device_id: DeviceId) -> Device:
        """Read one device."""
        return self._with_uses((self._get(device_id),))[0]

    def get_with_notes(self, device_id: DeviceId) -> tuple[Device, DirectoryNotes]:
        """Read one device and the notes of changes in the directory, from the same moment."""
        device, notes = self._get_with_notes(device_id)
        with self._database.read() as connection:
            has_ended = has_entry(connection, device.chain, 2)
        if has_ended and is_first_version(device) and is_first_version(self.get(device_id)):
            raise tell_rolled_back(device, self._alarm)
        return self._with_uses((device,))[0], notes

    def create(self, device: Device, entry: EntryDraft, pairing: Pairing) -> Device:
        """Store a new device with its entry, and the pairing that it used up."""
        with self._database.write() as connection:
            write_ledgers(connection, (self._seal(pairing),))
            return self.insert(connection, device, (entry,))

    def update(self, device: Device, entry: EntryDraft) -> Device:
        """Replace the device that was read."""
        with self._database.write() as connection:
            return self.replace(connection, device, (entry,))

    def note_use(self, device: Device, at: datetime) -> None:
        """Write when the device was last used, beside it."""
        with self._database.write() as connection:
            connection.execute("UPDATE devices SET used_at = ? WHERE id = ?", (format_time(at), device.id))

    def get_open_pairings(self) -> OpenPairings:
        """What waits; an empty list, which may replace it, if it can't be read."""
        with self._database.read() as connection:
            try:
                return self._read_ledger(OpenPairings(), find_ledgers(connection, OpenPairings()))
            except MalformedRecord:
                return replace_raw(connection, OpenPairings())

    def start_pairing(self, pairing: Pairing, waiting: OpenPairings) -> Pairing:
        """Store a new pairing, and what waits now."""
        sealed = self._seal(pairing)
        with self._database.write() as connection:
            write_ledgers(connection, (sealed, self._seal(waiting)))
        return as_written(pairing, sealed)

    def find_pairing(self, letters: str) -> Pairing | None:
        """The pairing with this code."""
        sought = Pairing.sought(letters)
        with self._database.read() as connection:
            return self._found(sought, find_ledgers(connection, sought))

    def find_for_person(self, letters: str, person: UserId) -> tuple[Pairing | None, PairingTries, DirectoryNotes]:
        """The same, with the wrong codes of a person and the directory's notes, from the same moment."""
        sought, tries = Pairing.sought(letters), PairingTries.of(person)
        with self._database.read() as connection:
            found = find_ledgers(connection, sought, tries, DirectoryNotes())
        return self._found(sought, found), self._read_ledger(tries, found), notes_among(found, self._settings)

    def put_pairing(self, pairing: Pairing) -> Pairing:
        """Replace the pairing that was read."""
        sealed = self._seal(pairing)
        with self._database.write() as connection:
            write_ledgers(connection, (sealed,))
        return as_written(pairing, sealed)

    def put_tries(self, tries: PairingTries) -> PairingTries:
        """Replace the wrong codes that were read."""
        sealed = self._seal(tries)
        with self._database.write() as connection:
            write_ledgers(connection, (sealed,))
        return as_written(tries, sealed)

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[Device]:
        """The devices whose attribute has this value, newest first."""
        page = super().list_page(attribute, value, limit=limit, cursor=cursor, since=since)
        return Page(self._with_uses(page.items), page.cursor, page.malformed)

    def _found(self, sought: Pairing, found: dict[str, str]) -> Pairing | None:
        return self._read_ledger(sought, found) if sought.owner in found else None

    def _seal(self, ledger: Ledger) -> SealedLedger:
        return seal_ledger(ledger, self._settings.clock.now(), self._settings.keyring)

    def _with_uses(self, devices: Sequence[Device]) -> tuple[Device, ...]:
        """The same devices, with when each was last used, if anything readable says so."""
        marks = ", ".join("?" for _ in devices)
        with self._database.read() as connection:
            used = dict(
                connection.execute(
                    f"SELECT id, used_at FROM devices WHERE id IN ({marks})",  # noqa: S608 - question marks
                    tuple(each.id for each in devices),
                ).fetchall()
            )
        return tuple(each.used_at(used.get(each.id)) for each in devices)

    def _further(self, record: Device) -> dict[str, str | None]:
        return {AWAITS_ATTRIBUTE: record.awaits}

"""Devices in DynamoDB, in the table of the grants; everything about pairing is a ledger, in the table of the ledgers.

Invariant: a device is stored in one step with the pairing that it uses up. When it was last used stands beside the
record: no condition and no seal depends on it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar

from pydantic import JsonValue

from core.access.device import Device, DeviceId
from core.access.pairing import Pairing
from core.access.pairing_bounds import OpenPairings, PairingTries
from core.actor import UserId
from core.audit.trail import EntryDraft
from core.clock import format_time, new_id
from core.directory import DirectoryNotes
from core.errors import ConcurrentModification, MalformedRecord
from core.ledger import Ledger
from core.record import check_record_id
from core.stores.commit import Commit, StoreSettings, missing, prepare_create, prepare_update
from core.stores.devices import DeviceStore, is_first_version
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.directory import find_notes, notes_key
from core.stores.dynamodb.entries import place_key
from core.stores.dynamodb.items import Item, to_attributes
from core.stores.dynamodb.layout import DEVICE_BODY
from core.stores.dynamodb.ledgers import ledger_key, put_ledgers, replace_raw
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.records import DynamoRecords
from core.stores.record_store import Page
from core.stores.right_state import tell_rolled_back
from core.stores.schema import ACCESS, AWAITS_ATTRIBUTE
from core.stores.seals import SEAL, SealAlarm, SealedLedger, as_written, seal_ledger

E = TypeVar("E", bound=Ledger)
USED_AT: Final = "used_at"
"""When a device was last used: beside the record, because it changes at every call."""
_PERSON_INDEX: Final = "grantee"


class DynamoDevices(DynamoRecords[Device], DeviceStore):
    """The DeviceStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(connection, prefix, settings, alarm, table=ACCESS, kind=Device, body=DEVICE_BODY)

    def get(self, device_id: DeviceId) -> Device:
        """Read one device, consistently."""
        return self._get(device_id)

    def get_with_notes(self, device_id: DeviceId) -> tuple[Device, DirectoryNotes]:
        """Read one device and the notes of changes in the directory, in one round trip."""
        key = self._key(check_record_id(device_id))
        after_first = place_key(f"{Device.KIND}#{device_id}", 2)
        found = self._connection.get_batch(
            {self._table: [key], self._ledger_table: [notes_key()], self._audit_table: [after_first]}
        )
        if not found[self._table]:
            raise missing(Device, device_id)
        device = self._read(found[self._table][0])
        if found[self._audit_table] and is_first_version(device) and is_first_version(self.get(device_id)):
            raise tell_rolled_back(device, self._alarm)
        return device, find_notes(found[self._ledger_table], self._settings)

    def create(self, device: Device, entry: EntryDraft, pairing: Pairing) -> Device:
        """Store a new device with its entry, and the pairing that it used up."""
        commit = prepare_create(device, (entry,), self._settings)
        used = put_ledgers(self._ledger_table, [self._seal(pairing)])
        return self._commit(commit, used, is_beside_first=True)

    def update(self, device: Device, entry: EntryDraft) -> Device:
        """Replace the device that was read."""
        return self._commit(prepare_update(self.prove(device), (entry,), self._settings))

    def note_use(self, device: Device, at: datetime) -> None:
        """Write when the device was last used, beside it."""
        with suppress(ConditionFailed):
            self._connection.write(
                "update_item",
                TableName=self._table,
                Key=self._key(device.id),
                UpdateExpression="SET #used = :at",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#used": USED_AT},
                ExpressionAttributeValues={":at": {"S": format_time(at)}},
            )

    def get_open_pairings(self) -> OpenPairings:
        """What waits; an empty list, which may replace it, if it can't be read."""
        found = self._find_ledgers(ledger_key(OpenPairings()))
        try:
            return self._read_ledger(OpenPairings(), found)
        except MalformedRecord:
            return replace_raw(OpenPairings(), found)

    def start_pairing(self, pairing: Pairing, waiting: OpenPairings) -> Pairing:
        """Store a new pairing, and what waits now."""
        return self._put(pairing, waiting)

    def find_pairing(self, letters: str) -> Pairing | None:
        """The pairing with this code, read consistently."""
        sought = Pairing.sought(letters)
        return self._found(sought, self._find_ledgers(ledger_key(sought)))

    def find_for_person(self, letters: str, person: UserId) -> tuple[Pairing | None, PairingTries, DirectoryNotes]:
        """The same, with the wrong codes of a person and the directory's notes, in one round trip."""
        sought, tries = Pairing.sought(letters), PairingTries.of(person)
        found = self._find_ledgers(ledger_key(sought), ledger_key(tries), notes_key())
        notes = find_notes(found.values(), self._settings)
        return self._found(sought, found), self._read_ledger(tries, found), notes

    def put_pairing(self, pairing: Pairing) -> Pairing:
        """Replace the pairing that was read."""
        return self._put(pairing)

    def put_tries(self, tries: PairingTries) -> PairingTries:
        """Replace the wrong codes that were read."""
        return self._put(tries)

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[Device]:
        """The devices whose attribute has this value, newest first, from an index that they share with the grants."""
        index = _PERSON_INDEX if attribute == "owner" else attribute
        return super().list_page(index, value, limit=limit, cursor=cursor, since=since)

    def _put(self, ledger: E, *others: Ledger) -> E:
        """Replace these ledgers, all or none. Raises ConcurrentModification."""
        sealed = [self._seal(ledger), *map(self._seal, others)]
        try:
            self._connection.transact(put_ledgers(self._ledger_table, sealed).writes, new_id())
        except ConditionFailed as failure:
            # Written by an earlier attempt, whose answer was lost: nobody else writes this seal.
            stored = self._find_ledgers(ledger_key(ledger)) if failure.is_retry else {}
            if not any(item.get(SEAL) == {"S": sealed[0].item[SEAL]} for item in stored.values()):
                raise ConcurrentModification(ledger.key) from failure
        return as_written(ledger, sealed[0])

    def _found(self, sought: Pairing, found: dict[str, Item]) -> Pairing | None:
        return self._read_ledger(sought, found) if ledger_key(sought)["pk"]["S"] in found else None

    def _find_ledgers(self, *keys: Item) -> dict[str, Item]:
        items = self._connection.get_many(self._ledger_table, keys)
        return {str(item["pk"]["S"]): item for item in items}

    def _seal(self, ledger: Ledger) -> SealedLedger:
        return seal_ledger(ledger, self._settings.clock.now(), self._settings.keyring)

    def _read(self, raw: Item) -> Device:
        return super()._read(raw).used_at(raw.get(USED_AT, {}).get("S"))

    def _item(self, commit: Commit[Device]) -> Item:
        used = commit.record.last_used_at
        return super()._item(commit) | to_attributes({USED_AT: format_time(used) if used is not None else None})

    def _beside(self, record: Device) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = {
            _PERSON_INDEX: self._layout.value(record.owner), "status": self._layout.value(record.status)
        }  # fmt: skip
        awaits = self._layout.value(record.awaits) if record.awaits is not None else None
        return {**found, AWAITS_ATTRIBUTE: awaits, "created_at": format_time(record.created_at)}

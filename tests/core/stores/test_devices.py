"""What every store of devices promises, on each engine: one pairing makes one device, and nothing moves unseen."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from core.access.device import DeviceExists, DeviceId, DeviceNotFound, DeviceStatus
from core.access.pairing import KEPT_FOR, PairingStatus
from core.access.pairing_bounds import MAX_OPEN_PER_ADDRESS, PairingTries
from core.actor import UserId
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.errors import (
    BrokenSeal,
    ConcurrentModification,
    CountersignError,
    FixedFactChanged,
    InvalidStateTransition,
    LimitReached,
)
from core.stores.base import DEFAULT_RETENTION
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.deployment import Role, iam_policy
from core.stores.schema import ACCESS
from core.stores.sqlite import SqliteStores
from tests.builders import APPROVER, REQUESTER
from tests.core.stores.device_bench import DeviceBench, a_device, paired, revoked, waiting
from tests.core.stores.harness import KEYRING, DynamoHarness, SqliteHarness
from tests.core.stores.test_cut_replies import through
from tests.harness import faults
from tests.harness.clock import A_MOMENT
from tests.harness.iam import IamClient, NotAllowedByIamError
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.access.device import Device
    from tests.core.stores.harness import StoreHarness
    from tests.harness.clock import FrozenClock

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
NOBODY = DeviceId("00000000000000ff")


@pytest.fixture
def bench(harness: StoreHarness, clock: FrozenClock) -> DeviceBench:
    """Devices on each engine in turn."""
    return DeviceBench(harness.stores, clock)


def test_device_that_ended_and_is_put_back_is_refused(bench: DeviceBench, harness: StoreHarness) -> None:
    device = bench.pair()
    stored = harness.stored(device)
    assert stored is not None
    assert bench.store.get_with_notes(DeviceId(device.id))[0] == device
    bench.revoke(device)
    harness.put_back(device, stored)
    with pytest.raises(BrokenSeal, match="older version"):
        bench.store.get_with_notes(DeviceId(device.id))


def _race(*attempts: Callable[[], object]) -> int:
    """How many of these, made at once, succeeded."""
    start = Barrier(len(attempts))

    def run(attempt: Callable[[], object]) -> bool:
        start.wait()
        try:
            attempt()
        except CountersignError:
            return False
        return True

    with ThreadPoolExecutor(len(attempts)) as threads:
        return sum(threads.map(run, attempts))


def _findings(harness: StoreHarness) -> list[str]:
    return [f"{each.chain}: {each.text}" for each in verify_trail(harness.stores, KEYRING, harness.clock.now())]


class TestPairings:
    """Waiting, confirming and using."""

    def test_pairing_is_found_by_its_code_alone(self, bench: DeviceBench) -> None:
        pairing, letters = bench.start()
        assert bench.store.find_pairing(letters) == pairing
        assert bench.store.find_pairing("BBBBBBBB") is None
        found, tries, _ = bench.store.find_for_person(letters, REQUESTER)
        assert (found, tries.wrong_at) == (pairing, ())

    def test_code_that_is_taken_starts_nothing(self, bench: DeviceBench) -> None:
        pairing, _ = bench.start()
        again = pairing.model_copy(update={"updated_at": None, "name": "other"})
        with pytest.raises(ConcurrentModification):
            bench.store.start_pairing(again, bench.store.get_open_pairings())
        assert waiting(bench.store) == 1

    def test_two_starts_on_one_list_are_one(self, bench: DeviceBench) -> None:
        before = bench.store.get_open_pairings()
        pairing, letters = bench.start()
        other = pairing.model_copy(update={"owner": "PAIRING#code#CCCCCCCC", "updated_at": None})
        with pytest.raises(ConcurrentModification):
            bench.store.start_pairing(other, before.add(other, A_MOMENT))
        assert bench.store.find_pairing("CCCCCCCC") is None
        assert bench.store.find_pairing(letters) is not None

    def test_flood_from_one_address_ends_at_its_bound(self, bench: DeviceBench, harness: StoreHarness) -> None:
        harness.exempt("dynamodb_local", "nothing but the ledger counts, and there is none of its own")
        for _ in range(MAX_OPEN_PER_ADDRESS):
            bench.start()
        with pytest.raises(LimitReached, match="open pairings"):
            bench.start()
        bench.start(address="10.0.0.2")
        bench.clock.advance(timedelta(minutes=5))
        bench.start()
        assert waiting(bench.store) == 1

    def test_of_two_confirmations_one_wins(self, bench: DeviceBench, harness: StoreHarness) -> None:
        pairing, letters = bench.start()
        other = DeviceBench(harness.open(), bench.clock)
        assert _race(lambda: bench.confirm(pairing, REQUESTER), lambda: other.confirm(pairing, APPROVER)) == 1
        found = bench.store.find_pairing(letters)
        assert found is not None
        assert (found.status, found.person in {REQUESTER, APPROVER}) == (PairingStatus.CONFIRMED, True)

    def test_one_pairing_makes_one_device(self, bench: DeviceBench, harness: StoreHarness) -> None:
        pairing, letters = bench.start()
        confirmed = bench.confirm(pairing)
        other = DeviceBench(harness.open(), bench.clock)
        devices = [a_device(REQUESTER, A_MOMENT), a_device(REQUESTER, A_MOMENT)]
        assert _race(lambda: bench.use(confirmed, devices[0]), lambda: other.use(confirmed, devices[1])) == 1
        (stored,) = bench.store.list_by_person(REQUESTER).items
        used = bench.store.find_pairing(letters)
        assert used is not None
        assert (used.status, used.device) == (PairingStatus.USED, stored.id)

    def test_device_that_exists_leaves_its_pairing(self, bench: DeviceBench) -> None:
        device = bench.pair()
        pairing, letters = bench.start()
        with pytest.raises(DeviceExists):
            bench.use(bench.confirm(pairing), device.replace(audit_head="", audit_length=0))
        found = bench.store.find_pairing(letters)
        assert found is not None
        assert found.status is PairingStatus.CONFIRMED

    def test_wrong_codes_are_counted_exactly(self, bench: DeviceBench, harness: StoreHarness) -> None:
        _, tries, _ = bench.store.find_for_person("BBBBBBBB", REQUESTER)
        other = harness.open().devices
        wrong = tries.count_wrong(A_MOMENT)
        assert _race(lambda: bench.store.put_tries(wrong), lambda: other.put_tries(wrong)) == 1
        assert len(bench.store.find_for_person("BBBBBBBB", REQUESTER)[1].wrong_at) == 1
        assert bench.store.find_for_person("BBBBBBBB", APPROVER)[1] == PairingTries.of(APPROVER)

    def test_changed_pairing_is_refused_with_an_alarm(self, bench: DeviceBench, harness: StoreHarness) -> None:
        pairing, letters = bench.start()
        harness.spoil_ledger(pairing.owner, {"name": "somebody-else"})
        with pytest.raises(BrokenSeal):
            bench.store.find_pairing(letters)
        with pytest.raises(BrokenSeal):
            bench.store.find_for_person(letters, REQUESTER)

    def test_damaged_list_keeps_nobody_from_pairing(self, bench: DeviceBench, harness: StoreHarness) -> None:
        bench.start()
        harness.spoil_ledger(bench.store.get_open_pairings().owner, {"waiting": "junk"})
        bench.start()
        assert waiting(bench.store) == 1


class TestDevices:
    """Creating, using and ending."""

    def test_device_is_read_as_it_was_created(self, bench: DeviceBench) -> None:
        device = bench.pair()
        assert bench.store.get(DeviceId(device.id)) == device
        assert bench.store.get_with_notes(DeviceId(device.id))[0] == device
        assert bench.store.list_by_person(REQUESTER).items == (device,)
        assert bench.store.list_active().items == (device,)
        assert bench.store.list_by_status(DeviceStatus.ACTIVE).items == (device,)
        assert bench.store.list_by_person(APPROVER).items == ()
        with pytest.raises(DeviceNotFound):
            bench.store.get(NOBODY)

    def test_revoke_stays(self, bench: DeviceBench) -> None:
        device = bench.pair()
        ended = bench.revoke(device)
        assert ended.status is DeviceStatus.REVOKED
        assert str(ended.revoked_by) == REQUESTER
        assert bench.store.list_active().items == ()
        with pytest.raises(InvalidStateTransition):
            bench.revoke(device)
        assert bench.store.get(DeviceId(device.id)) == ended

    @pytest.mark.parametrize("name", ["owner", "token_digest", "service", "expires_at", "name"])
    def test_what_was_confirmed_stays(self, bench: DeviceBench, name: str) -> None:
        device = bench.pair(service="ci-deploy")
        changes: dict[str, object] = {
            "owner": UserId("U0EVE"), "token_digest": "0" * 64, "service": None, "name": "other",
            "expires_at": device.expires_at - HOUR,
        }  # fmt: skip
        changed = device.replace(**{name: changes[name]})
        with pytest.raises(FixedFactChanged, match=name):
            bench.store.update(*revoked(changed, REQUESTER, A_MOMENT))  # type: ignore[arg-type]
        assert bench.store.get(DeviceId(device.id)) == device

    def test_use_is_noted_beside_and_survives_a_change(self, bench: DeviceBench) -> None:
        device = bench.pair()
        bench.store.note_use(device, A_MOMENT + HOUR)
        used = bench.store.get(DeviceId(device.id))
        assert (used.last_used_at, used.updated_at) == (A_MOMENT + HOUR, device.updated_at)
        assert bench.store.list_by_person(REQUESTER).items[0].last_used_at == A_MOMENT + HOUR
        bench.revoke(used)
        assert bench.store.get_with_notes(DeviceId(device.id))[0].last_used_at == A_MOMENT + HOUR
        bench.store.note_use(a_device(REQUESTER, A_MOMENT), A_MOMENT)

    def test_use_that_is_no_time_hides_no_device(self, bench: DeviceBench, harness: StoreHarness) -> None:
        device = bench.pair()
        harness.spoil_beside(device, {"used_at": "junk"})
        assert bench.store.get(DeviceId(device.id)).last_used_at is None

    def test_revoke_and_expiry_are_one_end(self, bench: DeviceBench, harness: StoreHarness) -> None:
        device = bench.pair()
        bench.clock.advance(12 * HOUR)
        other = DeviceBench(harness.open(), bench.clock)
        assert _race(lambda: bench.revoke(device), lambda: other.expire(device)) == 1
        assert len(bench.stores.audit.get_chain(device.chain)) == 2

    def test_changed_device_is_refused(self, bench: DeviceBench, harness: StoreHarness) -> None:
        device = bench.pair()
        harness.spoil(device, {"token_digest": "0" * 64})
        with pytest.raises(BrokenSeal, match=device.chain):
            bench.store.get_with_notes(DeviceId(device.id))


class TestKeeping:
    """Verification, seals, retention, and what IAM allows."""

    def test_device_from_start_to_end_has_no_findings(self, bench: DeviceBench, harness: StoreHarness) -> None:
        live, ended, late = bench.pair(service="ci-deploy"), bench.pair(), bench.pair()
        bench.store.note_use(live, A_MOMENT + HOUR)
        bench.revoke(ended)
        bench.clock.advance(12 * HOUR)
        bench.expire(late)
        assert _findings(harness) == []

    def test_device_of_another_owner_is_found(self, bench: DeviceBench, harness: StoreHarness) -> None:
        pairing, _ = bench.start()
        device = a_device(REQUESTER, A_MOMENT)
        entry = paired(device.replace(owner=APPROVER, service="ci-deploy"))
        used = bench.confirm(pairing).use(DeviceId(device.id), A_MOMENT)
        stored = bench.store.create(device, entry, used)
        (found,) = _findings(harness)
        for told in ("its person is not", "its service is not", "confirmed by somebody else than its owner"):
            assert told in found
        assert stored.chain in found

    def test_rotated_key_seals_devices_and_pairings_anew(self, bench: DeviceBench, harness: StoreHarness) -> None:
        device = bench.pair()
        pairing, letters = bench.start()
        harness.settings = StoreSettings(AuditKeyring.from_text(f"{OTHER_AUDIT_KEY},{AUDIT_KEY}"), clock=harness.clock)
        stores = harness.open()
        # The device, its pairing, the one that waits, and the list.
        assert (stores.reseal(), stores.reseal()) == (4, 0)
        harness.settings = StoreSettings(AuditKeyring.from_text(OTHER_AUDIT_KEY), clock=harness.clock)
        alone = harness.open().devices
        assert alone.get(DeviceId(device.id)) == device
        assert alone.find_pairing(letters) == pairing

    def test_pairings_are_forgotten_and_devices_kept(self, bench: DeviceBench, harness: StoreHarness) -> None:
        ended = bench.revoke(bench.pair())
        live = bench.pair()
        pairing, letters = bench.start()
        end = A_MOMENT + DEFAULT_RETENTION
        if isinstance(harness, DynamoHarness):
            assert harness.stored_ledgers()[pairing.owner]["ttl"] == int((A_MOMENT + KEPT_FOR).timestamp())
            assert [harness.raw(each).get("ttl") for each in (live, ended)] == [
                None, {"N": str(int(end.timestamp()))},
            ]  # fmt: skip
            return
        stores = harness.stores
        assert isinstance(stores, SqliteStores)
        stores.purge(A_MOMENT + KEPT_FOR - SECOND)
        assert stores.devices.find_pairing(letters) is not None
        stores.purge(A_MOMENT + KEPT_FOR + SECOND)
        assert (stores.devices.find_pairing(letters), harness.stored_ledgers()) == (None, {})
        assert {each.id for each in stores.devices.iterate()} == {live.id, ended.id}
        stores.purge(end + SECOND)
        assert [each.id for each in stores.devices.iterate()] == [live.id]

    def test_broker_recognises_devices_and_makes_none(self, dynamo: DynamoHarness) -> None:
        bench = DeviceBench(dynamo.stores, dynamo.clock)
        device = bench.pair()
        policy = iam_policy(Role.BROKER, dynamo.prefix)
        broker = DynamoStores(Connection(IamClient(dynamo.client, policy)), dynamo.prefix, dynamo.settings)
        assert broker.devices.get_with_notes(DeviceId(device.id))[0] == device
        for attempt in (lambda: broker.devices.note_use(device, A_MOMENT), DeviceBench(broker, dynamo.clock).start):
            with pytest.raises(NotAllowedByIamError):
                attempt()

    def test_lost_answer_is_found_again(self, dynamo: DynamoHarness) -> None:
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            bench = DeviceBench(stores, dynamo.clock)
            proxy.next(faults.CutReply(0), only="TransactWriteItems")
            pairing, letters = bench.start()
            proxy.next(faults.CutReply(0), only="TransactWriteItems")
            confirmed = bench.confirm(pairing)
            proxy.next(faults.CutReply(0), only="TransactWriteItems")
            device = bench.use(confirmed, a_device(REQUESTER, dynamo.clock.now()))
            proxy.next(faults.CutReply(0), only="TransactWriteItems")
            bench.revoke(device)
        found = dynamo.stores.devices.find_pairing(letters)
        assert found is not None
        assert (found.status, found.device) == (PairingStatus.USED, device.id)
        assert len(dynamo.stores.audit.get_chain(device.chain)) == 2

    def test_pairing_that_another_changed_is_not_ours(self, dynamo: DynamoHarness) -> None:
        bench = DeviceBench(dynamo.stores, dynamo.clock)
        pairing, _ = bench.start()
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            bench.confirm(pairing, APPROVER)
            proxy.next(faults.CutReply(0), only="TransactWriteItems")
            with pytest.raises(ConcurrentModification):
                DeviceBench(stores, dynamo.clock).confirm(pairing)

    def test_older_version_lists_no_device_as_a_grant(self, dynamo: DynamoHarness) -> None:
        DeviceBench(dynamo.stores, dynamo.clock).pair()
        for index, value in {"status": "active", "grantee": REQUESTER, "awaits": "end"}.items():
            found = dynamo.client.query(
                TableName=ACCESS.name(dynamo.prefix),
                IndexName=f"gsi-{index}",
                KeyConditionExpression="#name = :value",
                ExpressionAttributeNames={"#name": index},
                ExpressionAttributeValues={":value": {"S": value}},
            )["Items"]
            assert found == [], index

    def test_pairing_costs_one_round_trip_a_step(self, dynamo: DynamoHarness) -> None:
        bench = DeviceBench(dynamo.stores, dynamo.clock)
        with dynamo.calls() as calls:
            pairing, letters = bench.start()
            bench.store.find_for_person(letters, REQUESTER)
            device = bench.use(bench.confirm(pairing), a_device(REQUESTER, dynamo.clock.now()))
            bench.store.get_with_notes(DeviceId(device.id))
        assert [name for name, _ in calls] == [
            "BatchGetItem", "TransactWriteItems", "BatchGetItem", "TransactWriteItems", "TransactWriteItems",
            "BatchGetItem",
        ]  # fmt: skip


def test_file_of_an_older_version_gains_devices(tmp_path: Path, clock: FrozenClock) -> None:
    harness = SqliteHarness(tmp_path / "older.db", clock)
    harness.close()
    with closing(sqlite3.connect(harness.path)) as connection, connection:
        connection.execute("DROP TABLE devices")
    bench = DeviceBench(harness.open(), clock)
    device: Device = bench.pair()
    assert bench.store.list_active().items == (device,)
    harness.close()

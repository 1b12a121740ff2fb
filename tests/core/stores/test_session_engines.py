"""What only an engine can break in sessions: seals, what IAM allows, lost answers, and what is kept how long."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.access.device import DeviceId, DeviceNotFound
from core.access.grant import GrantId
from core.access.right import right_key
from core.access.session import SessionId, SessionStatus
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSALS_KIND, AuditAction
from core.audit.verification import verify_trail
from core.errors import BrokenSeal, ConcurrentModification
from core.stores.base import DEFAULT_RETENTION
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.deployment import Role, iam_policy
from core.stores.schema import ACCESS
from core.stores.sqlite import SqliteStores
from tests.builders import a_refusal
from tests.core.access.world import RIGHT
from tests.core.stores.access_bench import HOUR, OTHER, SECOND, ended
from tests.core.stores.harness import KEYRING, DynamoHarness, SqliteHarness
from tests.core.stores.session_bench import DESKTOP, SessionBench, issued
from tests.core.stores.test_cut_replies import through
from tests.harness import faults
from tests.harness.iam import IamClient, NotAllowedByIamError
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.stores.harness import StoreHarness
    from tests.harness.clock import FrozenClock


@pytest.fixture
def bench(harness: StoreHarness) -> SessionBench:
    """Each engine in turn, empty."""
    return SessionBench.on(harness.stores, harness.clock)


def _findings(harness: StoreHarness) -> dict[str, str]:
    """What verification finds of sessions and doors; the grants of the bench were decided by nobody."""
    found: dict[str, str] = {}
    for each in verify_trail(harness.stores, KEYRING, harness.clock.now()):
        if each.chain.startswith(("SESSION#", "LEDGER#")):
            found[each.chain] = "; ".join(filter(None, (found.get(each.chain), each.text)))
    return found


class TestSeals:
    def test_broken_seal_raises_the_alarm(self, harness: StoreHarness, bench: SessionBench) -> None:
        session = bench.issue(bench.open_grant())
        harness.spoil(session, {"credentials_until": "2026-01-01T00:00:00.000000Z"})
        for _ in range(2):
            with pytest.raises(BrokenSeal, match=session.chain):
                bench.store.get(SessionId(session.id))
        harness.stores.refusals.flush()
        alarms = [each for each in harness.stores.audit.export() if each.chain.startswith(REFUSALS_KIND)]
        assert [(each.event, each.record) for each in alarms][:1] == [(AuditAction.SEAL_BROKEN, session.chain)]

    def test_rotated_key_seals_sessions_and_doors_anew(self, harness: StoreHarness, bench: SessionBench) -> None:
        grant = bench.open_grant()
        session = bench.issue(grant)
        door = bench.store.move_door(bench.store.get_door(RIGHT).open(grant.id, 1, harness.clock.now()))
        harness.settings = StoreSettings(AuditKeyring.from_text(f"{OTHER_AUDIT_KEY},{AUDIT_KEY}"), clock=harness.clock)
        stores = harness.open()
        # The session and the door, the request, the grant and its holding.
        assert stores.reseal() == 5
        assert stores.reseal() == 0
        harness.settings = StoreSettings(AuditKeyring.from_text(OTHER_AUDIT_KEY), clock=harness.clock)
        alone = harness.open().sessions
        assert alone.get(SessionId(session.id)) == session
        assert alone.list_of_right(RIGHT).sessions == (session,)
        assert alone.get_door(RIGHT) == door
        with pytest.raises(ConcurrentModification):
            # Read before it was sealed anew.
            stores.sessions.update(session.revoke(session.person, harness.clock.now(), "Lost"), issued(session))


class TestVerification:
    def test_session_from_issue_to_cleanup_has_no_findings(self, harness: StoreHarness, bench: SessionBench) -> None:
        grant = bench.open_grant()
        first, second = bench.issue(grant), bench.issue(grant, DESKTOP)
        bench.store.move_door(bench.store.get_door(RIGHT).open(grant.id, 1, harness.clock.now()))
        first = bench.touch(first, grant)
        first = bench.update(first.note_key("ASIAEXAMPLEEXAMPLE01"), AuditAction.CREDENTIALS_ISSUED)
        assert _findings(harness) == {}
        first = bench.revoke(first)
        first = bench.update(first.note_deny(harness.clock.now()), AuditAction.DENY_PUT)
        harness.clock.advance(HOUR)
        bench.update(first.clean(harness.clock.now()), AuditAction.DENY_REMOVED)
        bench.update(second.expire(harness.clock.now()), AuditAction.SESSION_EXPIRED)
        assert _findings(harness) == {}

    def test_session_that_its_right_does_not_list_is_found(self, dynamo: DynamoHarness) -> None:
        bench = SessionBench.on(dynamo.stores, dynamo.clock)
        session = bench.issue(bench.open_grant())
        key = {"pk": {"S": f"SESSIONS#{right_key(RIGHT)}"}}
        dynamo.client.delete_item(TableName=ACCESS.name(dynamo.prefix), Key=key)
        told = "it awaits its expiry, and its right doesn't list it: nobody would end it"
        assert _findings(dynamo) == {session.chain: told}

    def test_session_that_somebody_removed_is_found(self, harness: StoreHarness, bench: SessionBench) -> None:
        session = bench.issue(bench.open_grant())
        harness.remove(session)
        assert _findings(harness) == {session.chain: "its record is missing, and should still be kept"}
        if isinstance(harness, DynamoHarness):
            assert bench.store.list_of_right(RIGHT).unreadable == (session.id,)

    def test_what_stands_beside_a_session_is_compared(self, harness: StoreHarness, bench: SessionBench) -> None:
        session = bench.issue(bench.open_grant())
        harness.spoil_beside(session, {"awaits": None, "status": "SESSION#expired"})
        assert "beside it, awaits is None" in _findings(harness)[session.chain]


class TestIam:
    def test_broker_may_issue_and_nothing_else(self, dynamo: DynamoHarness) -> None:
        bench, policy = SessionBench.on(dynamo.stores, dynamo.clock), iam_policy(Role.BROKER, dynamo.prefix)
        grant = bench.open_grant()
        door, state = bench.store.get_door(RIGHT), bench.access.state()
        stores = DynamoStores(Connection(IamClient(dynamo.client, policy)), dynamo.prefix, dynamo.settings)
        broker = SessionBench(dynamo.clock, bench.access, stores.sessions)
        assert broker.state(grant).session is None
        session = broker.touch(broker.issue(grant), grant)
        assert broker.store.get(SessionId(session.id)) == session
        assert stores.access.list_by_person(grant.person).items == (grant,)
        broker.update(session.note_key("ASIAEXAMPLEEXAMPLE01"), AuditAction.CREDENTIALS_ISSUED)
        with pytest.raises(DeviceNotFound):
            stores.devices.get_with_notes(DeviceId(DESKTOP))
        stores.refusals.note(a_refusal())
        stores.refusals.close()
        assert any(each.chain.startswith(REFUSALS_KIND) for each in dynamo.stores.audit.export())
        for attempt in (
            lambda: stores.access.end([ended(grant)]),
            lambda: stores.sessions.move_door(door.open(grant.id, 1, dynamo.clock.now())),
            lambda: stores.access.get_right(RIGHT),
            lambda: stores.access.commit(state, state.holding.change(failures=1)),
            lambda: list(stores.sessions.iterate()),
            lambda: stores.requests.get_each([grant.id]),
        ):
            with pytest.raises(NotAllowedByIamError):
                attempt()


class TestLostAnswers:
    @pytest.mark.parametrize("after_bytes", [0, -1])
    def test_lost_answer_is_found_again(self, dynamo: DynamoHarness, after_bytes: int) -> None:
        bench = SessionBench.on(dynamo.stores, dynamo.clock)
        grant = bench.open_grant()
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            cut = faults.CutReply(after_bytes)
            issuing = SessionBench(dynamo.clock, bench.access, stores.sessions)
            proxy.next(cut, only="TransactWriteItems")
            session = issuing.issue(grant)
            proxy.next(faults.CutReply(after_bytes), only="TransactWriteItems")
            session = issuing.touch(session, grant)
            proxy.next(faults.CutReply(after_bytes), only="PutItem")
            door = stores.sessions.move_door(stores.sessions.get_door(RIGHT).open(grant.id, 1, dynamo.clock.now()))
            proxy.next(faults.CutReply(after_bytes), only="TransactWriteItems")
            session = issuing.revoke(session)
        assert bench.store.list_of_right(RIGHT).sessions == (session,)
        assert bench.store.get_door(RIGHT) == door
        assert len(dynamo.stores.audit.get_chain(session.chain)) == 3

    def test_door_that_another_moved_is_not_ours(self, dynamo: DynamoHarness) -> None:
        now = dynamo.clock.now()
        with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
            door = stores.sessions.get_door(RIGHT)
            dynamo.stores.sessions.move_door(door.open("00000000000000a1", 1, now))
            proxy.next(faults.CutReply(0), only="PutItem")
            with pytest.raises(ConcurrentModification):
                stores.sessions.move_door(door.open("00000000000000a2", 1, now))


class TestRetention:
    def test_session_is_kept_as_promised(self, harness: StoreHarness, bench: SessionBench) -> None:
        live, over = bench.issue(bench.open_grant()), bench.revoke(bench.issue(bench.open_grant(2, right=OTHER)))
        harness.clock.advance(HOUR)
        over = bench.update(over.clean(harness.clock.now()), AuditAction.DENY_REMOVED)
        end = over.life_ends_at()
        assert end is not None
        end += DEFAULT_RETENTION
        if isinstance(harness, DynamoHarness):
            ttls = [harness.raw(each).get("ttl") for each in (live, over)]
            assert ttls == [None, {"N": str(int(end.timestamp()))}]
            return
        stores = harness.stores
        assert isinstance(stores, SqliteStores)
        stores.purge(end - SECOND)
        assert {each.id for each in stores.sessions.iterate()} == {live.id, over.id}
        stores.purge(end + SECOND)
        assert [each.id for each in stores.sessions.iterate()] == [live.id]


def test_file_of_an_older_version_gains_sessions(tmp_path: Path, clock: FrozenClock) -> None:
    harness = SqliteHarness(tmp_path / "older.db", clock)
    harness.close()
    with closing(sqlite3.connect(harness.path)) as connection, connection:
        connection.execute("DROP TABLE sessions")
    bench = SessionBench.on(harness.open(), clock)
    session = bench.issue(bench.open_grant())
    assert bench.store.list_by_status(SessionStatus.ACTIVE).items == (session,)
    names = {name for (name,) in harness.ask("SELECT name FROM sqlite_master WHERE type = 'index'")}
    harness.close()
    assert {"sessions_by_right", "sessions_by_grant", "sessions_by_awaits", "sessions_by_person"} <= names


def test_older_version_lists_no_session_as_a_grant(dynamo: DynamoHarness) -> None:
    """What it reads is the indexes by the values that it knows, and items by the keys of grants."""
    bench = SessionBench.on(dynamo.stores, dynamo.clock)
    grant = bench.open_grant()
    bench.issue(grant)
    lists = {"status": "active", "profile": grant.profile, "grantee": grant.person, "awaits": "end"}
    for index, value in lists.items():
        found = dynamo.client.query(
            TableName=ACCESS.name(dynamo.prefix),
            IndexName=f"gsi-{index}",
            KeyConditionExpression="#name = :value",
            ExpressionAttributeNames={"#name": index},
            ExpressionAttributeValues={":value": {"S": value}},
        )["Items"]
        assert [item["pk"]["S"] for item in found] == [grant.chain], index


def test_issuing_costs_one_round_trip(dynamo: DynamoHarness) -> None:
    bench = SessionBench.on(dynamo.stores, dynamo.clock)
    grant = bench.open_grant()
    with dynamo.calls() as calls:
        assert bench.state(grant).session is None
        session = bench.issue(grant)
        bench.touch(session, grant)
        bench.store.list_of_right(RIGHT)
    assert [name for name, _ in calls] == [
        "BatchGetItem", "TransactWriteItems", "TransactWriteItems", "GetItem", "BatchGetItem",
    ]  # fmt: skip
    created, touched = (call["TransactItems"] for name, call in calls if name == "TransactWriteItems")
    both = ["Put", "Put", "Put", "ConditionCheck", "ConditionCheck"]
    assert [next(iter(item)) for item in created] == [*both, "Update", "Update"]
    assert [next(iter(item)) for item in touched] == both
    assert bench.store.list_of_grant(GrantId(grant.id)).sessions[0].issue_count == 2

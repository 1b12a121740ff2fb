"""From 0.2.0 on, what a release wrote stays readable: every kind of record, its seals, and nothing is rewritten."""

from __future__ import annotations

import importlib
import json
import lzma
import pkgutil
import sqlite3
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import core
from core.access.device import DeviceStatus
from core.access.grant_status import GrantStatus
from core.access.holding import Holding
from core.access.pairing import PairingStatus
from core.access.session_status import SessionStatus
from core.audit.trail import REFUSALS_KIND, SYSTEM_CHAINS, AuditAction
from core.audit.verification import verify_trail
from core.break_glass import EventStatus
from core.clock import new_id, parse_time
from core.ledger import Ledger
from core.record import Record
from core.request_status import RequestStatus
from core.stores import Stores, open_stores
from core.stores.schema import TABLES
from tests.harness.aws import ENVIRONMENT, dynamodb_client
from tests.harness.clock import FrozenClock
from tests.harness.tables import make_tables
from tests.packaging.golden_story import KEYRING
from tests.packaging.side_by_side import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT: Final = sorted(about.parent.name for about in RELEASES.glob("*/stores.json"))
STATUSES: Final = {
    "requests": RequestStatus,
    "break_glass": EventStatus,
    "access": GrantStatus,
    "sessions": SessionStatus,
    "devices": DeviceStatus,
}
LEDGERS: Final = {
    "UsageLedger": {"INVOKER", "PROFILE"},
    "OpenRequests": {"OPEN"},
    "CodeLedger": {"CODES"},
    "DmPreferences": {"PREFERENCES"},
    "UserGroupMembers": {"USERGROUP"},
    "DirectoryNotes": {"DIRECTORY"},
    "RoleDoor": {"DOOR"},
    "PageLedger": {"PAGES"},
    "Pairing": {"PAIRING"},
    "OpenPairings": {"PAIRING"},
    "PairingTries": {"PAIRING"},
}
"""Each kind of ledger, and how its owner begins. A holding is looked at on its own."""
NOT_TOLD: Final = {
    AuditAction.RECORD_DELETED: "only what SQLite purges, months later",
    AuditAction.AUDIT_KEY_RETIRED: "a key of its own would be needed",
    AuditAction.SEAL_BROKEN: "something would have to be damaged",
    AuditAction.STORE_RESTORED: "only what `countersign restore` writes, alone in its chain",
    AuditAction.HOLDING_REBUILT: "something would have to be damaged",
    AuditAction.DENY_PUT: "needs a role in AWS",
    AuditAction.DENY_FAILING: "needs a role in AWS",
    AuditAction.DENY_REMOVED: "needs a role in AWS",
}
"""What the story leaves out. An action in neither place is new: write it into the story."""


@dataclass
class Golden:
    """A store that a release wrote, opened by this version, and all that is stored in it."""

    stores: Stores
    clock: FrozenClock
    dump: Callable[[], Any]


def unpacked(version: str, name: str) -> bytes:
    return lzma.decompress((RELEASES / version / name).read_bytes())


@pytest.fixture(scope="module", params=KEPT)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def golden(version: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    ends_at = json.loads((RELEASES / version / "stores.json").read_text(encoding="utf-8"))
    with ExitStack() as opened:
        if request.param == "sqlite":
            path, name = tmp_path_factory.mktemp("golden") / "countersign.db", "store.db.xz"
            path.write_bytes(unpacked(version, name))
            url, dump = f"sqlite:///{path}", lambda: dump_sqlite(path)
        else:
            opened.enter_context(made_up_credentials())
            endpoint, name = request.getfixturevalue("dynamodb_local_url"), "items.json.xz"
            prefix = f"golden-{new_id()}"
            client = opened.enter_context(dynamodb_client(endpoint))
            make_tables(client, prefix)
            load_items(client, prefix, json.loads(unpacked(version, name)))
            url, dump = f"dynamodb://eu-west-1/{prefix}?endpoint_url={endpoint}", lambda: dump_items(client, prefix)
        clock = FrozenClock(parse_time(ends_at[name]))
        yield Golden(opened.enter_context(closing(open_stores(url, keyring=KEYRING, clock=clock))), clock, dump)


@contextmanager
def made_up_credentials() -> Iterator[None]:
    """For a store that is opened by its URL."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield


def load_items(client: Any, prefix: str, tables: dict[str, list[Any]]) -> None:  # noqa: ANN401 - of boto3
    for suffix, items in tables.items():
        for start in range(0, len(items), 25):
            writes = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            assert not client.batch_write_item(RequestItems={f"{prefix}-{suffix}": writes})["UnprocessedItems"]


def dump_items(client: Any, prefix: str) -> Counter[str]:  # noqa: ANN401 - of boto3
    scans = (client.scan(TableName=table.name(prefix), ConsistentRead=True)["Items"] for table in TABLES)
    return Counter(json.dumps(item, sort_keys=True) for items in scans for item in items)


def dump_sqlite(path: Path) -> Counter[str]:
    with closing(sqlite3.connect(path)) as connection:
        return Counter(line for line in connection.iterdump() if line.startswith("INSERT"))


def test_everything_is_read_and_verified_and_left_as_it_is(golden: Golden) -> None:
    before = golden.dump()

    assert list(verify_trail(golden.stores, KEYRING, golden.clock.now())) == []
    chains = {chain for chain, _ in golden.stores.audit.iterate_chains()}
    for name, statuses in STATUSES.items():
        records = list(getattr(golden.stores, name).iterate())
        assert {record.state for record in records} == set(statuses), name
        assert {record.chain for record in records} <= chains
    assert golden.dump() == before
    assert before.total() > 100


def test_every_kind_of_ledger_is_read(golden: Golden) -> None:
    scanned = dict(golden.stores.break_glass.scan_ledgers())

    assert [each for each in scanned.values() if not isinstance(each, Ledger)] == []
    assert {owner.partition("#")[0] for owner in scanned} == set().union(*LEDGERS.values())
    holdings = [golden.stores.access.get_right(grant.right).holding for grant in golden.stores.access.iterate()]
    assert "token-of-the-target" in {each.operation.token for each in holdings if each.operation is not None}


def test_trail_has_every_action_and_every_chain(golden: Golden) -> None:
    entries = list(golden.stores.audit.export())

    assert set(AuditAction) - {entry.event for entry in entries} == set(NOT_TOLD)
    assert {entry.chain.partition("#")[0] for entry in entries} >= {
        *(each.KIND for each in subclasses(Record) if "KIND" in vars(each)),
        *(SYSTEM_CHAINS - {"KEYS", "STORE"}),
        REFUSALS_KIND,
    }
    for entry in entries:
        assert KEYRING.is_genuine(entry)


def test_rest_of_what_is_stored_is_read(golden: Golden) -> None:
    stores, now = golden.stores, golden.clock.now()

    assert len(list(stores.outbox.iterate_due(now))) > 5
    (parked,) = stores.outbox.iterate_parked()
    assert parked.problem == "the channel is gone"
    assert stores.messages.get_messages("REQUEST#0123456789abcdef")["card"].ts == "1.2"
    assert stores.devices.get_open_pairings().waiting
    assert stores.directory.notes().changes.keys() == {"U0RITA", "S0ENG"}


def test_a_new_kind_of_record_has_to_be_told() -> None:
    for module in pkgutil.walk_packages(core.__path__, "core."):
        if module.name != "core.schedules.ical_events":
            importlib.import_module(module.name)

    assert {each.__name__ for each in subclasses(Ledger) if not each.__name__.startswith("_")} - {Holding.__name__} == (
        LEDGERS.keys()
    )
    assert {each.KIND for each in subclasses(Record) if "KIND" in vars(each)} == {
        "REQUEST", "BREAKGLASS", "GRANT", "SESSION", "DEVICE",
    }  # fmt: skip
    assert set(PairingStatus) == {"waiting", "confirmed", "used", "denied"}


def subclasses(kind: Any) -> set[Any]:  # noqa: ANN401 - an abstract class
    """Every class below this one, however far."""
    return {each for direct in kind.__subclasses__() for each in (direct, *subclasses(direct))}

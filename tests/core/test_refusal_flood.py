"""A flood of refused clicks neither delays an approver nor causes a conflict."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from core.actor import UserId
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSED, AuditAction, AuditEntry
from core.audit.verification import verify_trail
from core.request import RequestId, RequestStatus
from core.stores import Stores
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection, Timing
from core.stores.dynamodb.tables import create_tables
from core.stores.refusal_log import BackgroundRefusalLog
from core.stores.sqlite import SqliteStores
from core.stores.sqlite.audit import SqliteAudit
from core.stores.sqlite.database import Database
from tests.core.races.attempts import APPROVERS, BEGIN, HOUR, Act, Attempt, AttemptResult, carry_out, submit
from tests.harness.aws import REGION
from tests.harness.clock import FrozenClock
from tests.harness.faults import HoldRequest
from tests.harness.tcp_proxy import TcpProxy

_WRITE: Final = "TransactWriteItems"
_STRANGERS: Final = tuple(UserId(f"U0STRANGER{number:03d}") for number in range(20))
_PATIENCE_SECONDS: Final = 60.0


class GatedAudit(SqliteAudit):
    """The real audit trail, behind a gate that the test opens: a store that takes its time for refusals."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, StoreSettings())
        self.is_reached, self.gate = threading.Event(), threading.Event()

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Wait for the gate first."""
        self.is_reached.set()
        assert self.gate.wait(_PATIENCE_SECONDS)
        super().append_refusals(entries)


@pytest.fixture(params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def proxy(request: pytest.FixtureRequest) -> Iterator[TcpProxy]:
    with TcpProxy(request.getfixturevalue(f"{request.param}_url")) as proxy:
        yield proxy


@pytest.fixture
def stores(proxy: TcpProxy, table_prefix: str, aws_environment: None) -> Iterator[Stores]:
    del aws_environment
    timing = Timing(connect_seconds=5, reply_seconds=_PATIENCE_SECONDS, deadline_seconds=_PATIENCE_SECONDS)
    connection = Connection.open(REGION, proxy.url, timing)
    create_tables(connection, table_prefix)
    with closing(DynamoStores(connection, table_prefix, StoreSettings(clock=FrozenClock(BEGIN)))) as stores:
        yield stores


def test_on_dynamodb_an_approver_decides_while_refusals_wait(proxy: TcpProxy, stores: Stores) -> None:
    request = submit(stores, "one", BEGIN)
    hold = HoldRequest()
    proxy.next(hold, only=_WRITE)
    _flood(stores, request.id)
    hold.wait_until_reached()
    _flood(stores, request.id)
    proxy.reset_counts()

    told = carry_out(stores, Attempt(Act.APPROVE, APPROVERS[0], BEGIN, request.id))

    # One reading, of the request and the notes, and one write: nothing was in conflict, so nothing was done again.
    assert proxy.counts == {"BatchGetItem": 1, _WRITE: 1}
    _check_decided(stores, told)
    assert _noted(stores) == 0
    hold.release()
    stores.refusals.flush()
    assert _noted(stores) == 2 * len(_STRANGERS)
    _check_decided(stores, told)


def test_on_sqlite_an_approver_decides_while_refusals_wait(tmp_path: Path) -> None:
    settings = StoreSettings(clock=FrozenClock(BEGIN))
    path = str(tmp_path / "flood.db")
    with closing(Database(path)) as database, closing(SqliteStores(path, settings)) as stores:
        audit = GatedAudit(database)
        stores.refusals = BackgroundRefusalLog(audit, settings)
        request = submit(stores, "one", BEGIN)
        _flood(stores, request.id)
        assert audit.is_reached.wait(_PATIENCE_SECONDS)
        _flood(stores, request.id)

        told = carry_out(stores, Attempt(Act.APPROVE, APPROVERS[0], BEGIN, request.id))

        _check_decided(stores, told)
        assert _noted(stores) == 0
        audit.gate.set()
        stores.refusals.flush()
        assert _noted(stores) == 2 * len(_STRANGERS)
        _check_decided(stores, told)


def test_written_refusals_do_not_outdate_an_approvers_reading(stores: Stores) -> None:
    read = submit(stores, "one", BEGIN)
    _flood(stores, read.id)
    stores.refusals.flush()
    assert _noted(stores) == len(_STRANGERS)
    assert stores.requests.get(RequestId(read.id)) == read
    assert carry_out(stores, Attempt(Act.OVERWRITE, APPROVERS[0], BEGIN, read.id, read=read)).is_yes


def _flood(stores: Stores, request_id: str) -> None:
    """Everybody who may not approve tries; each gets an answer, whether or not the refusal is noted."""
    for stranger in _STRANGERS:
        assert carry_out(stores, Attempt(Act.APPROVE, stranger, BEGIN, request_id)).error == "NotAllowed"


def _check_decided(stores: Stores, told: AttemptResult) -> None:
    (approved,) = told.records
    stored = stores.requests.get(RequestId(approved.id))
    assert stored == approved
    assert (stored.status, str(stored.approver)) == (RequestStatus.APPROVED, APPROVERS[0])
    events = [entry.event for entry in stores.audit.get_chain(stored.chain)]
    assert events == [AuditAction.REQUEST_SUBMITTED, AuditAction.REQUEST_APPROVED]
    assert list(verify_trail(stores, AuditKeyring(), BEGIN)) == []


def _noted(stores: Stores) -> int:
    """How many refusals are in the trail."""
    refused = [each for each in stores.audit.export(since=BEGIN, until=BEGIN + HOUR) if each.outcome == REFUSED]
    return sum(int(str(each.details.get("times", 1))) for each in refused)

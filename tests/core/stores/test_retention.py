"""SQLite deletes the records whose retention has ended, as DynamoDB's TTL does; and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.audit.verification import verify_trail
from core.pagers.page_ledger import KEPT_FOR
from core.pagers.pages import Pages
from core.services import BreakGlassService, RequestService
from core.stores.base import PurgedStores
from core.stores.commit import StoreSettings
from core.stores.messages import MessageRef
from core.stores.sqlite import SqliteStores
from core.trace import in_trace
from tests.builders import HOUR
from tests.core.services.harness import ANN, BOB, DEPLOY, RITA, ChangingPolicy, invoke, request_id_of
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.clock import FrozenClock

RETENTION = timedelta(days=30)


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[SqliteStores]:
    stores = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(retention=RETENTION, clock=clock))
    yield stores
    stores.close()


def kept(stores: SqliteStores) -> tuple[int, int]:
    return len(list(stores.requests.iterate())), len(list(stores.break_glass.iterate()))


def test_record_is_kept_as_long_as_was_promised(stores: SqliteStores, clock: FrozenClock) -> None:
    requests = RequestService(stores, ChangingPolicy(), clock, directory=OfficeDirectory())
    request = requests.submit(RITA, "staging", HOUR, DEPLOY)
    approved = requests.approve(request_id_of(request), ANN)
    stores.messages.save_message(approved.chain, "card", MessageRef(channel="C0ACCESS", ts="1.000001"))
    clock.advance(HOUR + RETENTION - timedelta(seconds=1))
    assert stores.purge(clock.now()) == 0
    clock.advance(timedelta(seconds=1))
    assert stores.purge(clock.now()) == 1
    assert stores.purge(clock.now()) == 0

    assert kept(stores) == (0, 0)
    assert stores.messages.get_messages(approved.chain) == {}
    assert len(stores.audit.get_chain(approved.chain)) == 2
    assert list(verify_trail(stores, StoreSettings().keyring, clock.now())) == []


def test_event_that_awaits_its_review_is_kept(stores: SqliteStores, clock: FrozenClock) -> None:
    break_glass = BreakGlassService(stores, ChangingPolicy(), clock, directory=OfficeDirectory())
    invoke(break_glass)
    clock.advance(10 * RETENTION)
    break_glass.expire_due()

    assert stores.purge(clock.now()) == 0
    assert kept(stores) == (0, 1)


def test_traces_of_what_an_older_version_delivered_go(stores: SqliteStores, clock: FrozenClock, tmp_path: Path) -> None:
    requests = RequestService(stores, ChangingPolicy(), clock, directory=OfficeDirectory())
    with in_trace(f"00-{'a' * 32}-{'b' * 16}-01"):
        for person in (RITA, ANN):
            requests.submit(person, "staging", HOUR, DEPLOY)
    with closing(sqlite3.connect(tmp_path / "countersign.db", isolation_level=None)) as older:
        older.execute("DELETE FROM outbox WHERE chain = (SELECT min(chain) FROM outbox)")
        stores.purge(clock.now())
        assert older.execute("SELECT count(*) FROM traces").fetchone() == (1,)


def test_many_are_deleted_in_small_transactions(
    stores: SqliteStores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.stores.sqlite.retention._PER_TRANSACTION", 2)
    requests = RequestService(stores, ChangingPolicy(), clock, directory=OfficeDirectory())
    for _ in range(5):
        request = requests.submit(RITA, "staging", HOUR, DEPLOY)
        requests.deny(request_id_of(request), BOB, "not today")
        clock.advance(timedelta(days=1))
    clock.advance(RETENTION)

    assert stores.purge(clock.now()) == 5
    assert isinstance(stores, PurgedStores)


def test_page_that_no_card_shows_any_more_is_deleted(stores: SqliteStores, clock: FrozenClock) -> None:
    Pages(stores.break_glass).change("REQUEST#0123456789abcdef", lambda page: page.page("PagerDuty", clock.now()))
    clock.advance(KEPT_FOR - timedelta(seconds=1))
    stores.purge(clock.now())
    assert list(stores.break_glass.iterate_ledger_owners()) == ["PAGES#REQUEST#0123456789abcdef"]
    clock.advance(timedelta(seconds=2))
    stores.purge(clock.now())
    assert list(stores.break_glass.iterate_ledger_owners()) == []

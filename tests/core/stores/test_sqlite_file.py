"""What is true of SQLite only: one file, many threads and processes, and a disk that can fail."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import MalformedRecord, StoreMisconfigured, StoreUnavailable
from core.request import RequestId
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores, database
from tests.builders import APPROVER, REQUESTER, a_draft, a_request
from tests.core.stores.harness import SqliteHarness
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.clock import FrozenClock

_ROOT = Path(__file__).resolve().parents[3]
_OPENING = """
import sys
from core.stores import open_stores
from core.request import RequestId
from core.errors import StoreError
from tests.core.stores.harness import KEYRING
stores = open_stores("sqlite:///" + sys.argv[1], keyring=KEYRING)
"""
_OPEN_AND_CLOSE = f"""{_OPENING}
print(len(list(stores.requests.iterate())))
stores.close()
"""
_FORK = f"""{_OPENING}
import os
child = os.fork()
if child:
    # One speaks after the other, so that their lines do not mix.
    os.waitpid(child, 0)
try:
    stores.requests.get(RequestId(sys.argv[2]))
    print("parent reads" if child else "child reads", flush=True)
except StoreError as error:
    print("parent" if child else "child", error, flush=True)
"""
_FULL_DISK = f"""{_OPENING}
import os, resource
from tests.builders import a_draft, a_request
kept = stores.requests.create(a_request(), a_draft())
size = os.path.getsize(sys.argv[1] + "-wal")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, most))
try:
    stores.requests.create(a_request(justification="x" * 400), a_draft())
    print("stored")
except StoreError as error:
    print(type(error).__name__, error.is_outcome_unknown)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
print(len(list(stores.requests.iterate())), stores.requests.get(kept.id) == kept)
other = open_stores("sqlite:///" + sys.argv[1], keyring=KEYRING)
other.requests.create(a_request(), a_draft())
stores.requests.create(a_request(), a_draft())
print(len(list(other.requests.iterate())))
"""


@pytest.fixture
def harness(tmp_path: Path, clock: FrozenClock) -> Iterator[SqliteHarness]:
    harness = SqliteHarness(tmp_path / "countersign.db", clock)
    yield harness
    harness.close()


def _run(script: str, *arguments: str) -> list[str]:
    """Run it in a process of its own and return the lines that it printed."""
    run = subprocess.run(  # noqa: S603  The whole script is in this file.
        [sys.executable, "-c", script, *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@contextmanager
def _writing_without_wal(harness: SqliteHarness) -> Iterator[sqlite3.Connection]:
    """Another connection's open write transaction, on a file that has its tables and is not in WAL mode yet."""
    harness.close()
    with closing(sqlite3.connect(harness.path, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_commit_is_on_disk_before_the_call_returns(harness: SqliteHarness) -> None:
    assert harness.ask("PRAGMA journal_mode") == [("wal",)]
    stores = database.Database(str(harness.path))
    with stores.read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    stores.close()


def test_opening_twice_in_one_process_keeps_what_others_see(harness: SqliteHarness) -> None:
    """POSIX: closing any descriptor of a file drops all of the process's locks on it."""
    harness.stores.requests.create(a_request(), a_draft())
    harness.open().requests.create(a_request(), a_draft())
    assert _run(_OPEN_AND_CLOSE, str(harness.path)) == ["2"]
    # Were the locks gone, the other process would have taken itself for the last one, and removed the log.
    assert harness.path.with_name("countersign.db-wal").exists()
    harness.stores.requests.create(a_request(), a_draft())
    assert _run(_OPEN_AND_CLOSE, str(harness.path)) == ["3"]


@pytest.mark.parametrize("_", range(5))
def test_many_open_a_new_file_at_once(tmp_path: Path, clock: FrozenClock, _: int) -> None:
    path, start = str(tmp_path / "new.db"), threading.Barrier(8)

    def open_and_write(_: int) -> SqliteStores:
        start.wait(timeout=120)
        stores = SqliteStores(path, StoreSettings(clock=clock))
        opened.callback(stores.close)
        stores.requests.create(a_request(), a_draft())
        return stores

    with ExitStack() as opened:
        with ThreadPoolExecutor(8) as pool:
            all_stores = list(pool.map(open_and_write, range(8)))
        assert {len(stores.requests.list_by_requester(REQUESTER).items) for stores in all_stores} == {8}


def test_switch_to_wal_waits_for_another_writer(harness: SqliteHarness) -> None:
    with _writing_without_wal(harness) as other:
        pauses: list[float] = []

        def end_third_pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                other.execute("ROLLBACK")

        database.Database(str(harness.path), sleep=end_third_pause).close()
    assert len(pauses) == 3
    assert harness.ask("PRAGMA journal_mode") == [("wal",)]


def test_writer_that_blocks_the_switch_to_wal_is_an_outage(
    harness: SqliteHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    with _writing_without_wal(harness), pytest.raises(StoreUnavailable, match="locked"):
        database.Database(str(harness.path), sleep=sleep)
    # All tries lie before one deadline, and no two of them follow each other at once.
    assert sum(pauses) < 0.2
    assert min(pauses, default=1) > 0.001


def test_file_that_is_refused_is_closed_again(harness: SqliteHarness) -> None:
    harness.close()
    harness.ask("PRAGMA user_version=2")
    with pytest.raises(StoreMisconfigured) as caught:
        database.Database(str(harness.path))
    # SQLite removes the log with the last connection, and the traceback still holds all that the opening left behind.
    assert caught.tb is not None
    assert [each.name for each in harness.path.parent.iterdir()] == [harness.path.name]


def test_forked_process_is_told_to_open_the_store_again(harness: SqliteHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    child, parent = _run(_FORK, str(harness.path), request.id)
    assert child.startswith("child The store did not answer: the store was opened before this process was forked")
    assert parent == "parent reads"


def test_commit_that_failed_leaves_no_trace_and_blocks_nobody(tmp_path: Path) -> None:
    failure, after, together = _run(_FULL_DISK, str(tmp_path / "full.db"))
    assert failure.startswith("StoreUnavailable")
    assert after == "1 True"
    assert together == "3"


def test_lock_of_another_process_is_an_outage_and_not_a_conflict(
    harness: SqliteHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    stores = harness.open()
    request = stores.requests.create(a_request(), a_draft())
    with closing(sqlite3.connect(harness.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked") as caught:
            stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
        assert not caught.value.is_outcome_unknown
        assert stores.requests.get(RequestId(request.id)) == request
        other.execute("ROLLBACK")
    stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())


def test_writer_whose_turn_does_not_come_is_an_outage(harness: SqliteHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = database.Database(str(harness.path))
    with store.write(), ThreadPoolExecutor(1) as pool, pytest.raises(StoreUnavailable, match="busy"):
        pool.submit(lambda: store.write().__enter__()).result(timeout=120)
    store.close()


def test_transaction_that_raises_is_undone_on_its_connection(harness: SqliteHarness) -> None:
    store = database.Database(str(harness.path))

    def fail_half_way() -> None:
        with store.write() as connection:
            connection.execute("INSERT INTO refusal_heads VALUES ('x', 1, 'y')")
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert harness.ask("SELECT count(*) FROM refusal_heads") == [(0,)]
    with store.write() as connection:
        connection.execute("INSERT INTO refusal_heads VALUES ('x', 1, 'y')")
    assert harness.ask("SELECT count(*) FROM refusal_heads") == [(1,)]
    store.close()


def test_connection_in_use_at_the_close_is_closed_on_return(harness: SqliteHarness) -> None:
    store = database.Database(str(harness.path))
    with store.read() as connection:
        store.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.parametrize("body", ["[]", "null", "17", '"text"', "", "\x00"])
def test_body_that_is_no_object_is_malformed(harness: SqliteHarness, body: str) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    harness.ask("UPDATE requests SET body = ?", body)
    harness.ask("UPDATE audit SET body = ?", body)
    with pytest.raises(MalformedRecord, match=request.id):
        harness.stores.requests.get(RequestId(request.id))
    with pytest.raises(MalformedRecord, match=request.id):
        harness.stores.audit.get_chain(request.chain)


def test_unreadable_progress_keeps_no_other_entry_from_delivery(
    harness: SqliteHarness, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (harness.stores.requests.create(a_request(), a_draft()) for _ in range(2))
    harness.ask("UPDATE outbox SET delivered_to = '{' WHERE chain = ?", bad.chain)
    assert [each.entry.chain for each in harness.stores.outbox.iterate_due(A_MOMENT)] == [good.chain]
    assert bad.chain in caplog.text


def test_more_records_than_one_read_are_all_iterated(harness: SqliteHarness) -> None:
    made = {harness.stores.requests.create(a_request(), a_draft()).id for _ in range(510)}
    assert {each.id for each in harness.stores.requests.iterate()} == made

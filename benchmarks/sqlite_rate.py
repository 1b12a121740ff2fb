"""Decisions per second on SQLite, compared with raw sqlite3 transactions of the same rows.

Invariant: both sides start from copies of one file on one disk, with the same pragmas, and end with the same rows.
The raw side knows what to write: it reads the record, updates it and inserts the audit entry in one IMMEDIATE
transaction, which is the minimum for a decision.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from benchmarks.harness import APPROVER, KEYRING, PROFILES, Call, DryRun, ServiceHarness
from benchmarks.results import Goal, Ratio, ResultTable, Section, Size, time_interleaved
from core.clock import SystemClock
from core.request import Request, RequestId
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores

MAX_RATIO: Final = 1.5
THREADS: Final = (1, 2, 4, 8)
_BLOCK: Final = 40
"""With several threads: how many decisions one side makes before it is the other side's turn."""
RAW: Final = "raw"
STORE: Final = "store"
DECISION: Final = "decision"
Rows = tuple[tuple[Any, ...], tuple[Any, ...]]
"""What an approval writes: the new columns of the request, and the audit entry."""
Way = Callable[[str, int], object]
"""Approves the request of this id from the thread of this number."""


class _Raw:
    """The minimal equivalent, written directly against sqlite3."""

    def __init__(self, path: Path, rows: dict[str, Rows]) -> None:
        self._path = path
        self._rows = rows
        # As in Countersign, threads of one process wait for this lock: SQLite's own busy handler sleeps too long.
        self._lock = Lock()

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def approve(self, connection: sqlite3.Connection, request_id: str) -> None:
        request, entry = self._rows[request_id]
        with self._lock:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT body FROM requests WHERE id = ?", (request_id,)).fetchone()
            connection.execute("UPDATE requests SET status = ?, updated_at = ?, body = ? WHERE id = ?", request)
            connection.execute("INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)", entry)
            chain, seq, _, at, _ = entry
            connection.execute("INSERT INTO outbox (chain, seq, at, due_at) VALUES (?, ?, ?, ?)", (chain, seq, at, at))
            connection.execute("COMMIT")


class _Files:
    """Copies of one file with pending requests, and the rows that approving them writes."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._settings = StoreSettings(keyring=KEYRING)
        with self._open(folder / "waiting.db") as waiting:
            self.ids = [waiting.ask(PROFILES[number % len(PROFILES)]).id for number in range(count)]
        decided = self._copy("decided")
        with self._open(decided) as harness:
            for request_id in self.ids:
                harness.requests.approve(RequestId(request_id), APPROVER, "Go ahead")
        with closing(sqlite3.connect(decided)) as connection:
            self.rows = {request_id: _read_rows(connection, request_id) for request_id in self.ids}

    @contextmanager
    def harness(self, name: str) -> Iterator[ServiceHarness]:
        """A harness on a new copy."""
        with self._open(self._copy(name)) as harness:
            yield harness

    def raw(self, name: str) -> _Raw:
        """The raw side on a new copy."""
        return _Raw(self._copy(name), self.rows)

    def _copy(self, name: str) -> Path:
        return Path(shutil.copy(self._folder / "waiting.db", self._folder / f"{name}.db"))

    @contextmanager
    def _open(self, path: Path) -> Iterator[ServiceHarness]:
        with closing(SqliteStores(str(path), self._settings)) as stores:
            yield ServiceHarness(stores, SystemClock())


def measure(size: Size) -> Section:
    """One by one, and with many threads."""
    rounds = size.pick(2000, 100)
    # Next to the package and not in /tmp, which may be in memory: a commit has to reach a disk.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as folder:
        single = _one_by_one(_Files(Path(folder), rounds + rounds // 10), rounds)
        with_threads = _with_threads(_Files(Path(folder), size.pick(6400, 320)))
    whole, write = Ratio.of(single[DECISION], single[RAW]), Ratio.of(single[STORE], single[RAW])
    one_by_one = ResultTable(
        ("what", "time, as a multiple of the raw transaction"),
        (("the store's update", str(write)), ("the whole decision, with its read", str(whole))),
        f"One by one, {rounds} rounds, interleaved:",
    )
    many = ResultTable(
        ("threads", "time of as many decisions, as a multiple of raw", "raw rate", "decisions' rate"),
        _thread_rows(with_threads),
        "From several threads, the same number on each side; the rates are multiples of the raw rate of one thread:",
    )
    goals = [
        Goal(f"a decision takes at most {MAX_RATIO} times as long", f"{whole.median:.2f}", whole.median <= MAX_RATIO)
    ]
    return Section(
        "sqlite-rate",
        "Decisions per second on SQLite",
        (one_by_one, many),
        tuple(goals),
        "Both sides write the same rows to copies of one file (WAL, synchronous=FULL), on one disk.",
    )


def _one_by_one(files: _Files, rounds: int) -> dict[str, list[float]]:
    raw = files.raw("raw")
    with closing(raw.connect()) as connection, files.harness("store") as stored, files.harness("decision") as decided:
        dry = DryRun(stored)

        def store(number: int) -> Call:
            approved, entry = dry.approve(files.ids[number])
            return lambda: stored.stores.requests.update(approved, entry)

        service = decided.requests
        return time_interleaved(
            {
                RAW: lambda number: lambda: raw.approve(connection, files.ids[number]),
                STORE: store,
                DECISION: lambda number: lambda: service.approve(RequestId(files.ids[number]), APPROVER, "Go ahead"),
            },
            rounds,
            warm_up=rounds // 10,
        )


def _with_threads(files: _Files) -> dict[int, dict[str, float]]:
    """Seconds of each side, by the number of threads. Each round of blocks covers every number."""
    raw = files.raw("raw-threads")
    times = {threads: {RAW: 0.0, DECISION: 0.0} for threads in THREADS}
    blocks = [files.ids[start : start + _BLOCK] for start in range(0, len(files.ids), _BLOCK)]
    with files.harness("decision-threads") as harness, ThreadPoolExecutor(max(THREADS)) as pool, ExitStack() as held:
        connections = [held.enter_context(closing(raw.connect())) for _ in range(max(THREADS))]
        service = harness.requests
        ways: list[tuple[str, Way]] = [
            (RAW, lambda request_id, thread: raw.approve(connections[thread], request_id)),
            (DECISION, lambda request_id, _: service.approve(RequestId(request_id), APPROVER, "Go ahead")),
        ]
        for number, block in enumerate(blocks):
            threads = THREADS[number % len(THREADS)]
            is_swapped = number // len(THREADS) % 2
            for name, way in reversed(ways) if is_swapped else ways:
                times[threads][name] += _time_block(pool, way, block, threads)
    return times


def _time_block(pool: ThreadPoolExecutor, way: Way, block: Sequence[str], threads: int) -> float:
    started = time.perf_counter()
    done = [pool.submit(_work, way, block[thread::threads], thread) for thread in range(threads)]
    for each in done:
        each.result()
    return time.perf_counter() - started


def _work(way: Way, ids: Sequence[str], thread: int) -> None:
    for request_id in ids:
        way(request_id, thread)


def _thread_rows(times: dict[int, dict[str, float]]) -> tuple[tuple[str, ...], ...]:
    alone = times[1][RAW]
    return tuple(
        (
            str(threads),
            f"{sides[DECISION] / sides[RAW]:.2f}",
            f"{alone / sides[RAW]:.2f}",
            f"{alone / sides[DECISION]:.2f}",
        )
        for threads, sides in times.items()
    )


def _read_rows(connection: sqlite3.Connection, request_id: str) -> Rows:
    request = connection.execute(
        "SELECT status, updated_at, body, id FROM requests WHERE id = ?", (request_id,)
    ).fetchone()
    entry = connection.execute(
        "SELECT chain, seq, id, at, body FROM audit WHERE chain = ? ORDER BY seq DESC LIMIT 1",
        (f"{Request.KIND}#{request_id}",),
    ).fetchone()
    return request, entry

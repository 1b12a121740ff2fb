"""What each list and the check of the limits cost on SQLite, after a short and after a very long past.

Invariant: all lengths of the past are asked the same question in turns, and have to give the same answer.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.harness import KEYRING
from benchmarks.past import BUSY, PROD, Remembered, remember
from benchmarks.questions import QUESTIONS, Ask, check_limits, make_ledgers
from benchmarks.results import Goal, ResultTable, Section, Size
from benchmarks.turns import Prepare, Ratio, time_in_turns
from core.actor import ProfileName, UserId
from core.clock import SystemClock, format_time
from core.request import Request
from core.stores.base import Stores
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from core.usage import MOST_USAGES, UsageLedger

SHORTEST: Final = 100
FLAT: Final = 1.5
"""A tree that holds ten thousand times as much is some levels higher."""
USAGES: Final = 20
_LEDGER_SIZES: Final = (1, 10, 100, MOST_USAGES)
_ROWS_AT_ONCE: Final = 10_000
_COLUMNS: Final = "id, person, profile, status, created_at, updated_at, expires_at, body"
NEVER_USED: Final = ProfileName("never-used")


def measure(size: Size) -> Section:
    """All questions at all lengths of the past."""
    lengths = (SHORTEST, 10_000) if size.is_quick else (SHORTEST, 10_000, 1_000_000)
    rounds = size.pick(300, 30)
    now = SystemClock().now()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as folder, ExitStack() as held:
        stores = {
            length: held.enter_context(_stores_with_past(Path(folder) / f"{length}.db", length, now))
            for length in lengths
        }
        rows, worst = _ask_everything(stores, rounds, now)
        walk = _compare_walk(stores, max(rounds // 10, 3), now)
        ledgers = _compare_ledgers(stores[SHORTEST], rounds, now)
    shown = tuple(f"after {length:,} records" for length in lengths[1:])
    return Section(
        "history",
        "The cost of a long past on SQLite",
        (
            ResultTable(("question", *shown), rows, f"As multiples of the time after {SHORTEST} records:"),
            ResultTable(
                ("usages in both ledgers", "the limits' check"),
                ledgers,
                f"A ledger remembers {MOST_USAGES} usages at most; as multiples of the time with one usage:",
            ),
            ResultTable(("question that walks one person's own past", "after 10,000 records"), (walk,)),
        ),
        (Goal(f"each is flat (at most {FLAT} times)", f"at most {worst:.2f}", worst <= FLAT),),
        f"{rounds} rounds, all lengths in turns, everything in the operating system's cache. A quarter of all records "
        "is one person's, half are one profile's, and it is these that are asked for.",
    )


def _ask_everything(stores: dict[int, Stores], rounds: int, now: datetime) -> tuple[tuple[tuple[str, ...], ...], float]:
    rows, worst = [], 0.0
    for question in QUESTIONS:
        answers = {repr(question.ask(each, now)) for each in stores.values()}
        if len(answers) != 1:
            raise AssertionError(f"{question.name}: the answer depends on the length of the past")
        ratios = _compare({str(length): _asking(question.ask, each, now) for length, each in stores.items()}, rounds)
        rows.append((question.name, *map(str, ratios)))
        worst = max(worst, *(ratio.median for ratio in ratios))
    return tuple(rows), worst


def _asking(ask: Ask, stores: Stores, now: datetime) -> Prepare:
    return lambda _: lambda: ask(stores, now)


def _compare_walk(stores: dict[int, Stores], rounds: int, now: datetime) -> tuple[str, ...]:
    """Not a goal: what it costs to find that there is nothing. The longest past would take seconds each time."""
    walk: Ask = lambda each, _: each.break_glass.get_last_by_invoker_and_profile(BUSY, NEVER_USED)  # noqa: E731
    ratios = _compare({str(length): _asking(walk, stores[length], now) for length in (SHORTEST, 10_000)}, rounds)
    return ("break_glass.get_last_by_invoker_and_profile, a profile never used", *map(str, ratios))


def _compare_ledgers(stores: Stores, rounds: int, now: datetime) -> tuple[tuple[str, str], ...]:
    def checking(count: int) -> Prepare:
        person, profile = _names(count)
        return lambda _: lambda: check_limits(stores, person, profile, now)

    ratios = _compare({str(count): checking(count) for count in _LEDGER_SIZES}, rounds)
    return tuple((f"{count:,}", str(ratio)) for count, ratio in zip(_LEDGER_SIZES[1:], ratios, strict=True))


def _compare(ways: dict[str, Prepare], rounds: int) -> list[Ratio]:
    """Each way against the first one."""
    first, *others = time_in_turns(ways, rounds).values()
    return [Ratio.of(other, first) for other in others]


@contextmanager
def _stores_with_past(path: Path, length: int, now: datetime) -> Iterator[Stores]:
    settings = StoreSettings(keyring=KEYRING)
    SqliteStores(str(path), settings).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Only while the past is made up: nothing is lost if it has to be made again.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        records = remember(length, now)
        while batch := list(islice(records, _ROWS_AT_ONCE)):
            _insert(connection, batch)
        sizes = [(BUSY, PROD, USAGES), *((*_names(count), count) for count in _LEDGER_SIZES)]
        for person, profile, count in sizes:
            _insert_ledgers(connection, make_ledgers(person, profile, count, now))
        connection.execute("COMMIT")
    with closing(SqliteStores(str(path), settings)) as stores:
        yield stores


def _insert(connection: sqlite3.Connection, batch: list[Remembered]) -> None:
    for table, is_request in (("requests", True), ("break_glass", False)):
        connection.executemany(
            f"INSERT INTO {table} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (
                (r.id, r.person, r.profile, r.status, at, at, format_time(r.expires_at), r.body)
                for r in batch
                if (r.kind is Request) is is_request and (at := format_time(r.at))
            ),
        )
    connection.executemany(
        "INSERT INTO audit (chain, seq, id, at, body, due_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            (r.chain, seq, r.id, at, body, None if r.is_told else at)
            for r in batch
            if (at := format_time(r.at))
            for seq, body in enumerate(r.entries, 1)
        ),
    )


def _insert_ledgers(connection: sqlite3.Connection, ledgers: tuple[UsageLedger, ...]) -> None:
    for ledger in ledgers:
        item = ledger.to_item()
        values = (ledger.owner, item["updated_at"], json.dumps(item))
        connection.execute("INSERT INTO ledgers VALUES (?, ?, ?)", values)


def _names(count: int) -> tuple[UserId, ProfileName]:
    return UserId(f"U0USED{count}"), ProfileName(f"used-{count}")

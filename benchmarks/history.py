"""What each list and the check of the limits cost after a short and after a very long history.

Invariant: every length of the history gets the same questions, on SQLite in rotating order, and must give the same
answers. On DynamoDB, reads are counted, at the HTTP client and in the engine's own capacity units; times aren't
measured there.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import KEYRING, dynamodb_harness, dynamodb_local
from benchmarks.records import BUSY, PROD, QUESTIONS, Ask, HistoryRecord, check_limits, make_history, make_ledgers
from benchmarks.results import Goal, Prepare, Ratio, ResultTable, Section, Size, time_interleaved
from benchmarks.round_trips import CallCounter, Cost
from core.actor import ProfileName, UserId
from core.clock import SystemClock, format_time
from core.request import Request
from core.stores.base import Stores
from core.stores.commit import StoreSettings
from core.stores.dynamodb.items import to_attributes
from core.stores.dynamodb.older_outbox import delivery_item
from core.stores.schema import AUDIT, BREAK_GLASS, OUTBOX, REQUESTS
from core.stores.sqlite import SqliteStores
from core.usage import MAX_USAGES, UsageLedger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHORTEST: Final = 100
MAX_GROWTH: Final = 1.5
"""A B-tree with ten thousand times as many rows is a few levels deeper."""
USAGES: Final = 20
_LEDGER_SIZES: Final = (1, 10, 100, MAX_USAGES)
_ROWS_AT_ONCE: Final = 10_000
_COLUMNS: Final = "id, person, profile, status, created_at, updated_at, expires_at, body"
NEVER_USED: Final = ProfileName("never-used")
_MAX_BATCH: Final = 25
"""The limit of BatchWriteItem."""
Write = tuple[str, dict[str, Any]]
"""A table's name and an item for it."""


def measure_on_sqlite(size: Size) -> Section:
    """All questions at all lengths of the history."""
    lengths = (SHORTEST, 10_000) if size.is_quick else (SHORTEST, 10_000, 1_000_000)
    rounds = size.pick(300, 30)
    now = SystemClock().now()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as folder, ExitStack() as held:
        stores = {
            length: held.enter_context(_stores_with_history(Path(folder) / f"{length}.db", length, now))
            for length in lengths
        }
        rows, worst = _ask_everything(stores, rounds, now)
        walk = _compare_walk(stores, max(rounds // 10, 3), now)
        ledgers = _compare_ledgers(stores[SHORTEST], rounds, now)
    shown = tuple(f"after {length:,} records" for length in lengths[1:])
    return Section(
        "history",
        "The cost of a long history on SQLite",
        (
            ResultTable(("question", *shown), rows, f"As multiples of the time after {SHORTEST} records:"),
            ResultTable(
                ("usages in both ledgers", "the limits' check"),
                ledgers,
                f"A ledger keeps {MAX_USAGES} usages at most; as multiples of the time with one usage:",
            ),
            ResultTable(("question that walks one person's own history", "after 10,000 records"), (walk,)),
        ),
        (Goal(f"each is flat (at most {MAX_GROWTH} times)", f"at most {worst:.2f}", worst <= MAX_GROWTH),),
        f"{rounds} rounds, all lengths interleaved, everything in the operating system's cache. A quarter of all "
        "records belong to one person, half to one profile; the questions are about these two.",
    )


def _ask_everything(stores: dict[int, Stores], rounds: int, now: datetime) -> tuple[tuple[tuple[str, ...], ...], float]:
    rows, worst = [], 0.0
    for question in QUESTIONS:
        answers = {repr(question.ask(each, now)) for each in stores.values()}
        if len(answers) != 1:
            raise AssertionError(f"{question.name}: the answer depends on the length of the history")
        ratios = _compare({str(length): _asking(question.ask, each, now) for length, each in stores.items()}, rounds)
        rows.append((question.name, *map(str, ratios)))
        worst = max(worst, *(ratio.median for ratio in ratios))
    return tuple(rows), worst


def _asking(ask: Ask, stores: Stores, now: datetime) -> Prepare:
    return lambda _: lambda: ask(stores, now)


def _compare_walk(stores: dict[int, Stores], rounds: int, now: datetime) -> tuple[str, ...]:
    """Not a goal: the cost of finding nothing. With the longest history, this would take seconds each time."""
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
    first, *others = time_interleaved(ways, rounds).values()
    return [Ratio.of(other, first) for other in others]


@contextmanager
def _stores_with_history(path: Path, length: int, now: datetime) -> Iterator[Stores]:
    settings = StoreSettings(keyring=KEYRING)
    SqliteStores(str(path), settings).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Only while the history is generated: after a crash, it can be generated again.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        records = make_history(length, now)
        while batch := list(islice(records, _ROWS_AT_ONCE)):
            _insert(connection, batch)
        sizes = [(BUSY, PROD, USAGES), *((*_names(count), count) for count in _LEDGER_SIZES)]
        for person, profile, count in sizes:
            _insert_ledgers(connection, make_ledgers(person, profile, count, now))
        connection.execute("COMMIT")
    with closing(SqliteStores(str(path), settings)) as stores:
        yield stores


def _insert(connection: sqlite3.Connection, batch: list[HistoryRecord]) -> None:
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
        "INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)",
        (
            (r.chain, seq, r.id, at, body)
            for r in batch
            if (at := format_time(r.at))
            for seq, body in enumerate(r.entries, 1)
        ),
    )
    connection.executemany(
        "INSERT INTO outbox (chain, seq, at, due_at) VALUES (?, ?, ?, ?)",
        (
            (r.chain, seq, at, at)
            for r in batch
            if not r.is_delivered and (at := format_time(r.at))
            for seq in range(1, len(r.entries) + 1)
        ),
    )


def _insert_ledgers(connection: sqlite3.Connection, ledgers: tuple[UsageLedger, ...]) -> None:
    for ledger in ledgers:
        item = ledger.to_item()
        values = (ledger.owner, item["updated_at"], json.dumps(item))
        connection.execute("INSERT INTO ledgers VALUES (?, ?, ?)", values)


def _names(count: int) -> tuple[UserId, ProfileName]:
    return UserId(f"U0USED{count}"), ProfileName(f"used-{count}")


def measure_reads(size: Size) -> Section:
    """All questions at both lengths of the history."""
    lengths = (SHORTEST, size.pick(10_000, 1_000))
    now = SystemClock().now()
    costs: dict[int, list[Cost]] = {}
    with dynamodb_local() as url:
        for length in lengths:
            with dynamodb_harness(url, SystemClock()) as (harness, client, prefix):
                _write_all(client, _history(prefix, length, now))
                counter = CallCounter(client)
                costs[length] = []
                for question in QUESTIONS:
                    counter.start()
                    question.ask(harness.stores, now)
                    costs[length].append(counter.cost())
    short, long = (costs[length] for length in lengths)
    rows = tuple(
        (question.name, str(first), str(second), f"{first.units:g}", f"{second.units:g}")
        for question, first, second in zip(QUESTIONS, short, long, strict=True)
    )
    grown = [
        question.name
        for question, first, second in zip(QUESTIONS, short, long, strict=True)
        if (second, second.units) != (first, first.units)
    ]
    columns = tuple(f"{what} after {length:,}" for what in ("reads", "units") for length in lengths)
    goal = "a longer history takes neither more reads nor more capacity units"
    return Section(
        "history-reads",
        "The cost of a long history on DynamoDB",
        (ResultTable(("question", *columns), rows),),
        (Goal(goal, "; ".join(grown) or "for every question", not grown),),
        "Counted on DynamoDB Local, with the history and the questions of the previous section.",
    )


def _history(prefix: str, length: int, now: datetime) -> Iterator[Write]:
    for record in make_history(length, now):
        key = {} if record.kind is Request else {"pk": {"S": record.chain}}
        table = REQUESTS if record.kind is Request else BREAK_GLASS
        yield table.name(prefix), to_attributes(json.loads(record.body)) | key
        for entry in record.entries:
            plain = json.loads(entry)
            yield AUDIT.name(prefix), to_attributes({**plain, "month": plain["at"][:7]})
            if not record.is_delivered:
                yield OUTBOX.name(prefix), delivery_item(plain, {"due_at": plain["at"]})
    for ledger in make_ledgers(BUSY, PROD, USAGES, now):
        item = to_attributes(ledger.to_item()) | {"pk": {"S": f"LEDGER#{ledger.owner}"}}
        yield BREAK_GLASS.name(prefix), item


def _write_all(client: DynamoDBClient, writes: Iterable[Write]) -> None:
    remaining = iter(writes)
    while batch := list(islice(remaining, _MAX_BATCH)):
        requests: dict[str, list[Any]] = {}
        for table, item in batch:
            requests.setdefault(table, []).append({"PutRequest": {"Item": item}})
        while requests:
            requests = dict(client.batch_write_item(RequestItems=requests)["UnprocessedItems"])

"""How fast the audit trail is verified: all of it, and what came after the last checkpoint.

Invariant: every record and entry is sealed as the bot seals it, and every verification must find nothing. The ways are
compared in the same run, on the same trail.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import APPROVER, HOUR, JUSTIFICATION, KEYRING, dynamodb_harness, dynamodb_local, new_person
from benchmarks.results import Goal, ResultTable, Section, Size
from core.actor import DeciderId, ProfileName, UserId
from core.audit.checkpoint import SETTLE_TIME, Checkpointer
from core.audit.findings import Finding, Tally
from core.audit.recent import verify_since
from core.audit.trail import CHECKPOINTS, AuditAction, EntryDraft
from core.audit.verification import TrailVerification
from core.clock import SystemClock, format_time
from core.request import Request
from core.stores.base import Stores
from core.stores.commit import Commit, StoreSettings, prepare_create, prepare_update
from core.stores.dynamodb.items import to_attributes
from core.stores.schema import AUDIT, REQUESTS
from core.stores.sqlite import SqliteStores
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MIN_FEWER_CALLS: Final = 10
"""Against one read for each chain. Reading ahead by the hundred is what makes it fast; the rest is the CPU's."""
_AGE: Final = timedelta(days=2)
_NEW: Final = 100
"""How many records are made after the last checkpoint."""
_MAX_BATCH: Final = 25
_EVERY: Final = 10
"""The slow way verifies only every tenth chain: all of them would take minutes."""


def measure(size: Size) -> Section:
    """Both engines."""
    count = size.pick(5_000, 1_000)
    rows, goals = [], []
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as folder:
        path, clock = str(Path(folder) / "verification.db"), FrozenClock(SystemClock().now() - _AGE)
        with closing(SqliteStores(path, StoreSettings(keyring=KEYRING, clock=clock))) as stores:
            found = _measure(stores, clock, count, lambda commits: _insert(path, commits))
            rows.append(("SQLite", *found.row()))
    clock = FrozenClock(SystemClock().now() - _AGE)
    with dynamodb_local() as url, dynamodb_harness(url, clock) as (harness, client, prefix):
        found = _measure(harness.stores, clock, count, lambda commits: _put(client, prefix, commits))
        rows.append(("DynamoDB Local", *found.row()))
        calls = _count_calls(harness.stores, client)
    goals.append(
        Goal(
            f"on DynamoDB, at most a call for each {MIN_FEWER_CALLS} chains",
            f"one for each {count / calls:.0f}",
            calls * MIN_FEWER_CALLS <= count,
        )
    )
    headings = ("engine", "against one read per chain", "entries a second", "since the last checkpoint, against all")
    return Section(
        "verification",
        "Verifying the audit trail",
        (ResultTable(headings, tuple(rows)),),
        tuple(goals),
        f"{count:,} requests of two entries each; {_NEW} more since the last checkpoint. Entries a second are this "
        "machine's, to extrapolate from: at this rate, ten million records of two entries take the seconds that twenty "
        "million entries take, and a verification since a checkpoint takes what is new.",
    )


def _count_calls(stores: Stores, client: DynamoDBClient) -> int:
    """How often a whole verification asks DynamoDB."""
    calls: list[str] = []

    def note(model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's OperationModel
        calls.append(model.name)

    client.meta.events.register("before-call.dynamodb", note)
    _time(TrailVerification.prepare(stores, KEYRING, SystemClock().now(), Tally()).verify_all())
    return len(calls)


class _Found:
    """The seconds of each way, by what each verified."""

    def __init__(self, one_by_one: float, everything: float, since: float, entries: int) -> None:
        self.speed_up = one_by_one / everything
        self._rate = entries / everything
        self._since = since / everything

    def row(self) -> tuple[str, str, str]:
        return f"{self.speed_up:.1f} times as fast", f"{self._rate:,.0f}", f"{self._since:.4f} of the time"


def _measure(stores: Stores, clock: FrozenClock, count: int, write: Callable[[list[Commit[Request]]], None]) -> _Found:
    settings = StoreSettings(keyring=KEYRING, clock=clock)
    write(list(_make(count, settings)))
    clock.set(clock.now() + count * timedelta(seconds=1) + 2 * SETTLE_TIME)
    Checkpointer(stores.audit, clock).seal_due()
    last = stores.audit.get_last(CHECKPOINTS)
    if last is None:
        raise AssertionError("nothing was sealed")
    write(list(_make(_NEW, settings)))
    clock.set(SystemClock().now())
    run = TrailVerification.prepare(stores, KEYRING, clock.now(), Tally())
    # Connections open, caches fill, Java compiles.
    _time(run.verify_all())
    everything = _time(run.verify_all())
    since = _time(verify_since(run, last))
    chains = [each for number, each in enumerate(stores.audit.iterate_chains()) if number % _EVERY == 0]
    one_by_one = _EVERY * _time(finding for each in chains for finding in run.verify_batch([each]))
    return _Found(one_by_one, everything, since, 2 * (count + _NEW))


def _time(findings: Iterator[Finding]) -> float:
    started = time.perf_counter()
    found = list(findings)
    seconds = time.perf_counter() - started
    if found:
        raise AssertionError(f"{len(found)} findings, the first: {found[0]}")
    return seconds


def _make(count: int, settings: StoreSettings) -> Iterator[Commit[Request]]:
    start, requester = settings.clock.now(), new_person()
    for number in range(count):
        yield from _request(start + number * timedelta(seconds=1), requester.id, settings)


def _request(at: datetime, requester: UserId, settings: StoreSettings) -> Iterator[Commit[Request]]:
    request = Request.submit(
        requester=requester, profile=ProfileName("prod-001"), justification=JUSTIFICATION, rule="one", now=at,
        duration=HOUR,
    )  # fmt: skip
    asked = EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, requester, {"required_approvals": 1})
    created = prepare_create(request, (asked,), settings)
    yield created
    approved = created.record.approve(APPROVER.id, at)
    draft = EntryDraft.of(approved, AuditAction.REQUEST_APPROVED, DeciderId(APPROVER.id))
    yield prepare_update(approved, (draft,), StoreSettings(settings.keyring, settings.retention, FrozenClock(at)))


def _insert(path: str, commits: list[Commit[Request]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for commit in commits:
            item = commit.item
            connection.execute(
                "INSERT OR REPLACE INTO requests"
                " (id, person, profile, status, created_at, updated_at, expires_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    item["id"],
                    commit.record.person,
                    *(item[name] for name in ("profile", "status", "created_at", "updated_at", "expires_at")),
                    json.dumps(item),
                ),
            )
            connection.executemany(
                "INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)",
                [(e.chain, e.seq, e.id, format_time(e.at), json.dumps(e.to_item())) for e in commit.entries],
            )


def _put(client: DynamoDBClient, prefix: str, commits: list[Commit[Request]]) -> None:
    puts: list[tuple[str, dict[str, object]]] = []
    for commit in commits:
        if not commit.is_new:
            item = to_attributes(commit.item)
            if commit.kept_until is not None:
                item["ttl"] = {"N": str(int(commit.kept_until.timestamp()))}
            puts.append((REQUESTS.name(prefix), item))
        for entry in commit.entries:
            month = {"month": {"S": format_time(entry.at)[:7]}}
            puts.append((AUDIT.name(prefix), to_attributes(entry.to_item()) | month))
    for first in range(0, len(puts), _MAX_BATCH):
        tables: dict[str, list[dict[str, object]]] = {}
        for table, item in puts[first : first + _MAX_BATCH]:
            tables.setdefault(table, []).append({"PutRequest": {"Item": item}})
        client.batch_write_item(RequestItems=tables)  # type: ignore[arg-type]

"""What each list and the check of the limits read on DynamoDB, after a short and after a long past.

Invariant: reads are counted, at the HTTP client and in the engine's own capacity units; no time plays a part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from benchmarks.counting import CallCounter, Cost
from benchmarks.engine import dynamodb_local
from benchmarks.harness import dynamodb_scene
from benchmarks.history import SHORTEST, USAGES
from benchmarks.past import BUSY, PROD, Remembered, remember
from benchmarks.questions import QUESTIONS, make_ledgers
from benchmarks.results import Goal, ResultTable, Section, Size
from core.clock import SystemClock
from core.request import Request
from core.stores.dynamodb.items import to_attributes
from core.stores.schema import AUDIT, BREAK_GLASS, REQUESTS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MOST_AT_ONCE: Final = 25
"""What BatchWriteItem takes."""
Write = tuple[str, dict[str, Any]]
"""A table's name and an item for it."""


def measure(size: Size) -> Section:
    """All questions at both lengths of the past."""
    lengths = (SHORTEST, size.pick(10_000, 1_000))
    now = SystemClock().now()
    costs: dict[int, list[Cost]] = {}
    with dynamodb_local() as url:
        for length in lengths:
            with dynamodb_scene(url, SystemClock()) as (scene, client, prefix):
                _write_all(client, _past(prefix, length, now))
                counter = CallCounter(client)
                costs[length] = []
                for question in QUESTIONS:
                    counter.start()
                    question.ask(scene.stores, now)
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
    goal = "a longer past takes neither more reads nor more capacity units"
    return Section(
        "history-reads",
        "The cost of a long past on DynamoDB",
        (ResultTable(("question", *columns), rows),),
        (Goal(goal, "; ".join(grown) or "for every question", not grown),),
        "Counted on DynamoDB Local, on the past and with the questions of the section before.",
    )


def _past(prefix: str, length: int, now: datetime) -> Iterator[Write]:
    for record in remember(length, now):
        key = {} if record.kind is Request else {"pk": {"S": record.chain}}
        table = REQUESTS if record.kind is Request else BREAK_GLASS
        yield table.name(prefix), to_attributes(json.loads(record.body)) | key
        for entry in record.entries:
            yield AUDIT.name(prefix), _entry_item(record, json.loads(entry))
    for ledger in make_ledgers(BUSY, PROD, USAGES, now):
        item = to_attributes(ledger.to_item()) | {"pk": {"S": f"LEDGER#{ledger.owner}"}}
        yield BREAK_GLASS.name(prefix), item


def _entry_item(record: Remembered, entry: dict[str, Any]) -> dict[str, Any]:
    waiting = {} if record.is_told else {"delivery": "due", "due_at": entry["at"]}
    return to_attributes({**entry, "month": entry["at"][:7], **waiting})


def _write_all(client: DynamoDBClient, writes: Iterable[Write]) -> None:
    remaining = iter(writes)
    while batch := list(islice(remaining, _MOST_AT_ONCE)):
        requests: dict[str, list[Any]] = {}
        for table, item in batch:
            requests.setdefault(table, []).append({"PutRequest": {"Item": item}})
        while requests:
            requests = dict(client.batch_write_item(RequestItems=requests)["UnprocessedItems"])

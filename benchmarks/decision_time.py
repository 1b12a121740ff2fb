"""The time of a decision, compared with one raw boto3 TransactWriteItems of exactly the same items.

Invariant: the raw side sends, over the same client, exactly the arguments that Countersign would send for such a
record: the same items, conditions and token. They are recorded beforehand, so building them costs the raw side nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import (
    APPROVER,
    KEYRING,
    PROFILES,
    Call,
    DryRun,
    Recorder,
    ServiceHarness,
    dynamodb_harness,
    dynamodb_local,
    new_person,
)
from benchmarks.results import Goal, Prepare, Ratio, ResultTable, Section, Size, time_interleaved
from core.clock import SystemClock
from core.request import RequestId
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_RATIO: Final = 1.3
RAW_WRITE: Final = "raw write"
RAW_BOTH: Final = "raw read and write"
STORE_WRITE: Final = "store's write"
DECISION: Final = "whole decision"


class _Decisions:
    """Two decisions, each made in four ways. Each way gets a new record in each round."""

    def __init__(self, harness: ServiceHarness, client: DynamoDBClient, prefix: str) -> None:
        self._harness = harness
        self._client: Any = client
        self._dry = DryRun(harness)
        self._sent = Recorder(client, "transact_write_items")
        settings = StoreSettings(keyring=KEYRING, clock=harness.clock)
        self._unsent = DynamoStores(Connection(self._sent), prefix, settings)

    def approve(self) -> dict[str, Prepare]:
        """An approval."""

        def raw(*, with_read: bool) -> Call:
            approved, entry = self._dry.approve(self._harness.ask().id)
            self._unsent.requests.update(approved, entry)
            _, write = self._sent.take()
            read = {"TableName": _table(write), "Key": {"id": {"S": approved.id}}, "ConsistentRead": True}
            return self._raw_call(write, "get_item" if with_read else None, read)

        def store(_: int) -> Call:
            approved, entry = self._dry.approve(self._harness.ask().id)
            return lambda: self._harness.stores.requests.update(approved, entry)

        def decision(_: int) -> Call:
            request, service = RequestId(self._harness.ask().id), self._harness.requests
            return lambda: service.approve(request, APPROVER, "Go ahead")

        return {
            RAW_WRITE: lambda _: raw(with_read=False),
            RAW_BOTH: lambda _: raw(with_read=True),
            STORE_WRITE: store,
            DECISION: decision,
        }

    def invoke(self) -> dict[str, Prepare]:
        """A break-glass event, which updates two ledgers. No two ways of a round share a profile or its ledger."""

        def raw(profile: str, *, with_read: bool) -> Call:
            event, entry, ledgers = self._dry.invoke(profile)
            self._unsent.break_glass.create(event, entry, ledgers)
            _, write = self._sent.take()
            keys = [{"pk": {"S": f"LEDGER#{ledger.owner}"}} for ledger in ledgers]
            read = {"RequestItems": {_table(write): {"Keys": keys, "ConsistentRead": True}}}
            return self._raw_call(write, "batch_get_item" if with_read else None, read)

        def store(number: int) -> Call:
            event, entry, ledgers = self._dry.invoke(_profile(number, 2))
            return lambda: self._harness.stores.break_glass.create(event, entry, ledgers)

        def decision(number: int) -> Call:
            person, harness = new_person("S0ONCALL"), self._harness
            return lambda: harness.invoke(_profile(number, 3), person)

        return {
            RAW_WRITE: lambda number: raw(_profile(number, 0), with_read=False),
            RAW_BOTH: lambda number: raw(_profile(number, 1), with_read=True),
            STORE_WRITE: store,
            DECISION: decision,
        }

    def _raw_call(self, write: dict[str, Any], reading: str | None, read: dict[str, Any]) -> Call:
        transact = self._client.transact_write_items
        if reading is None:
            return lambda: transact(**write)
        get = getattr(self._client, reading)
        return lambda: (get(**read), transact(**write))


def measure(size: Size) -> Section:
    """Both decisions on DynamoDB Local."""
    rounds = size.pick(400, 40)
    rows: list[tuple[str, ...]] = []
    goals: list[Goal] = []
    with dynamodb_local() as url, dynamodb_harness(url, SystemClock()) as (harness, client, prefix):
        decisions = _Decisions(harness, client, prefix)
        for name, ways in (("approve", decisions.approve()), ("break the glass", decisions.invoke())):
            times = time_interleaved(ways, rounds, warm_up=size.pick(50, 10))
            row, of_row = _compare(name, times)
            rows.append(row)
            goals.extend(of_row)
    headings = (
        "decision",
        f"{STORE_WRITE} / {RAW_WRITE}",
        f"{DECISION} / {RAW_BOTH}",
        f"{DECISION} / {RAW_WRITE}",
        f"{RAW_BOTH} / {RAW_WRITE}",
    )
    return Section(
        "decision-time",
        "The time of a decision on DynamoDB",
        (ResultTable(headings, tuple(rows)),),
        tuple(goals),
        f"{rounds} rounds; each does all four ways, one after the other, in rotating order. A decision also reads "
        "(GetItem, or BatchGetItem of the two ledgers). The third column counts that read as overhead; the last one "
        "shows the part of it that no code can avoid: the raw read alone.",
    )


def _compare(name: str, times: dict[str, list[float]]) -> tuple[tuple[str, ...], list[Goal]]:
    write = Ratio.of(times[STORE_WRITE], times[RAW_WRITE])
    whole = Ratio.of(times[DECISION], times[RAW_BOTH])
    strict = Ratio.of(times[DECISION], times[RAW_WRITE])
    floor = Ratio.of(times[RAW_BOTH], times[RAW_WRITE])
    goals = [
        _goal(f"{name}: the store's write, against the raw write", write),
        _goal(f"{name}: the whole decision, against the raw read and write", whole),
        _goal(f"{name}: the whole decision with its read, against the raw write alone", strict),
    ]
    return (name, str(write), str(whole), str(strict), str(floor)), goals


def _table(write: dict[str, Any]) -> str:
    name: str = write["TransactItems"][0]["Put"]["TableName"]
    return name


def _profile(number: int, way: int) -> str:
    return PROFILES[(4 * number + way) % len(PROFILES)]


def _goal(text: str, ratio: Ratio) -> Goal:
    return Goal(f"{text} (at most {MAX_RATIO} times)", f"{ratio.median:.2f}", ratio.median <= MAX_RATIO)

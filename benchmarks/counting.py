"""Counts what a DynamoDB client sends, at the HTTP client, and what the engine says it consumed.

Invariant: each HTTP request is counted when it is sent, tries again included; what a call looks like to its caller
plays no part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})
_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"})


@dataclass(frozen=True, slots=True)
class Cost:
    """Round trips to the database."""

    reads: int = 0
    writes: int = 0
    others: int = 0
    units: float = field(default=0.0, compare=False)
    """Read and write capacity units, as far as the engine tells."""

    def __str__(self) -> str:
        counted = ((self.reads, "read"), (self.writes, "write"), (self.others, "other call"))
        parts = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counted if count]
        return " + ".join(parts) or "nothing"


class CallCounter:
    """Counts the HTTP requests of one client from its making on."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._operations: Counter[str] = Counter()
        self._units = 0.0
        events = client.meta.events
        # This event takes the arguments that its handler returns; the stubs know of no handler that returns any.
        events.register("provide-client-params.dynamodb", self._ask_for_capacity)  # type: ignore[arg-type]
        events.register("before-send.dynamodb", self._count)
        events.register("after-call.dynamodb", self._add_capacity)

    def start(self) -> None:
        """Count anew."""
        self._operations.clear()
        self._units = 0.0

    def cost(self) -> Cost:
        """What was sent since the start."""
        reads = sum(self._operations[name] for name in _READS)
        writes = sum(self._operations[name] for name in _WRITES)
        return Cost(reads, writes, self._operations.total() - reads - writes, self._units)

    def _count(self, event_name: str, **_: object) -> None:
        self._operations[event_name.rpartition(".")[2]] += 1

    @staticmethod
    def _ask_for_capacity(params: dict[str, Any], event_name: str, **_: object) -> dict[str, Any]:
        takes_it = event_name.rpartition(".")[2] in _READS | _WRITES
        return {**params, "ReturnConsumedCapacity": "TOTAL"} if takes_it else params

    def _add_capacity(self, parsed: dict[str, Any], **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity") or []
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self._units += float(each.get("CapacityUnits", 0))

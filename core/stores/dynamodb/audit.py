"""The audit trail in DynamoDB.

Invariant: an entry is only ever put where there was none. The attributes beside it, which do change, say where it still
has to be delivered; see `outbox`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from core.audit.trail import AuditEntry
from core.clock import Clock, format_time
from core.errors import ConcurrentModification, MalformedRecord
from core.stores.audit import Place, PlacedDigest
from core.stores.dynamodb.connection import ConditionFailed, Connection
from core.stores.dynamodb.items import Item, to_attributes
from core.stores.dynamodb.messages import HEAD_SEQ
from core.stores.dynamodb.outbox import entry_key, read_entry, waiting_attributes
from core.stores.listing import read_each, read_or_explain
from core.stores.schema import AUDIT

_DECEMBER: Final = 12
_MAX_APPENDED: Final = 9
"""DynamoDB Local of 2020 takes ten items in one transaction, where AWS takes a hundred; one is the chain's head."""
_FIRST_DAY: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Nothing was written earlier: Countersign did not exist."""
_AHEAD: Final = timedelta(days=1)


def put_entry(table: str, entry: AuditEntry) -> dict[str, Any]:
    """The write that adds a sealed entry, for the caller's transaction; its place must be free."""
    at = format_time(entry.at)
    item = to_attributes(entry.to_item()) | {"month": {"S": at[:7]}}
    if entry.must_be_delivered:
        item |= waiting_attributes(at)
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(seq)"}}


class DynamoAudit:
    """The AuditStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, clock: Clock) -> None:
        self._connection = connection
        self._table = AUDIT.name(prefix)
        self._clock = clock

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first, read consistently."""
        items = self._connection.query_all(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="chain = :chain AND seq > :head",
            ExpressionAttributeValues={":chain": {"S": chain}, ":head": {"N": str(HEAD_SEQ)}},
        )
        return tuple(read_entry(item) for item in items)

    def get_refusals_head(self, chain: str) -> tuple[int, str]:
        """The length and the last digest of a chain of refused attempts."""
        item = self._connection.get(self._table, {"chain": {"S": chain}, "seq": {"N": str(HEAD_SEQ)}})
        return (int(item["length"]["N"]), item["digest"]["S"]) if item is not None and "length" in item else (0, "")

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Add sealed entries to a chain of refused attempts, in transactions that each move the head."""
        # Cut in the same places each time, so that what was written before an answer was lost is recognised.
        for start in range(0, len(entries), _MAX_APPENDED):
            self._append(entries[start : start + _MAX_APPENDED])

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        first, last = entries[0], entries[-1]
        head = {
            "Update": {
                "TableName": self._table,
                "Key": {"chain": {"S": last.chain}, "seq": {"N": str(HEAD_SEQ)}},
                "UpdateExpression": "SET #length = :length, digest = :digest",
                "ConditionExpression": "attribute_not_exists(digest)" if first.seq == 1 else "digest = :previous",
                "ExpressionAttributeNames": {"#length": "length"},
                "ExpressionAttributeValues": {
                    ":length": {"N": str(last.seq)},
                    ":digest": {"S": last.digest},
                    **({":previous": {"S": first.previous}} if first.seq > 1 else {}),
                },
            }
        }
        try:
            self._connection.transact([head, *(put_entry(self._table, entry) for entry in entries)], first.id)
        except ConditionFailed as failure:
            stored = self._connection.get(self._table, entry_key(first))
            if stored is None or stored.get("id") != {"S": first.id}:
                raise ConcurrentModification(last.chain) from failure

    def iterate_chains(self) -> Iterator[tuple[str, tuple[AuditEntry, ...] | MalformedRecord]]:
        """Every chain with its entries, oldest entry first; a scan returns each partition complete and in order."""
        items = self._connection.scan_all(TableName=self._table, ConsistentRead=True)
        for chain, of_chain in groupby(items, key=lambda item: str(item["chain"]["S"])):
            try:
                yield chain, tuple([read_entry(item) for item in of_chain if item["seq"] != {"N": str(HEAD_SEQ)}])
            except MalformedRecord as error:
                yield chain, error

    def get_entries(self, places: Sequence[Place]) -> Mapping[Place, AuditEntry | MalformedRecord]:
        """The entries at these places that exist, in one read."""
        keys: list[Item] = [{"chain": {"S": chain}, "seq": {"N": str(seq)}} for chain, seq in places]
        items = self._connection.get_many(self._table, keys) if keys else ()
        return {
            (item["chain"]["S"], int(item["seq"]["N"])): read_or_explain(item, read_entry)
            for item in items
            if item["seq"] != {"N": str(HEAD_SEQ)}
        }

    def read_chain_from(self, chain: str, seq: int) -> Iterator[AuditEntry]:
        """The entries of one chain from this number on, streamed."""
        items = self._connection.query_all(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="chain = :chain AND seq >= :first",
            ExpressionAttributeValues={":chain": {"S": chain}, ":first": {"N": str(max(seq, HEAD_SEQ + 1))}},
        )
        return (read_entry(item) for item in items)

    def list_digests(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[PlacedDigest]:
        """The entries with `since <= at < until` by their digests, oldest first, streamed."""
        for item in self._by_time(since, until, ProjectionExpression="#at, chain, seq, digest"):
            digest = item.get("digest", {}).get("S", "")
            yield PlacedDigest(item["at"]["S"], item["chain"]["S"], int(item["seq"]["N"]), str(digest))

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed."""
        return read_each(self._by_time(since, until), read_entry)

    def _by_time(self, since: datetime | None, until: datetime | None, **projection: str) -> Iterator[Item]:
        # Another instance's clock may be slightly ahead, across the end of a month.
        last = until if until is not None else self._clock.now() + _AHEAD
        first, end = format_time(since) if since is not None else "0", format_time(until) if until is not None else "~"
        if first >= end:
            # AWS refuses a BETWEEN whose bounds are reversed.
            return
        for month in _months(since, last):
            items = self._connection.query_all(
                TableName=self._table,
                IndexName="gsi-month",
                KeyConditionExpression="#month = :month AND #at BETWEEN :first AND :end",
                ExpressionAttributeNames={"#month": "month", "#at": "at"},
                ExpressionAttributeValues={":month": {"S": month}, ":first": {"S": first}, ":end": {"S": end}},
                **projection,
            )
            # BETWEEN includes its upper end.
            yield from (item for item in items if item["at"]["S"] < end)


def _months(since: datetime | None, until: datetime) -> Iterator[str]:
    moment = max(since or _FIRST_DAY, _FIRST_DAY)
    year, month = moment.year, moment.month
    while (year, month) <= (until.year, until.month):
        yield f"{year:04d}-{month:02d}"
        year, month = (year, month + 1) if month < _DECEMBER else (year + 1, 1)

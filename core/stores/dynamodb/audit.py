"""The audit trail in DynamoDB.

Invariant: an entry is only ever put where there was none, and nothing else is written into its table. What changes,
the deliveries and the heads of chains of refusals, is in the outbox table.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSALS_KIND, AuditEntry, EntryDraft
from core.clock import format_time, new_id
from core.errors import ConcurrentModification, MalformedRecord, StoreUnavailable
from core.stores.audit import Place, PlacedDigest
from core.stores.commit import StoreSettings
from core.stores.dynamodb.connection import DEADLINE_SECONDS, Connection
from core.stores.dynamodb.entries import HEAD_SEQ, entry_key, place_key, put_entries, read_entry, read_filed_entry
from core.stores.dynamodb.items import Item
from core.stores.dynamodb.outbox import put_deliveries
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.listing import OnMalformed, log_malformed, read_each, read_or_explain
from core.stores.schema import AUDIT, OUTBOX
from core.stores.system_chains import ENTRIES_LOOKED_AT, ChainEnd, check_system_chain, seal_next

_DECEMBER: Final = 12
_MAX_WRITES: Final = 9
"""DynamoDB Local of 2020 takes ten writes in one transaction, where AWS takes a hundred; one is the chain's head."""
_FIRST_DAY: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Nothing was written earlier: Countersign did not exist."""
_AHEAD: Final = timedelta(days=1)
_FIRST_PAUSE_SECONDS: Final = 0.01
_MAX_PAUSE_SECONDS: Final = 0.2


class DynamoAudit:
    """The AuditStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        self._connection = connection
        self._table = AUDIT.name(prefix)
        self._outbox_table = OUTBOX.name(prefix)
        self._settings = settings

    @property
    def keyring(self) -> AuditKeyring:
        """The keys that seal what is appended here."""
        return self._settings.keyring

    def append(self, chain: str, draft: EntryDraft) -> AuditEntry:
        """Seal the draft as the next entry of a chain, under the condition that its place is still free."""
        check_system_chain(chain)
        pauses = _AppendPauses()
        while True:
            last = self._find_last(chain, ENTRIES_LOOKED_AT)
            for item in last:
                if item.get("id") == {"S": draft.id}:
                    # Written by an earlier attempt, whose answer was lost.
                    return read_entry(item)
            entry = seal_next(chain, draft, _read_end(last), self._settings)
            try:
                self._connection.transact(self._put([entry]), new_id())
            except ConditionFailed:
                # Another instance was faster, or this was written and its answer was lost: the next reading shows it.
                pauses.take(chain)
            else:
                return entry

    def get_last(self, chain: str) -> AuditEntry | None:
        """The last entry of a chain, read consistently."""
        last = self._find_last(chain, 1)
        return read_entry(last[0]) if last else None

    def _find_last(self, chain: str, most: int) -> list[Item]:
        """The last entries of a chain, newest first, in one read."""
        items: list[Item] = self._connection.query(**self._of_chain(chain), ScanIndexForward=False, Limit=most)["Items"]
        return items

    def _of_chain(self, chain: str) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "chain = :chain AND seq > :head",
            "ExpressionAttributeValues": {":chain": {"S": chain}, ":head": {"N": str(HEAD_SEQ)}},
        }

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first, read consistently."""
        return tuple(self._read_filed(item) for item in self._connection.query_all(**self._of_chain(chain)))

    def get_refusals_head(self, chain: str) -> tuple[int, str]:
        """The length and the last digest of a chain of refused attempts."""
        key = place_key(chain, HEAD_SEQ)
        # An older version held the head in the audit table. A chain belongs to one process, so one of them has it.
        found = self._connection.get_batch({self._outbox_table: [key], self._table: [key]})
        heads = [item for item in (*found[self._outbox_table], *found[self._table]) if "length" in item]
        return (int(heads[0]["length"]["N"]), heads[0]["digest"]["S"]) if heads else (0, "")

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Add sealed entries to a chain of refused attempts, in transactions that each move the head."""
        for batch in _cut(entries):
            self._append(batch)

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        first, last = entries[0], entries[-1]
        head = {
            "Update": {
                "TableName": self._outbox_table,
                "Key": place_key(last.chain, HEAD_SEQ),
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
            self._connection.transact([head, *self._put(entries)], first.id)
        except ConditionFailed as failure:
            stored = self._connection.get(self._table, entry_key(first))
            if stored is None or stored.get("id") != {"S": first.id}:
                raise ConcurrentModification(last.chain) from failure

    def iterate_chains(self) -> Iterator[tuple[str, tuple[AuditEntry, ...] | MalformedRecord]]:
        """Every chain with its entries, oldest entry first; a scan returns each partition complete and in order."""
        items = self._connection.scan_all(TableName=self._table, ConsistentRead=True)
        seen: set[str] = set()
        for chain, of_chain in groupby(items, key=lambda item: str(item["chain"]["S"])):
            if chain.startswith(REFUSALS_KIND):
                seen.add(chain)
            try:
                yield chain, tuple([self._read_filed(item) for item in of_chain if item["seq"] != {"N": str(HEAD_SEQ)}])
            except MalformedRecord as error:
                yield chain, error
        # A head without entries is a chain too: somebody removed them all.
        yield from ((chain, ()) for chain in self._list_heads() if chain not in seen)

    def _put(self, entries: Sequence[AuditEntry]) -> list[dict[str, Any]]:
        return [*put_entries(self._table, entries), *put_deliveries(self._outbox_table, entries)]

    def _list_heads(self) -> Iterator[str]:
        items = self._connection.scan_all(
            TableName=self._outbox_table,
            ConsistentRead=True,
            FilterExpression="seq = :head AND attribute_exists(#length)",
            ProjectionExpression="chain",
            ExpressionAttributeNames={"#length": "length"},
            ExpressionAttributeValues={":head": {"N": str(HEAD_SEQ)}},
        )
        return (item["chain"]["S"] for item in items)

    def get_entries(self, places: Sequence[Place]) -> Mapping[Place, AuditEntry | MalformedRecord]:
        """The entries at these places that exist, in one read."""
        keys: list[Item] = [{"chain": {"S": chain}, "seq": {"N": str(seq)}} for chain, seq in places]
        items = self._connection.get_many(self._table, keys) if keys else ()
        return {
            (item["chain"]["S"], int(item["seq"]["N"])): read_or_explain(item, self._read_filed)
            for item in items
            if item["seq"] != {"N": str(HEAD_SEQ)}
        }

    def list_digests(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[PlacedDigest]:
        """The entries with `since <= at < until` by their digests, oldest first, streamed."""
        for item in self._by_time(since, until, ProjectionExpression="#at, chain, seq, digest"):
            digest = item.get("digest", {}).get("S", "")
            yield PlacedDigest(item["at"]["S"], item["chain"]["S"], int(item["seq"]["N"]), str(digest))

    def export(
        self, *, since: datetime | None = None, until: datetime | None = None, on_malformed: OnMalformed = log_malformed
    ) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed."""
        return read_each(self._by_time(since, until), read_entry, on_malformed)

    def _read_filed(self, item: Item) -> AuditEntry:
        return read_filed_entry(item, self.keyring)

    def _by_time(self, since: datetime | None, until: datetime | None, **projection: str) -> Iterator[Item]:
        # Another instance's clock may be slightly ahead, across the end of a month.
        last = until if until is not None else self._settings.clock.now() + _AHEAD
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


def _cut(entries: Sequence[AuditEntry]) -> Iterator[list[AuditEntry]]:
    """The entries, cut in the same places each time, so that what was written before a lost answer is recognised."""
    batch: list[AuditEntry] = []
    writes = 0
    for entry in entries:
        needed = 2 if entry.must_be_delivered else 1
        if writes + needed > _MAX_WRITES:
            yield batch
            batch, writes = [], 0
        batch.append(entry)
        writes += needed
    if batch:
        yield batch


def _read_end(last: Sequence[Item]) -> ChainEnd:
    if not last:
        return ChainEnd()
    item = {name: value["S"] for name, value in last[0].items() if "S" in value}
    return ChainEnd.of(int(last[0]["seq"]["N"]), item)


@dataclass(slots=True)
class _AppendPauses:
    """Ever longer pauses between attempts to add to a busy chain, within one deadline."""

    deadline: float = field(default_factory=lambda: time.monotonic() + DEADLINE_SECONDS)
    longest_seconds: float = _FIRST_PAUSE_SECONDS

    def take(self, chain: str) -> None:
        """Pause. Raises StoreUnavailable when the time is over."""
        if time.monotonic() >= self.deadline:
            raise StoreUnavailable(f"others added to the audit chain {chain} all the time")
        # Full jitter: those who lost together must not try again together.
        time.sleep(random.uniform(0, self.longest_seconds))  # noqa: S311 - not a secret
        self.longest_seconds = min(2 * self.longest_seconds, _MAX_PAUSE_SECONDS)


def _months(since: datetime | None, until: datetime) -> Iterator[str]:
    moment = max(since or _FIRST_DAY, _FIRST_DAY)
    year, month = moment.year, moment.month
    while (year, month) <= (until.year, until.month):
        yield f"{year:04d}-{month:02d}"
        year, month = (year, month + 1) if month < _DECEMBER else (year + 1, 1)

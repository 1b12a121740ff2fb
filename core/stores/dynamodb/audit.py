"""The audit trail and the outbox in DynamoDB.

Invariant: an entry is only ever put where none was. What changes beside it are the attributes that say who still has
to be told; they are not part of the entry, and no digest covers them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from core.audit import AuditEntry
from core.clock import Clock, format_time, new_id
from core.errors import ConcurrentModification, MalformedRecord
from core.stores.base import Delivery
from core.stores.dynamodb.connection import ConditionFailed, Connection
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.dynamodb.places import HEAD_SEQ, DynamoPlaces
from core.stores.schema import AUDIT

_log = logging.getLogger("countersign.store")
_DUE: Final = "due"
_PARKED: Final = "parked"
_DECEMBER: Final = 12
_MOST_APPENDED: Final = 9
"""DynamoDB Local of 2020 takes ten items in one transaction, where AWS takes a hundred; one is the chain's head."""
_FIRST_DAY: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Nothing was ever written before: Countersign is younger."""
_AHEAD: Final = timedelta(days=1)
_PROGRESS: Final = frozenset({"due_at", "attempts", "delivered_to", "problem", "lease", "leased_until"})
_OUTBOX_ATTRIBUTES: Final = _PROGRESS | {"month", "delivery"}


def entry_key(entry: AuditEntry) -> Item:
    """The key under which an entry stands."""
    return {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}}


def put_entry(table: str, entry: AuditEntry) -> dict[str, Any]:
    """The write that adds a sealed entry, for the caller's transaction; its place must be free."""
    at = format_time(entry.at)
    item = to_attributes(entry.to_item()) | {"month": {"S": at[:7]}}
    if entry.must_be_told:
        item |= {"delivery": {"S": _DUE}, "due_at": {"S": at}}
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(seq)"}}


class DynamoAudit(DynamoPlaces):
    """The AuditStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, clock: Clock) -> None:
        super().__init__(connection, AUDIT.name(prefix))
        self._clock = clock

    def get_chain(self, chain: str) -> tuple[AuditEntry, ...]:
        """One chain, oldest entry first, read consistently."""
        items = self._connection.query_all(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="chain = :chain AND seq > :head",
            ExpressionAttributeValues={":chain": {"S": chain}, ":head": {"N": str(HEAD_SEQ)}},
        )
        return tuple(_read_entry(item) for item in items)

    def get_refusals_head(self, chain: str) -> tuple[int, str]:
        """The length and the last digest of a chain of refused attempts."""
        item = self._connection.get(self._table, {"chain": {"S": chain}, "seq": {"N": str(HEAD_SEQ)}})
        return (int(item["length"]["N"]), item["digest"]["S"]) if item is not None and "length" in item else (0, "")

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Add sealed entries to a chain of refused attempts, in transactions that each move its head."""
        # Cut in the same places each time, so that what was written before an answer was lost is recognised.
        for start in range(0, len(entries), _MOST_APPENDED):
            self._append(entries[start : start + _MOST_APPENDED])

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
        """Every chain with its entries, oldest entry first; a scan gives each partition whole and in order."""
        items = self._connection.scan_all(TableName=self._table, ConsistentRead=True)
        for chain, of_chain in groupby(items, key=lambda item: str(item["chain"]["S"])):
            try:
                yield chain, tuple([_read_entry(item) for item in of_chain if item["seq"] != {"N": str(HEAD_SEQ)}])
            except MalformedRecord as error:
                yield chain, error

    def export(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[AuditEntry]:
        """The entries of all chains with `since <= at < until`, oldest first, streamed."""
        # Another instance's clock may be ahead by a little, across the end of a month.
        last = until if until is not None else self._clock.now() + _AHEAD
        first, end = format_time(since) if since is not None else "0", format_time(until) if until is not None else "~"
        if first >= end:
            # AWS refuses a BETWEEN whose ends are the wrong way round.
            return
        for month in _months(since, last):
            items = self._connection.query_all(
                TableName=self._table,
                IndexName="gsi-month",
                KeyConditionExpression="#month = :month AND #at BETWEEN :first AND :end",
                ExpressionAttributeNames={"#month": "month", "#at": "at"},
                ExpressionAttributeValues={":month": {"S": month}, ":first": {"S": first}, ":end": {"S": end}},
            )
            for item in items:
                # BETWEEN includes its upper end.
                if item["at"]["S"] < end:
                    try:
                        yield _read_entry(item)
                    except MalformedRecord as error:
                        _log.warning("skipped: %s", error)

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """What is due to be told now and not leased, oldest first."""
        return self._deliveries(
            _DUE,
            KeyConditionExpression="delivery = :delivery AND due_at <= :now",
            FilterExpression="attribute_not_exists(leased_until) OR leased_until <= :now",
            values={":now": {"S": format_time(now)}},
        )

    def iterate_parked(self) -> Iterator[Delivery]:
        """What could not be told, oldest first."""
        return self._deliveries(_PARKED, KeyConditionExpression="delivery = :delivery", values={})

    def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
        """Take a delivery for a while; None when somebody else has it, or an earlier entry is still to be told."""
        entry = delivery.entry
        take = {
            "Update": {
                "TableName": self._table,
                "Key": entry_key(entry),
                "UpdateExpression": "SET lease = :holder, leased_until = :until",
                "ConditionExpression": "delivery = :due AND due_at = :due_at AND "
                "(attribute_not_exists(leased_until) OR leased_until <= :now OR lease = :holder)",
                "ExpressionAttributeValues": to_attributes(
                    {
                        ":holder": holder,
                        ":until": format_time(until),
                        ":now": format_time(now),
                        ":due": _DUE,
                        # Unless somebody tried in the meantime: then what was read of the progress is out of date.
                        ":due_at": format_time(delivery.due_at),
                    }
                ),
            }
        }
        earlier_is_told = {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq - 1)}},
                "ConditionExpression": "attribute_not_exists(delivery) OR delivery <> :due",
                "ExpressionAttributeValues": {":due": {"S": _DUE}},
            }
        }
        try:
            self._connection.transact([take, earlier_is_told] if entry.seq > 1 else [take], new_id())
        except ConditionFailed:
            return None
        return delivery.model_copy(update={"lease": holder, "leased_until": until})

    def finish(self, delivery: Delivery) -> None:
        """Everybody was told."""
        self._change(delivery, sets={}, removes=("delivery", "due_at"))

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        self._change(delivery, sets={"due_at": format_time(delivery.due_at)})

    def park(self, delivery: Delivery) -> None:
        """Stop trying; keep it with its problem."""
        self._change(delivery, sets={"delivery": _PARKED})

    def _change(self, delivery: Delivery, *, sets: dict[str, JsonValue], removes: tuple[str, ...] = ()) -> None:
        if delivery.lease is None:
            return
        progress: dict[str, JsonValue] = {
            **sets,
            "attempts": delivery.attempts,
            "delivered_to": list(delivery.delivered_to),
        }
        if delivery.problem:
            progress["problem"] = delivery.problem
        else:
            removes = (*removes, "problem")
        changes = ", ".join(f"{name} = :{name}" for name in progress)
        try:
            self._connection.write(
                "update_item",
                TableName=self._table,
                Key=entry_key(delivery.entry),
                UpdateExpression=f"SET {changes} REMOVE {', '.join((*removes, 'lease', 'leased_until'))}",
                # Only the holder may say how it went: another instance may have taken over when a lease ran out.
                ConditionExpression="lease = :lease",
                ExpressionAttributeValues=to_attributes(
                    {":lease": delivery.lease, **{f":{name}": value for name, value in progress.items()}}
                ),
            )
        except ConditionFailed:
            _log.info("the lease of %s/%d ran out before it was given back", delivery.entry.chain, delivery.entry.seq)

    def _deliveries(self, delivery: str, *, values: Item, **query: Any) -> Iterator[Delivery]:  # noqa: ANN401
        items = self._connection.query_all(
            TableName=self._table,
            IndexName="gsi-delivery",
            ExpressionAttributeValues={":delivery": {"S": delivery}, **values},
            **query,
        )
        for item in items:
            try:
                yield _read_delivery(item)
            except MalformedRecord as error:
                _log.error("nobody can be told of it: %s", error)


def _months(since: datetime | None, until: datetime) -> Iterator[str]:
    moment = max(since or _FIRST_DAY, _FIRST_DAY)
    year, month = moment.year, moment.month
    while (year, month) <= (until.year, until.month):
        yield f"{year:04d}-{month:02d}"
        year, month = (year, month + 1) if month < _DECEMBER else (year + 1, 1)


def _read_entry(item: Item) -> AuditEntry:
    plain = from_attributes(item, _name(item))
    return AuditEntry.from_item({name: value for name, value in plain.items() if name not in _OUTBOX_ATTRIBUTES})


def _read_delivery(item: Item) -> Delivery:
    plain = from_attributes(item, _name(item))
    progress = {name: plain[name] for name in _PROGRESS & plain.keys()}
    try:
        return Delivery.model_validate({"entry": _read_entry(item), **progress})
    except ValidationError as error:
        raise MalformedRecord.from_error(_name(item), error) from error


def _name(item: Item) -> str:
    return f"audit entry {item['chain']['S']}/{item['seq']['N']}"

"""The outbox in DynamoDB: attributes beside each audit entry that say where it still has to be delivered.

Invariant: they are not part of the entry, and no digest covers them. Every change to them is conditional on the lease.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from core.audit.trail import AuditEntry
from core.clock import format_time, new_id, parse_time
from core.errors import MalformedRecord
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.outbox import Backlog, Delivery, Earlier
from core.stores.schema import AUDIT

_log = logging.getLogger("countersign.store")
_DUE: Final = "due"
_PARKED: Final = "parked"
_PROGRESS: Final = frozenset({"due_at", "attempts", "delivered_to", "problem", "lease", "leased_until"})
_OUTBOX_ATTRIBUTES: Final = _PROGRESS | {"month", "delivery"}


def entry_key(entry: AuditEntry) -> Item:
    """The key under which an entry is stored."""
    return {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq)}}


def waiting_attributes(due_at: str) -> Item:
    """The attributes that mark an entry as one that has to be delivered."""
    return {"delivery": {"S": _DUE}, "due_at": {"S": due_at}}


class DynamoDeliveries:
    """The DeliveryStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._table = AUDIT.name(prefix)

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """The deliveries that are due now and not leased, oldest first."""
        return self._deliveries(
            _DUE,
            KeyConditionExpression="delivery = :delivery AND due_at <= :now",
            FilterExpression="attribute_not_exists(leased_until) OR leased_until <= :now",
            values={":now": {"S": format_time(now)}},
        )

    def iterate_parked(self) -> Iterator[Delivery]:
        """The parked deliveries, oldest first."""
        return self._deliveries(_PARKED, KeyConditionExpression="delivery = :delivery", values={})

    def lease(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> Delivery | None:
        """Lease a delivery, with the current state of the entry before it; None when it cannot be leased."""
        entry = delivery.entry
        take = self._take(delivery, holder, now, until)
        taken = delivery.model_copy(update={"lease": holder, "leased_until": until, "earlier": None})
        try:
            self._connection.transact([take, self._earlier_is_delivered(entry)] if entry.seq > 1 else [take], new_id())
        except ConditionFailed as failure:
            if failure.failed[0]:
                return None
        else:
            return taken
        # Read before the lease, not with it: a sink that had the entry before then has it now.
        earlier, is_being_delivered = self._find_earlier(entry, now)
        if is_being_delivered:
            return None
        try:
            self._connection.transact([take], new_id())
        except ConditionFailed:
            return None
        return taken.model_copy(update={"earlier": earlier})

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery: every sink has the entry."""
        self._change(delivery, sets={}, removes=("delivery", "due_at"))

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        self._change(delivery, sets={"due_at": format_time(delivery.due_at)})

    def park(self, delivery: Delivery) -> None:
        """Stop trying; keep it with its problem."""
        self._change(delivery, sets={"delivery": _PARKED})

    def unpark(self, delivery: Delivery, now: datetime) -> bool:
        """Make a parked delivery due now, with all its attempts available again."""
        try:
            self._connection.write(
                "update_item",
                TableName=self._table,
                Key=entry_key(delivery.entry),
                UpdateExpression="SET delivery = :due, due_at = :now, attempts = :none",
                ConditionExpression="delivery = :parked",
                ExpressionAttributeValues=to_attributes(
                    {":due": _DUE, ":parked": _PARKED, ":now": format_time(now), ":none": 0}
                ),
            )
        except ConditionFailed:
            return False
        return True

    def measure_backlog(self, most: int) -> Backlog:
        """The numbers of waiting and parked deliveries, each counted up to `most`: a page or two of an index each."""
        times = [item["at"]["S"] for item in self._first(_DUE, most)]
        parked = sum(1 for _ in self._first(_PARKED, most))
        return Backlog(len(times), parse_time(min(times)) if times else None, parked)

    def _first(self, delivery: str, most: int) -> Iterator[Item]:
        items = self._connection.query_all(
            TableName=self._table,
            IndexName="gsi-delivery",
            KeyConditionExpression="delivery = :delivery",
            ProjectionExpression="#at",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues={":delivery": {"S": delivery}},
            # A limit of the page, not of the query: without it, the last page would be read to its end.
            Limit=most,
        )
        return islice(items, most)

    def _take(self, delivery: Delivery, holder: str, now: datetime, until: datetime) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table,
                "Key": entry_key(delivery.entry),
                "UpdateExpression": "SET lease = :holder, leased_until = :until",
                "ConditionExpression": "delivery = :due AND due_at = :due_at AND "
                "(attribute_not_exists(leased_until) OR leased_until <= :now OR lease = :holder)",
                "ExpressionAttributeValues": to_attributes(
                    {
                        ":holder": holder,
                        ":until": format_time(until),
                        ":now": format_time(now),
                        ":due": _DUE,
                        # Unless another instance tried in the meantime: then the progress that was read is out of date.
                        ":due_at": format_time(delivery.due_at),
                    }
                ),
            }
        }

    def _earlier_is_delivered(self, entry: AuditEntry) -> dict[str, Any]:
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": _key_before(entry),
                "ConditionExpression": "attribute_not_exists(delivery) OR delivery <> :due",
                "ExpressionAttributeValues": {":due": {"S": _DUE}},
            }
        }

    def _find_earlier(self, entry: AuditEntry, now: datetime) -> tuple[Earlier | None, bool]:
        """The entry before this one, while it still has to be delivered, and whether it is being delivered."""
        item = self._connection.get(self._table, _key_before(entry)) or {}
        if item.get("delivery") != {"S": _DUE}:
            return None, False
        is_being_delivered = "leased_until" in item and item["leased_until"]["S"] > format_time(now)
        plain = from_attributes({name: item[name] for name in ("due_at", "delivered_to") if name in item}, _name(item))
        return Earlier.model_validate(plain), is_being_delivered

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
                # Only the holder may record the result: another instance may have taken over when a lease ran out.
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
                _log.error("cannot be delivered: %s", error)


def read_entry(item: Item) -> AuditEntry:
    """The entry that an item holds. Raises MalformedRecord."""
    plain = from_attributes(item, _name(item))
    return AuditEntry.from_item({name: value for name, value in plain.items() if name not in _OUTBOX_ATTRIBUTES})


def _read_delivery(item: Item) -> Delivery:
    plain = from_attributes(item, _name(item))
    progress = {name: plain[name] for name in _PROGRESS & plain.keys()}
    try:
        return Delivery.model_validate({"entry": read_entry(item), **progress})
    except ValidationError as error:
        raise MalformedRecord.from_error(_name(item), error) from error


def _key_before(entry: AuditEntry) -> Item:
    return {"chain": {"S": entry.chain}, "seq": {"N": str(entry.seq - 1)}}


def _name(item: Item) -> str:
    return f"audit entry {item['chain']['S']}/{item['seq']['N']}"

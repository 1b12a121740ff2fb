"""The outbox in DynamoDB: one item for each entry that has to be delivered, in a table of its own.

Invariant: an item holds a copy of its entry, and only a copy that is still sealed becomes a delivery. Every change to
an item is conditional on its lease.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time, new_id, parse_time
from core.errors import MalformedRecord
from core.stores.commit import StoreSettings
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.entries import entry_key, entry_name, place_key
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.dynamodb.older_outbox import DUE, PARKED, OlderOutbox, delivery_item
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.outbox import Backlog, Delivery, Earlier, check_copy
from core.stores.schema import AUDIT, DELIVERY_INDEX, OUTBOX, TTL_ATTRIBUTE
from core.trace import current_trace, read_trace

_log = logging.getLogger("countersign.store")
_PROGRESS: Final = frozenset({"due_at", "attempts", "delivered_to", "problem", "lease", "leased_until"})
_TRACE: Final = "traceparent"
_KEPT_AFTERWARDS: Final = timedelta(days=7)
"""For how long a delivered item still tells when and where it was delivered."""


def put_deliveries(table: str, entries: Iterable[AuditEntry]) -> list[dict[str, Any]]:
    """The writes that queue those of the entries that have to be delivered, for the caller's transaction."""
    trace = current_trace()
    caused_by: dict[str, JsonValue] = {_TRACE: trace} if trace is not None else {}
    return [
        {
            "Put": {
                "TableName": table,
                "Item": delivery_item(entry.to_item(), {"due_at": format_time(entry.at)} | caused_by),
            }
        }
        for entry in entries
        if entry.must_be_delivered
    ]


class DynamoDeliveries:
    """The DeliveryStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._table = OUTBOX.name(prefix)
        self._audit_table = AUDIT.name(prefix)
        self._older = OlderOutbox(connection, prefix)

    def adopt(self, now: datetime) -> int:
        """Take over what an older version left undelivered in the audit table; its index lists that."""
        return self._older.adopt(now)

    def iterate_due(self, now: datetime) -> Iterator[Delivery]:
        """The deliveries that are due now and not leased, oldest first."""
        return self._deliveries(
            DUE,
            KeyConditionExpression="delivery = :delivery AND due_at <= :now",
            FilterExpression="attribute_not_exists(leased_until) OR leased_until <= :now",
            values={":now": {"S": format_time(now)}},
        )

    def iterate_parked(self) -> Iterator[Delivery]:
        """The parked deliveries, oldest first."""
        return self._deliveries(PARKED, KeyConditionExpression="delivery = :delivery", values={})

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
        """Take the delivery off the list: every sink has the entry. DynamoDB deletes the item later."""
        forgotten_at = self._settings.clock.now() + _KEPT_AFTERWARDS
        # What was adopted has a TTL already, which never comes: the older version's list still has it.
        self._change(delivery, {}, removes=("delivery", "due_at"), once={TTL_ATTRIBUTE: int(forgotten_at.timestamp())})

    def postpone(self, delivery: Delivery) -> None:
        """Give the lease back and try again at `delivery.due_at`."""
        self._change(delivery, {"due_at": format_time(delivery.due_at)})

    def park(self, delivery: Delivery) -> None:
        """Stop trying; keep it with its problem."""
        self._change(delivery, {"delivery": PARKED})

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
                    {":due": DUE, ":parked": PARKED, ":now": format_time(now), ":none": 0}
                ),
            )
        except ConditionFailed:
            return False
        return True

    def measure_backlog(self, most: int) -> Backlog:
        """The numbers of waiting and parked deliveries, each counted up to `most`: a page or two of an index each."""
        waiting = list(self._first(DUE, most))
        times = [item["at"]["S"] for item in waiting if "S" in item.get("at", {})]
        parked = sum(1 for _ in self._first(PARKED, most))
        return Backlog(len(waiting), _read_oldest(times), parked)

    def _first(self, delivery: str, most: int) -> Iterator[Item]:
        items = self._connection.query_all(
            TableName=self._table,
            IndexName=DELIVERY_INDEX,
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
                        ":due": DUE,
                        # Unless another instance tried in the meantime: then the progress that was read is out of date.
                        ":due_at": format_time(delivery.due_at),
                    }
                ),
            }
        }

    def _earlier_is_delivered(self, entry: AuditEntry) -> dict[str, Any]:
        """The check that lets a delivery begin without a further read: the entry before was queued here, and is done.

        One without an item needs the read: it never had to be delivered, was forgotten, or an older version has it.
        """
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": place_key(entry.chain, entry.seq - 1),
                "ConditionExpression": "attribute_exists(seq) AND (attribute_not_exists(delivery) OR delivery <> :due)",
                "ExpressionAttributeValues": {":due": {"S": DUE}},
            }
        }

    def _find_earlier(self, entry: AuditEntry, now: datetime) -> tuple[Earlier | None, bool]:
        """The entry before this one, while it still has to be delivered, and whether it is being delivered."""
        key = place_key(entry.chain, entry.seq - 1)
        found = self._connection.get_batch({self._table: [key], self._audit_table: [key]})
        item = next(iter(found[self._table]), None)
        if item is None:
            return self._older.find_earlier(next(iter(found[self._audit_table]), {}), now)
        if item.get("delivery") != {"S": DUE}:
            return None, False
        is_being_delivered = "leased_until" in item and item["leased_until"]["S"] > format_time(now)
        named: Item = {name: item[name] for name in ("due_at", "delivered_to") if name in item}
        return Earlier.model_validate(from_attributes(named, entry_name(item))), is_being_delivered

    def _change(
        self,
        delivery: Delivery,
        sets: Mapping[str, JsonValue],
        *,
        removes: tuple[str, ...] = (),
        once: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Give the lease back with these attributes; those of `once` only if the item has none of that name yet."""
        if delivery.lease is None:
            return
        problem: dict[str, JsonValue] = {"problem": delivery.problem} if delivery.problem else {}
        delivered_to: list[JsonValue] = list(delivery.delivered_to)
        progress = {**sets, **problem, "attempts": delivery.attempts, "delivered_to": delivered_to}
        gone = (*removes, "lease", "leased_until", *(() if problem else ("problem",)))
        once = once or {}
        changes = [f"#{name} = :{name}" for name in progress]
        changes += [f"#{name} = if_not_exists(#{name}, :{name})" for name in once]
        values = {f":{name}": value for name, value in {**progress, **once}.items()}
        try:
            self._connection.write(
                "update_item",
                TableName=self._table,
                Key=entry_key(delivery.entry),
                UpdateExpression=f"SET {', '.join(changes)} REMOVE {', '.join(f'#{name}' for name in gone)}",
                # Only the holder may record the result: another instance may have taken over when a lease ran out.
                ConditionExpression="#lease = :holder",
                ExpressionAttributeNames={f"#{name}": name for name in (*progress, *once, *gone)},
                ExpressionAttributeValues=to_attributes({":holder": delivery.lease, **values}),
            )
        except ConditionFailed:
            _log.info("the lease of %s/%d ran out before it was given back", delivery.entry.chain, delivery.entry.seq)

    def _deliveries(self, delivery: str, *, values: Item, **query: Any) -> Iterator[Delivery]:  # noqa: ANN401
        items = self._connection.query_all(
            TableName=self._table,
            IndexName=DELIVERY_INDEX,
            ExpressionAttributeValues={":delivery": {"S": delivery}, **values},
            **query,
        )
        for item in items:
            try:
                yield _read_delivery(item, self._settings.keyring)
            except MalformedRecord as error:
                _log.error("cannot be delivered: %s", error)


def _read_delivery(item: Item, keyring: AuditKeyring) -> Delivery:
    """The delivery that an item holds. Raises MalformedRecord, also for an entry that nobody sealed."""
    name = entry_name(item)
    plain = from_attributes(item, name)
    copy = plain.get("entry")
    if not isinstance(copy, dict):
        raise MalformedRecord(name, "its copy in the outbox is missing")
    entry = AuditEntry.from_item(copy)
    check_copy(entry, item["chain"]["S"], int(item["seq"]["N"]), keyring)
    progress = {each: plain[each] for each in _PROGRESS & plain.keys()}
    try:
        return Delivery.model_validate({"entry": entry, **progress, _TRACE: read_trace(plain.get(_TRACE))})
    except ValidationError as error:
        raise MalformedRecord.from_error(name, error) from error


def _read_oldest(times: list[str]) -> datetime | None:
    try:
        return parse_time(min(times)) if times else None
    except ValueError:
        # Somebody wrote into the table. How many wait is worth more than nothing.
        return None

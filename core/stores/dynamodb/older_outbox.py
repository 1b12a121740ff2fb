"""What an older version left undelivered: attributes beside its entries, in the audit table.

Invariant: what is found there is queued once, in the outbox table, and the audit table stays as it is. An older version
that still runs delivers its own entries first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from core.clock import format_time, parse_time
from core.errors import MalformedRecord
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.entries import entry_name, read_entry
from core.stores.dynamodb.items import Item, from_attributes, to_attribute, to_attributes
from core.stores.dynamodb.outcomes import CallRefused, ConditionFailed
from core.stores.outbox import ADOPT_AFTER, Earlier
from core.stores.schema import AUDIT, DELIVERY_INDEX, OUTBOX, TTL_ATTRIBUTE

DUE: Final = "due"
PARKED: Final = "parked"
_TAKEN_OVER: Final = frozenset({"attempts", "delivered_to", "problem"})
_NEVER: Final = 253_402_300_799
"""The end of the year 9999: as long as an older version's list has an entry, its item says that it was taken over."""
_NO_INDEX: Final = frozenset({"ValidationException", "ResourceNotFoundException"})
_log = logging.getLogger("countersign.store")


def delivery_item(entry: Mapping[str, JsonValue], progress: Mapping[str, JsonValue], delivery: str = DUE) -> Item:
    """The item that queues an entry: a copy of it, and the progress of its delivery."""
    place = to_attributes({name: entry[name] for name in ("chain", "seq", "at")})
    return {**place, "entry": to_attribute(dict(entry)), "delivery": {"S": delivery}, **to_attributes(progress)}


class OlderOutbox:
    """The deliveries that an older version queued in the audit table."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._audit_table = AUDIT.name(prefix)
        self._table = OUTBOX.name(prefix)
        self._exists = True
        self._seen: set[tuple[str, str]] = set()
        self._next_look_at: datetime | None = None

    def adopt(self, now: datetime) -> int:
        """Queue what was found in the outbox table; return how many there were. Looks once per ADOPT_AFTER."""
        if not self._exists or (self._next_look_at is not None and now < self._next_look_at <= now + ADOPT_AFTER):
            return 0
        self._next_look_at = now + ADOPT_AFTER
        found = [*self._find(DUE, now - ADOPT_AFTER), *self._find(PARKED, now)]
        return sum(self._adopt(item) for item in found)

    @staticmethod
    def find_earlier(item: Item, now: datetime) -> tuple[Earlier | None, bool]:
        """An entry of the audit table, while an older version still has to deliver it; whether it is doing so now."""
        if item.get("delivery") != {"S": DUE}:
            return None, False
        leased_until = item.get("leased_until", {}).get("S", "")
        progress = from_attributes({name: item[name] for name in ("delivered_to",) if name in item}, entry_name(item))
        due_at = parse_time(item["due_at"]["S"]) + ADOPT_AFTER + timedelta(seconds=1)
        return Earlier.model_validate({"due_at": due_at, **progress}), leased_until > format_time(now)

    def _find(self, delivery: str, until: datetime) -> Iterator[Item]:
        """The entries that the older version's index lists, and nobody delivers just now."""
        query = {
            "TableName": self._audit_table,
            "IndexName": DELIVERY_INDEX,
            "KeyConditionExpression": "delivery = :delivery AND due_at <= :until",
            "FilterExpression": "attribute_not_exists(leased_until) OR leased_until <= :until",
            "ExpressionAttributeValues": to_attributes({":delivery": delivery, ":until": format_time(until)}),
        }
        while self._exists:
            try:
                page = self._connection.call("query", expecting=_NO_INDEX, **query)
            except CallRefused:
                # These tables never belonged to an older version.
                self._exists = False
                return
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _adopt(self, item: Item) -> bool:
        place = (item["chain"]["S"], item["seq"]["N"])
        if place in self._seen:
            return False
        try:
            entry = read_entry(item)
            plain = from_attributes(item, entry_name(item))
        except MalformedRecord as error:
            _log.error("cannot be delivered: %s", error)
            self._seen.add(place)
            return False
        progress = {name: plain[name] for name in _TAKEN_OVER & plain.keys()}
        # An entry that is still on the list after it was delivered here must not come again.
        progress |= {"due_at": plain["due_at"], TTL_ATTRIBUTE: _NEVER}
        queued = delivery_item(entry.to_item(), progress, str(plain["delivery"]))
        try:
            self._connection.write(
                "put_item", TableName=self._table, Item=queued, ConditionExpression="attribute_not_exists(seq)"
            )
        except ConditionFailed:
            self._seen.add(place)
            return False
        self._seen.add(place)
        return True

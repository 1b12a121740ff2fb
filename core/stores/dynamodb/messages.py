"""The places of messages in DynamoDB, in an item of the outbox table before the first entry of their chain.

Invariant: that item is nothing to deliver: it has the number zero, and no attribute that would put it into an index.
Each place is an attribute of its own, so two saves never undo each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from core.errors import MalformedRecord
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.entries import HEAD_SEQ, place_key
from core.stores.dynamodb.items import from_attributes, to_attribute
from core.stores.messages import MessageRef
from core.stores.schema import AUDIT, OUTBOX

_PREFIX: Final = "place:"


class DynamoMessages:
    """The MessageStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._table = OUTBOX.name(prefix)
        self._older_table = AUDIT.name(prefix)

    def get_messages(self, chain: str) -> Mapping[str, MessageRef]:
        """Every place that was saved for a chain, by this version or by an older one, which had another table."""
        key = place_key(chain, HEAD_SEQ)
        found = self._connection.get_batch({self._older_table: [key], self._table: [key]})
        # What this version saved replaces what an older one did.
        items = (*found[self._older_table], *found[self._table])
        saved = {name: value for item in items for name, value in item.items() if name.startswith(_PREFIX)}
        plain = from_attributes(saved, f"the places of {chain}")
        try:
            return {name.removeprefix(_PREFIX): MessageRef.model_validate(value) for name, value in plain.items()}
        except ValidationError as error:
            raise MalformedRecord.from_error(f"the places of {chain}", error) from error

    def save_message(self, chain: str, name: str, place: MessageRef) -> None:
        """Save a place."""
        self._connection.write(
            "update_item",
            TableName=self._table,
            Key=place_key(chain, HEAD_SEQ),
            UpdateExpression="SET #place = :place",
            ExpressionAttributeNames={"#place": f"{_PREFIX}{name}"},
            ExpressionAttributeValues={":place": to_attribute(place.model_dump(mode="json"))},
        )

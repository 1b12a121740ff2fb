"""The places of messages in DynamoDB, in an item before the first entry of their chain.

Invariant: that item is not an entry. It has the number zero, which no reader of entries asks for, and no attribute that
would put it into an index. Each place is an attribute of its own, so two saves never undo each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from core.errors import MalformedRecord
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.items import Item, from_attributes, to_attribute
from core.stores.messages import MessageRef
from core.stores.schema import AUDIT

HEAD_SEQ: Final = 0
"""Before a chain's first entry: the head of a chain of refusals, and the places of any chain."""
_PREFIX: Final = "place:"


class DynamoMessages:
    """The MessageStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._table = AUDIT.name(prefix)

    def get_messages(self, chain: str) -> Mapping[str, MessageRef]:
        """Every place that was saved for a chain."""
        item = self._connection.get(self._table, _key(chain)) or {}
        saved = {name: value for name, value in item.items() if name.startswith(_PREFIX)}
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
            Key=_key(chain),
            UpdateExpression="SET #place = :place",
            ExpressionAttributeNames={"#place": f"{_PREFIX}{name}"},
            ExpressionAttributeValues={":place": to_attribute(place.model_dump(mode="json"))},
        )


def _key(chain: str) -> Item:
    return {"chain": {"S": chain}, "seq": {"N": str(HEAD_SEQ)}}

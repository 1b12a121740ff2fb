"""Where the messages about a record are, stored beside its audit chain.

Invariant: a place is not part of the trail. No digest covers it, no export shows it, and verification gives the same
result with and without it. Somebody who changes a place can misdirect a message, but proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

_Name = Annotated[str, Field(min_length=1, max_length=100)]


class MessageRef(BaseModel):
    """A message in a chat: `channel` and `ts` are the ids by which the chat knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: _Name
    ts: _Name


class MessageStore(Protocol):
    """The places of the messages about each record."""

    def get_messages(self, chain: str) -> Mapping[str, MessageRef]:
        """Every place that was saved for a chain, by its name, read consistently. One read.

        Raises MalformedRecord, StoreUnavailable.
        """
        ...

    def save_message(self, chain: str, name: str, place: MessageRef) -> None:
        """Save a place. The last one saved under a name counts; places under other names are kept. One write.

        Raises StoreUnavailable.
        """
        ...

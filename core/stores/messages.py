"""Where the messages about a record stand, kept beside its audit chain.

Invariant: a place is no part of the trail. No digest covers it, no export shows it, and verification finds the same
with it as without it: someone who changes one can misplace a message, and prove nothing.
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
        """Remember a place. The last one saved under a name counts, and saves of other names are kept. One write.

        Raises StoreUnavailable.
        """
        ...

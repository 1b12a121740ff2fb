"""A ledger: what happened lately, in one item, so that a limit on it is exact even when many try at once.

Invariant: a ledger is read consistently, judged by a pure function, and written back under its own `updated_at`. Two
changes that were judged on the same ledger cannot both be written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Self

from pydantic import JsonValue, ValidationError

from core.clock import UtcTime
from core.errors import InvalidInput, MalformedRecord
from core.stored import StoredValue


class Ledger(StoredValue, ABC):
    """Its owner and its version: `updated_at`, which only a store sets. None if it isn't stored yet."""

    KIND: ClassVar[str] = "LEDGER"
    """The prefix of this kind's keys."""

    owner: str
    updated_at: UtcTime | None = None

    @abstractmethod
    def kept_until(self) -> datetime:
        """When nothing in this ledger is needed any more."""

    @property
    def key(self) -> str:
        """What messages call it, and under what it is stored, such as `LEDGER#invoker#U0INVOKER`."""
        return f"{self.KIND}#{self.owner}"

    def to_item(self) -> dict[str, JsonValue]:
        """The ledger as plain JSON values: the stored form."""
        return self.model_dump(mode="json")

    @classmethod
    def from_item(cls, item: Mapping[str, object]) -> Self:
        """Read what `to_item` wrote. Raises MalformedRecord: a ledger that cannot be read allows nothing."""
        try:
            return cls.read_stored(item)
        except (ValidationError, InvalidInput) as error:
            raise MalformedRecord.from_error(f"{cls.KIND}#{item.get('owner', '?')}", error) from error

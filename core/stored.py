"""What every stored value has in common: it keeps what a newer version wrote, and knows how it was read.

Invariant: a field that this version does not know is kept as it stood and written back in its place. Only a stored form
may hold one: a constructor refuses a name that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

_STORED: Final[dict[str, bool]] = {"is_stored": True}
"""The context of a validation that reads a stored form, with everything inside it."""


@dataclass(frozen=True, slots=True, eq=False)
class AsRead:
    """How a value stood in the store when it was read: its seal, the digest of its content, and the content.

    It is no part of what the value says, so any two are equal. `digest` is empty until a seal, or a record's chain,
    has proved the content. `version` is the stored `updated_at` of a ledger that can't be read, as it stands there, so
    that it can be replaced all the same. Verification finds in `problems` what contradicts the value, and in `ttl`
    when, in Unix seconds, its table may forget it.
    """

    seal: str | None = None
    digest: str = ""
    item: Mapping[str, JsonValue] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    ttl: JsonValue = None
    version: str | None = None

    def __eq__(self, other: object) -> bool:
        """Any two are equal."""
        return isinstance(other, AsRead)

    def __hash__(self) -> int:
        """The same for all, because they are equal."""
        return 0


NOT_READ: Final = AsRead()


class StoredModel(BaseModel):
    """A part of a stored form. `newer` holds, as JSON, the fields that a newer version wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    BESIDE: ClassVar[frozenset[str]] = frozenset({"newer", "as_read"})
    """The fields of the model that are no fields of the stored form."""

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset()
    """The fields that older versions don't know: they are left out of the stored form while they are None, or 0."""

    newer: str = Field(default="", exclude=True, repr=False)

    @classmethod
    def read_stored(cls, item: Mapping[str, object]) -> Self:
        """Read a stored form. Raises pydantic's ValidationError."""
        return cls.model_validate(item, context=_STORED)

    @model_validator(mode="before")
    @classmethod
    def _keep_newer(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - as it comes from JSON
        if info.context is not _STORED or not isinstance(value, Mapping):
            return value
        known = cls.model_fields.keys() - cls.BESIDE
        if value.keys() <= known:
            return value
        newer = {name: each for name, each in value.items() if name not in known}
        kept = {name: each for name, each in value.items() if name in known}
        return kept | {"newer": json.dumps(newer, sort_keys=True)}

    @model_serializer(mode="wrap")
    def _write_newer(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        item: dict[str, Any] = write(self)
        for name in self.LEFT_OUT:
            if item.get(name) in (None, 0):
                item.pop(name, None)
        return {**json.loads(self.newer), **item} if self.newer else item


class StoredValue(StoredModel):
    """What is stored under a key of its own: a record or a ledger."""

    as_read: AsRead = Field(default=NOT_READ, exclude=True, repr=False)

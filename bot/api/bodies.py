"""The parts of which the bodies of the HTTP API are made.

Invariant: what is taken has no field that is not named; what is given may gain fields, so a client ignores those that
it doesn't know. Times are aware UTC, durations whole seconds. No model shows a secret in its repr.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
)

from core.clock import UtcTime


def _check_is_text(value: object) -> object:
    # A number would be read as seconds, or as milliseconds if it is large enough.
    if not isinstance(value, str | datetime):
        raise ValueError("write it like 2026-01-15T22:00:00Z, with a zone")  # noqa: TRY004 - pydantic's own
    return value


Moment = Annotated[UtcTime, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment in UTC, such as 2026-01-15T03:53:45.120000Z."""
GivenMoment = Annotated[
    AwareDatetime, BeforeValidator(_check_is_text), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A moment as callers write it: RFC 3339, with a zone."""
GivenSecret = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, return_type=str, when_used="json")]
"""A secret that is given to its owner, once: written out in JSON only."""


class RequestBody(BaseModel):
    """A request's body."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ResponseBody(BaseModel):
    """An answer's body. Newer servers may give more fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

"""The parts of which the bodies of the HTTP API are made.

Invariant: what is taken has no field that is not named; what is given may gain fields, so a client ignores those that
it doesn't know. Times are aware UTC, durations whole seconds. No model shows a secret in its repr.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
)

from core.clock import UtcTime

_WRITTEN: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_WRITE_IT: Final = "write it like 2026-01-15T22:00:00Z, with a zone"


def _check_is_written(value: object) -> object:
    # A number, also one in quotes, would be read as seconds, or as milliseconds if it is large enough.
    if not isinstance(value, datetime) and not (isinstance(value, str) and _WRITTEN.fullmatch(value)):
        raise ValueError(_WRITE_IT)
    return value


def _check_has_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(_WRITE_IT) from error


Moment = Annotated[UtcTime, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment in UTC, such as 2026-01-15T03:53:45.120000Z."""
GivenMoment = Annotated[
    AwareDatetime,
    BeforeValidator(_check_is_written),
    AfterValidator(_check_has_utc),
    WithJsonSchema({"type": "string", "format": "date-time"}),
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

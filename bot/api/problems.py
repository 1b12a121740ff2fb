"""Errors of the HTTP API: RFC 9457 problem+json, with one status for each code.

Invariant: a problem says what happened, why, and what to do next, and never has a secret. A code, once given, keeps
its meaning; a client decides by the code, not by the words.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from bot.api.bodies import Moment

CONTENT_TYPE: Final = "application/problem+json"
_TYPE_PREFIX: Final = "urn:countersign:"


class ProblemCode(StrEnum):
    """What is wrong, for programs. The last four are RFC 8628's, of a pairing's token endpoint."""

    UNAUTHORIZED = "unauthorized"
    PAIRING_EXPIRED = "pairing_expired"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    INVALID_INPUT = "invalid_input"
    CONFLICT = "conflict"
    LIMIT_REACHED = "limit_reached"
    RATE_LIMITED = "rate_limited"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    ENDED = "ended"
    AUTHORIZATION_PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a code of RFC 8628
    ACCESS_DENIED = "access_denied"


STATUSES: Final[dict[ProblemCode, HTTPStatus]] = {
    ProblemCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    ProblemCode.PAIRING_EXPIRED: HTTPStatus.UNAUTHORIZED,
    ProblemCode.NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    ProblemCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ProblemCode.INVALID_INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    ProblemCode.CONFLICT: HTTPStatus.CONFLICT,
    ProblemCode.LIMIT_REACHED: HTTPStatus.CONFLICT,
    ProblemCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ProblemCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ProblemCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ProblemCode.ENDED: HTTPStatus.GONE,
    ProblemCode.AUTHORIZATION_PENDING: HTTPStatus.BAD_REQUEST,
    ProblemCode.SLOW_DOWN: HTTPStatus.BAD_REQUEST,
    ProblemCode.EXPIRED_TOKEN: HTTPStatus.BAD_REQUEST,
    ProblemCode.ACCESS_DENIED: HTTPStatus.BAD_REQUEST,
}
"""One status for each code; a few transport errors of HTTP itself (405, 408, 415) use `invalid_input`."""


class Problem(BaseModel):
    """An error, as RFC 9457 writes it. Fields that say nothing are left out of the answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = Field(description="urn:countersign:<code>")
    title: str = Field(description="What happened, in a few words.")
    status: int
    detail: str = Field(description="What happened, whether anything changed, and what to do next.")
    reasons: tuple[str, ...] = Field(default=(), description="Every reason of a refusal.")
    field: str | None = Field(default=None, description="The field that can't be used.")
    retry_after: int | None = Field(default=None, description="Seconds; as the header Retry-After.")
    ends_at: Moment | None = Field(default=None, description="When a limit ends, or when access ended.")
    decided_by: str | None = Field(default=None, description="Who decided already.")
    decided_at: Moment | None = None
    record_status: str | None = Field(default=None, description="The status of the record that can't change any more.")
    existing: str | None = Field(default=None, description="The id of the request that is open already.")
    outcome_unknown: bool | None = Field(default=None, description="The change may have been recorded: look it up.")

    @property
    def code(self) -> str:
        """The code behind `urn:countersign:`; the whole type of a problem of another server."""
        return self.type.removeprefix(_TYPE_PREFIX)

    @classmethod
    def of(
        cls, code: ProblemCode, title: str, detail: str, *, status: HTTPStatus | None = None, **more: object
    ) -> Problem:
        """The problem of a code, with its status."""
        fields = {"type": f"{_TYPE_PREFIX}{code.value}", "title": title, "detail": detail, **more}
        return cls.model_validate({**fields, "status": (status or STATUSES[code]).value})

    def to_json(self) -> bytes:
        """The body of the answer."""
        left_out = {"reasons"} if not self.reasons else set()
        return self.model_dump_json(exclude_none=True, exclude=left_out).encode()

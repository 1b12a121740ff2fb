"""The endpoints of the HTTP API, as a table: the routes and the OpenAPI document are both built from it.

Invariant: an endpoint that isn't in the table is neither served nor documented. Everything but pairing, health and the
document itself needs a device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final, Literal

from pydantic import BaseModel, JsonValue

from bot.api.bodies import RequestBody
from bot.api.models import (
    IDEMPOTENCY_KEY,
    MAX_WAIT_SECONDS,
    AccessInfo,
    AccessList,
    CredentialsInfo,
    Health,
    Me,
    NewRequest,
    OpenApiDocument,
    ProfileList,
    RequestInfo,
    RequestList,
)
from bot.api.pairing_models import DeviceInfo, DeviceList, IssuedToken, NewPairing, StartedPairingInfo, TokenExchange
from bot.api.problems import ProblemCode
from core.clock import ID_PATTERN


class ApiLane(StrEnum):
    """The threads on which an endpoint's work is done. What is answered from memory needs none."""

    PAIRING = "pairing"
    READ = "read"
    CHANGE = "change"
    CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path, the query or a header."""

    name: str
    where: Literal["path", "query", "header"]
    schema: Mapping[str, JsonValue]
    description: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. `problems` are those of its own; the others follow from what it takes and who may call it."""

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    answer: type[BaseModel]
    lane: ApiLane | None = ApiLane.READ
    body: type[RequestBody] | None = None
    status: HTTPStatus = HTTPStatus.OK
    needs_device: bool = True
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[ProblemCode, ...] = ()
    is_on_broker: bool = False

    @property
    def every_problem(self) -> tuple[ProblemCode, ...]:
        """Every problem that it may answer with, each once."""
        found = [*self.problems, ProblemCode.RATE_LIMITED]
        if self.lane is not None:
            found += [ProblemCode.NOT_ALLOWED, ProblemCode.INVALID_INPUT, ProblemCode.UNAVAILABLE]
        if self.needs_device:
            found += [ProblemCode.UNAUTHORIZED, ProblemCode.PAIRING_EXPIRED]
        # A body may come with every method, wanted or not.
        found += [ProblemCode.TOO_LARGE, ProblemCode.NOT_ALLOWED, ProblemCode.UNAVAILABLE, ProblemCode.INVALID_INPUT]
        return tuple(dict.fromkeys(found))


def _id(what: str) -> Parameter:
    return Parameter("id", "path", {"type": "string", "pattern": ID_PATTERN}, f"The id of the {what}.")


_REQUEST_ID: Final = _id("request")
_DEVICE_ID: Final = Parameter(
    "id", "path", {"type": "string", "pattern": "^([0-9a-f]{16}|self)$"}, "The id of the device, or self."
)
_SOURCE: Final = Parameter(
    "source",
    "path",
    {"type": "string", "pattern": "^((REQUEST|BREAKGLASS)#)?[0-9a-f]{16}$"},
    "The `source` or the `id` of the access.",
)
_PROFILE: Final = Parameter(
    "profile",
    "path",
    {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/@+-]{0,79}$"},
    "The name of the profile; a / in it is written %2F or as it is.",
)
_TARGET: Final = Parameter(
    "target",
    "query",
    {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
    "Which of the profile's targets, if it gives roles of several.",
)
_WAIT: Final = Parameter(
    "wait",
    "query",
    {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
    "Answer only when the request has another version than `seen`, or after this many seconds.",
)
_SEEN: Final = Parameter("seen", "query", {"type": "string", "maxLength": 64}, "The version that the client has.")
_CURSOR: Final = Parameter("cursor", "query", {"type": "string", "maxLength": 2000}, "`next` of the page before.")
_KEY: Final = Parameter(
    IDEMPOTENCY_KEY,
    "header",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "The same key from the same device gives the same request; with another body, a conflict.",
)
_ENDED: Final = (ProblemCode.NOT_FOUND, ProblemCode.CONFLICT)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        "start_pairing", "POST", "/v1/pairings", "Begin to pair this machine",
        StartedPairingInfo, ApiLane.PAIRING, NewPairing, HTTPStatus.CREATED, needs_device=False,
        problems=(ProblemCode.LIMIT_REACHED,),
    ),
    Endpoint(
        "exchange_pairing", "POST", "/v1/pairings/token", "Get the token of a pairing that was confirmed",
        IssuedToken, ApiLane.PAIRING, TokenExchange, needs_device=False,
        problems=(
            ProblemCode.AUTHORIZATION_PENDING, ProblemCode.SLOW_DOWN, ProblemCode.EXPIRED_TOKEN,
            ProblemCode.ACCESS_DENIED,
        ),
    ),
    Endpoint("get_me", "GET", "/v1/me", "Who is asking", Me, is_on_broker=True),
    Endpoint("list_devices", "GET", "/v1/devices", "The person's paired devices", DeviceList),
    Endpoint(
        "revoke_device", "DELETE", "/v1/devices/{id}", "Revoke a device, or log out with self",
        DeviceInfo, ApiLane.CHANGE, parameters=(_DEVICE_ID,), problems=_ENDED,
    ),
    Endpoint("list_profiles", "GET", "/v1/profiles", "The profiles that this device can request", ProfileList),
    Endpoint(
        "submit_request", "POST", "/v1/requests", "Request access",
        RequestInfo, ApiLane.CHANGE, NewRequest, HTTPStatus.CREATED, parameters=(_KEY,),
        problems=(ProblemCode.LIMIT_REACHED, ProblemCode.CONFLICT, ProblemCode.NOT_FOUND),
    ),
    Endpoint(
        "list_requests", "GET", "/v1/requests", "The device's own requests, newest first",
        RequestList, parameters=(_CURSOR,),
    ),
    Endpoint(
        "get_request", "GET", "/v1/requests/{id}", "One request; with `wait`, once it changes",
        RequestInfo, parameters=(_REQUEST_ID, _WAIT, _SEEN), problems=(ProblemCode.NOT_FOUND,),
    ),
    Endpoint(
        "cancel_request", "POST", "/v1/requests/{id}/cancel", "Take a pending request back",
        RequestInfo, ApiLane.CHANGE, parameters=(_REQUEST_ID,), problems=_ENDED,
    ),
    Endpoint(
        "end_request", "POST", "/v1/requests/{id}/end", "End the access of a request: I'm done",
        RequestInfo, ApiLane.CHANGE, parameters=(_REQUEST_ID,), problems=_ENDED,
    ),
    Endpoint("list_access", "GET", "/v1/access", "The access that the device's person or service has now", AccessList),
    Endpoint(
        "end_access", "POST", "/v1/access/{source}/end", "End access before its time",
        AccessInfo, ApiLane.CHANGE, parameters=(_SOURCE,), problems=_ENDED,
    ),
    Endpoint(
        "issue_credentials", "POST", "/v1/credentials/{profile}", "AWS credentials for access that is open",
        CredentialsInfo, ApiLane.CREDENTIALS, parameters=(_PROFILE, _TARGET),
        problems=(ProblemCode.NOT_FOUND, ProblemCode.ENDED), is_on_broker=True,
    ),
    Endpoint(
        "get_openapi", "GET", "/v1/openapi.json", "This document", OpenApiDocument, None, needs_device=False,
        is_on_broker=True,
    ),
    Endpoint(
        "get_health", "GET", "/v1/health", "Whether the process is alive", Health, None, needs_device=False,
        is_on_broker=True,
    ),
)  # fmt: skip
"""In the order of the document. Where a path ends in a profile, it may contain slashes."""

"""What the HTTP API takes and gives, as pydantic models: servers, clients and the OpenAPI document share them.

Invariant: what is taken has no field that is not named here; what is given may gain fields, so a client ignores those
that it doesn't know. Times are aware UTC, durations whole seconds. No model shows a secret in its repr.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import (
    ConfigDict,
    Field,
)

from bot.api.bodies import GivenMoment, GivenSecret, Moment, RequestBody, ResponseBody
from bot.api.pairing_models import DeviceInfo
from core.access.grant_status import AccessPhase
from core.request_status import RequestStatus

MAX_WAIT_SECONDS: Final = 25
"""How long a long poll waits: less than the 30 s after which many proxies close a silent connection."""
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
PATH_PREFIX: Final = "/v1"


class PersonInfo(ResponseBody):
    """A person or a user group by Slack id, or a schedule as `on-call:name`. `name` is None while it isn't known."""

    id: str
    name: str | None = None


class Me(ResponseBody):
    """Who asks. `service` is set when the device acts for a service, whose owner is `person`."""

    person: PersonInfo
    service: str | None = None
    device: DeviceInfo
    server_time: Moment
    server_version: str
    credentials_url: str = Field(description="The base URL of the server that gives credentials; it may be this one.")


# Requests -----------------------------------------------------------------------------------------------------------


class ProfileInfo(ResponseBody):
    """A profile that this device can request."""

    name: str
    description: str | None = None
    max_duration_seconds: int
    required_approvals: int
    approvers: tuple[PersonInfo, ...] = ()
    starts_within_seconds: int | None = Field(
        default=None, description="How far ahead access may start. Absent: it starts with the approval."
    )
    ticket: str | None = Field(
        default=None, description="An example of the ticket that a request needs. Absent: it needs none."
    )
    has_access: bool = Field(description="False for a profile whose approval doesn't open anything at a target.")
    has_credentials: bool = Field(description="Whether POST /v1/credentials/{profile} can give AWS credentials for it.")


class ProfileList(ResponseBody):
    """The profiles that this device can request."""

    profiles: tuple[ProfileInfo, ...]


class NewRequest(RequestBody):
    """Ask for access. Send an Idempotency-Key, so that a repeated call makes no second request."""

    profile: str = Field(min_length=1, max_length=80)
    duration: str = Field(default="1h", min_length=1, max_length=20, description="Such as 2h, 90m or 1h30m.")
    justification: str = Field(min_length=1, max_length=2000)
    starts_at: GivenMoment | None = Field(
        default=None,
        description="When the access is to start, such as 2026-01-15T22:00:00Z, for profiles with "
        "`starts_within_seconds`. It has to be approved by then. Absent: with the approval.",
    )
    ticket: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="The ticket that it is for, such as INC-12, for profiles with `ticket`. Absent: the one that the "
        "justification names.",
    )


class ApprovalInfo(ResponseBody):
    """One approver's vote."""

    approver: PersonInfo
    at: Moment
    comment: str | None = None
    duration_seconds: int | None = Field(default=None, description="If it gives less time than was asked for.")


class RightInfo(ResponseBody):
    """One right of some access. `problem` says why the target refused it."""

    target: str
    resource: str
    level: str
    phase: AccessPhase
    problem: str | None = None


class EarlyEndInfo(ResponseBody):
    """Who ended access before its time."""

    by: str
    by_name: str | None = None
    at: Moment
    reason: str


class AccessInfo(ResponseBody):
    """The access that one request or break-glass event gave. `until` is when it ends or ended.

    `residual_until`: a session that was open at the end can live on until then.
    """

    source: str = Field(description="The chain of the decision: REQUEST#… or BREAKGLASS#….")
    id: str = Field(description="The id of the request or event.")
    kind: Literal["request", "break_glass"]
    profile: str
    person: str
    service: str | None = None
    phase: AccessPhase
    starts_at: Moment
    until: Moment
    opened_at: Moment | None = None
    closed_at: Moment | None = None
    residual_until: Moment | None = None
    ended_early: EarlyEndInfo | None = None
    decided_by: str
    decided_by_name: str | None = None
    is_delayed: bool = False
    is_overdue: bool = False
    may_end: bool
    rights: tuple[RightInfo, ...] = ()


class QuestionInfo(ResponseBody):
    """What somebody who may decide asked the requester, and the answer, if there is one."""

    number: int
    asker: PersonInfo
    at: Moment
    text: str
    answer: str | None = None
    answered_at: Moment | None = None


class RequestInfo(ResponseBody):
    """A request. `access` is absent until it is approved, and for a profile whose approval opens nothing.

    `version` is opaque; as `seen`, it makes a long poll wait until something changes.
    """

    id: str
    version: str
    profile: str
    status: RequestStatus
    requester: str
    asked_by: str | None = Field(default=None, description="Who asked for it, on behalf of the requester.")
    asked_by_name: str | None = None
    awaits_confirmation: bool = Field(
        default=False, description="Somebody asked on behalf of the requester, who has not confirmed it yet."
    )
    bundle: str | None = Field(default=None, description="The same for requests that were made in one form.")
    ticket: str | None = Field(default=None, description="The ticket that it is for.")
    ticket_problem: str | None = Field(
        default=None, description="Why the ticket couldn't be checked. Absent: it was, or needs no check."
    )
    service: str | None = None
    device: str | None = None
    justification: str
    duration_seconds: int
    granted_seconds: int | None = Field(
        default=None, description="How long the access is; the shortest approval counts. Absent until it is approved."
    )
    required_approvals: int
    approvals: tuple[ApprovalInfo, ...] = ()
    approvers: tuple[PersonInfo, ...] = Field(default=(), description="Who may approve it, while it is pending.")
    created_at: Moment
    expires_at: Moment = Field(description="Until when somebody can decide.")
    starts_at: Moment | None = Field(
        default=None, description="When the access is to start. Absent: with the approval."
    )
    decided_by: str | None = None
    decided_by_name: str | None = None
    decided_at: Moment | None = None
    comment: str | None = Field(default=None, description="The approver's words, or why it was denied.")
    access_opens_at: Moment | None = Field(
        default=None, description="When the window of access opens or opened. Absent until it is approved."
    )
    access_ends_at: Moment | None = None
    replaced_by: str | None = None
    access: AccessInfo | None = None
    questions: tuple[QuestionInfo, ...] = ()


class RequestList(ResponseBody):
    """One's own requests, newest first. `next` is the cursor of the next page, if there is one."""

    requests: tuple[RequestInfo, ...]
    next: str | None = None


class AccessList(ResponseBody):
    """The access that the device's person or service has now: opening, open or closing."""

    access: tuple[AccessInfo, ...]


# Credentials --------------------------------------------------------------------------------------------------------


class SessionInfo(ResponseBody):
    """The record of the credentials. `source_identity` finds in CloudTrail what was done with them."""

    id: str
    grant: str
    source: str
    source_identity: str
    issue_count: int


class CredentialsInfo(ResponseBody):
    """AWS credentials. They may live until `expiration`, but allow nothing from `access_ends_at` on."""

    access_key_id: str
    secret_access_key: GivenSecret
    session_token: GivenSecret
    expiration: Moment
    access_ends_at: Moment
    session: SessionInfo


class Health(ResponseBody):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class OpenApiDocument(ResponseBody):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str

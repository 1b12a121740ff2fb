"""Calls to AWS on behalf of a target: the one place where its errors become outcomes that a target can answer with.

Invariant: a call is sent once; trying again is the caller's, who looks first. No botocore type leaves this module, and
an outcome says whether the call may have taken effect. A problem repeats AWS's own words and nothing of the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    TokenRetrievalError,
)

from core.access.credentials import AwsCredentials
from core.targets.base import Later, TargetRefused, Unknown
from core.targets.call_pace import MAX_WAIT_SECONDS, CallPace
from core.targets.words import one_line

CONNECT_SECONDS: Final = 2.0
REPLY_SECONDS: Final = 6.0
LONGEST_CALL_SECONDS: Final = CONNECT_SECONDS + REPLY_SECONDS + MAX_WAIT_SECONDS
_WITH_JSON_REPLIES: Final = ("sso-admin", "identitystore")
_FIRST_FAILURE: Final = 300
_SERVER_ERROR: Final = 500
_SOON: Final = timedelta(seconds=5)
_AFTER_CONFLICT: Final = timedelta(seconds=10)
_AFTER_FIX: Final = timedelta(minutes=1)


class Trouble(StrEnum):
    """What became of a call that didn't succeed."""

    BUSY = "busy"
    """It was not done; it can be done later."""
    CONFLICT = "conflict"
    """Another write is in the way, or what was to be made exists."""
    NOT_FOUND = "not-found"
    REFUSED = "refused"
    """It was not done, and trying again changes nothing until somebody acts."""
    LOST = "lost"
    """It may have taken effect."""


_BUSY: Final = {
    "ThrottlingException": _SOON,
    "Throttling": _SOON,
    "ThrottledException": _SOON,
    "TooManyRequestsException": _SOON,
    "RequestLimitExceeded": _SOON,
    "RequestTimeout": _SOON,
    "RequestTimeoutException": _SOON,
    "ServiceUnavailable": _SOON,
    "ServiceUnavailableException": _SOON,
    "ResourceConflictException": _SOON,
    "ServiceQuotaExceededException": _AFTER_FIX,
    "ExpiredToken": _AFTER_FIX,
    "ExpiredTokenException": _AFTER_FIX,
}
"""Codes that pass, and when to ask again. Expired credentials pass too: the machine's role renews them."""
_CONFLICT: Final = frozenset({"ConflictException", "ConcurrentModification", "EntityTemporarilyUnmodifiable"})
_NOT_FOUND: Final = frozenset({"ResourceNotFoundException", "NoSuchEntity"})
_CHECK_CREDENTIALS: Final = "Check the AWS credentials and the region that Countersign runs with."
_NEVER_SENT: Final = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError, NoRegionError, TokenRetrievalError)


class CallFailed(Exception):
    """A call that didn't succeed. It never leaves `core.targets`."""

    def __init__(
        self,
        trouble: Trouble,
        problem: str,
        *,
        after: timedelta = _SOON,
        subject: str = "",
        is_for_all: bool = False,
        was_sent: bool = True,
        code: str = "",
    ) -> None:
        super().__init__(problem)
        self.code = code
        """AWS's own name for the error."""
        self.was_sent = was_sent
        """False when nothing left this machine: for want of credentials, or because AWS can't be reached."""
        self.is_for_all = is_for_all
        self.trouble = trouble
        self.problem = problem
        self.after = after
        self.subject = subject
        """What wasn't found, where AWS says so: USER, GROUP, GROUP_MEMBERSHIP, IDENTITY_STORE."""

    def answer(self) -> Later | TargetRefused | Unknown:
        """The same as a target's answer, where the target knows nothing better."""
        if self.trouble is Trouble.LOST:
            return Unknown(self.problem)
        if self.trouble in {Trouble.BUSY, Trouble.CONFLICT}:
            return Later(self.after, self.is_for_all, self.problem)
        return TargetRefused(f"{self.problem.rstrip('.')}.")


@dataclass(frozen=True)
class AwsCalls:
    """A client of one AWS service, at a pace. Safe for threads.

    With `ends_at`, by the pace's time, no call begins that could end after it.
    """

    client: Any = field(repr=False)
    pace: CallPace = field(repr=False)
    name: str = "AWS"
    """What people call the service."""
    fixes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What people can do about an error, by its code."""
    ends_at: float | None = None

    def __post_init__(self) -> None:
        """Make this client treat a partial reply as a lost one."""
        for service in _WITH_JSON_REPLIES:
            self.client.meta.events.register(f"before-parse.{service}", _refuse_cut_reply, unique_id=service)

    def within(self, limit: timedelta) -> AwsCalls:
        """The same, for one step that has to end in this time."""
        return replace(self, ends_at=self.pace.elapsed() + limit.total_seconds())

    def read(self, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's own arguments
        """One call that changes nothing. Raises CallFailed, never with LOST: it can simply be made again."""
        return self._call(operation, arguments, if_lost=Trouble.BUSY)

    def write(self, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's own arguments
        """One call that changes something. Raises CallFailed."""
        return self._call(operation, arguments, if_lost=Trouble.LOST)

    def _call(self, operation: str, arguments: dict[str, Any], *, if_lost: Trouble) -> dict[str, Any]:
        if self.ends_at is not None and self.pace.elapsed() + LONGEST_CALL_SECONDS > self.ends_at:
            raise CallFailed(Trouble.BUSY, f"{self.name} is slow: there was no time for one more call")
        wait_seconds = self.pace.wait()
        if wait_seconds is not None:
            problem = f"Countersign's own limit of calls to {self.name} is reached"
            raise CallFailed(Trouble.BUSY, problem, after=timedelta(seconds=wait_seconds), is_for_all=True)
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
        except ClientError as error:
            raise self._failed(error, if_lost) from error
        except _NEVER_SENT as error:
            raise CallFailed(
                Trouble.BUSY, f"{self.name} can't be reached", after=_AFTER_CONFLICT, is_for_all=True, was_sent=False
            ) from error
        except _NO_CREDENTIALS as error:
            problem = f"{self.name} can't be called: {type(error).__name__}. {_CHECK_CREDENTIALS}"
            raise CallFailed(Trouble.BUSY, problem, after=_AFTER_FIX, is_for_all=True, was_sent=False) from error
        except ParamValidationError as error:
            problem = (
                f"{self.name} would not accept the call. {self.fixes.get('ValidationException', _CHECK_CREDENTIALS)}"
            )
            raise CallFailed(Trouble.REFUSED, problem) from error
        except BotoCoreError as error:
            raise CallFailed(if_lost, f"{self.name} gave no answer: {type(error).__name__}") from error
        return answer

    def _failed(self, error: ClientError, if_lost: Trouble) -> CallFailed:
        code = error.response.get("Error", {}).get("Code", "")
        words = one_line(error.response.get("Error", {}).get("Message", ""))
        problem = f"{self.name} answered {one_line(code, 60)}" + (f": {words}" if words else "")
        if code in _CONFLICT:
            return CallFailed(Trouble.CONFLICT, problem, after=_AFTER_CONFLICT, subject=_reason(error))
        fix = self.fixes.get(code)
        if code in _NOT_FOUND:
            subject = str(error.response.get("ResourceType") or "")
            return CallFailed(Trouble.NOT_FOUND, f"{problem}. {fix}" if fix else problem, subject=subject, code=code)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= _SERVER_ERROR or code == "InternalServerException":
            # AWS doesn't say whether the call was done before the error.
            return CallFailed(if_lost, problem, after=_SOON)
        if code in _BUSY:
            # A quota is one account's; the others go on.
            is_for_all = code != "ServiceQuotaExceededException"
            problem = f"{problem}. {fix}" if fix else problem
            after = _pause(error, _BUSY[code])
            return CallFailed(Trouble.BUSY, problem, after=after, is_for_all=is_for_all, code=code)
        return CallFailed(Trouble.REFUSED, f"{problem}. {fix or _CHECK_CREDENTIALS}", code=code)


def open_client(
    service: str, region: str, *, reply_seconds: float = REPLY_SECONDS, keys: AwsCredentials | None = None
) -> Any:  # noqa: ANN401 - boto3 has no type for it
    """A client that sends each call once. Without keys, boto3 finds them, and AWS_ENDPOINT_URL_… where one is set."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=reply_seconds,
        retries={"total_max_attempts": 1},
        max_pool_connections=16,
        tcp_keepalive=True,
    )
    # The stubs know only some of the services.
    session: Any = boto3.session.Session()
    if keys is None:
        return session.client(service, region_name=region, config=config)
    return session.client(
        service,
        region_name=region,
        config=config,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key.get_secret_value(),
        aws_session_token=keys.session_token.get_secret_value(),
    )


def _reason(error: ClientError) -> str:
    return str(error.response.get("Reason") or "")


def _pause(error: ClientError, otherwise: timedelta) -> timedelta:
    seconds = error.response.get("RetryAfterSeconds")
    if isinstance(seconds, int) and 0 < seconds <= int(timedelta(hours=1).total_seconds()):
        return timedelta(seconds=seconds)
    return otherwise


class _CutReplyError(BotoCoreError):
    """A success whose body isn't the JSON object that it should be. botocore would read it as an empty one."""

    fmt = "the reply was cut"


def _refuse_cut_reply(response_dict: dict[str, Any], **_: object) -> None:
    """A handler for botocore's `before-parse` event."""
    if response_dict["status_code"] >= _FIRST_FAILURE:
        return
    try:
        is_whole = isinstance(json.loads(response_dict["body"] or b""), dict)
    except ValueError:
        is_whole = False
    if not is_whole:
        raise _CutReplyError

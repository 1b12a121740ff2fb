"""Calls to DynamoDB: the one place where AWS's errors become ours, and where calls are retried.

Invariant: a call ends in its result, in the outcome of DynamoDB's conditions, or in one of `core.errors`; no botocore
type leaves this module. Retries end at a deadline, with StoreUnavailable, which says whether a write may have taken
effect.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import boto3
import botocore
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
)

from core.errors import StoreMisconfigured, StoreUnavailable
from core.stores.dynamodb.items import Item
from core.stores.dynamodb.outcomes import CallRefused, ConditionFailed
from core.stores.dynamodb.replies import refuse_cut_reply

T = TypeVar("T")
CONNECT_SECONDS: Final = 1.0
REPLY_SECONDS: Final = 2.0
"""AWS answers a transaction in tens of milliseconds; a reply this late is lost, and asking again is faster."""
DEADLINE_SECONDS: Final = 8.0
_FIRST_PAUSE_SECONDS: Final = 0.02
_MAX_PAUSE_SECONDS: Final = 0.5
_SERVER_ERROR: Final = 500
_CHECK_TABLES: Final = "Run `countersign tables check`"

_PASSING: Final = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_PASSING_REASONS: Final = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})
_BEFORE_SENDING: Final = (ConnectTimeoutError, EndpointConnectionError)
_NEVER_SENT: Final = (NoCredentialsError, PartialCredentialsError, NoRegionError, ParamValidationError)
"""Errors that no retry can fix."""


class _Unfinished(Exception):
    """DynamoDB did a part of the call, because it is busy: the rest may be asked for after a pause."""


@dataclass(slots=True)
class _Attempts:
    deadline: float
    pause: float = _FIRST_PAUSE_SECONDS
    may_have_taken_effect: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds: for a connection, for a reply, and in total."""

    connect_seconds: float = CONNECT_SECONDS
    reply_seconds: float = REPLY_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS


@dataclass(frozen=True)
class Connection:
    """A DynamoDB client that tries again until a deadline. Safe for threads."""

    client: Any = field(repr=False)
    timing: Timing = field(default_factory=Timing)
    owner: int = field(default_factory=os.getpid)
    """The process that opened it: two processes that write to one socket would read each other's answers."""

    def __post_init__(self) -> None:
        """Make this client treat a partial reply as a lost one."""
        self.client.meta.events.register("before-parse.dynamodb", refuse_cut_reply, unique_id="countersign")

    @classmethod
    def open(cls, region: str, endpoint_url: str | None = None, timing: Timing | None = None) -> Connection:
        """A client for one region. boto3 finds the credentials; they are looked up at the first call."""
        timing = timing or Timing()
        config = Config(
            connect_timeout=timing.connect_seconds,
            read_timeout=timing.reply_seconds,
            # This module retries on its own: only it knows what a lost reply means for which call.
            retries={"total_max_attempts": 1},
            max_pool_connections=64,
            tcp_keepalive=True,
            # The shapes are this package's own, and AWS checks them too: here, that's a fifth of a transaction's time.
            parameter_validation=False,
            # Written once: otherwise it is put together anew for each call.
            user_agent=f"Countersign Boto3/{boto3.__version__} Botocore/{botocore.__version__}",
        )
        session = boto3.session.Session()
        client = session.client("dynamodb", region_name=region, endpoint_url=endpoint_url, config=config)
        return cls(client, timing)

    def close(self) -> None:
        """Close every connection. Idempotent."""
        self.client.close()

    def transact(self, items: Sequence[dict[str, Any]], token: str) -> None:
        """All of these writes, or none. With `token`, AWS recognises a repetition for ten minutes.

        Raises ConditionFailed, StoreUnavailable, StoreMisconfigured.
        """
        with_answers = [_with_old_item(item) for item in items]
        self._call(
            lambda: self.client.transact_write_items(TransactItems=with_answers, ClientRequestToken=token),
            is_write=True,
        )

    def write(self, operation: str, **arguments: Any) -> None:  # noqa: ANN401 - boto3's own arguments
        """One write of a single item. Raises ConditionFailed, StoreUnavailable, StoreMisconfigured."""
        self._call(lambda: getattr(self.client, operation)(**arguments), is_write=True)

    def call(
        self,
        operation: str,
        *,
        expecting: frozenset[str] = frozenset(),
        **arguments: Any,  # noqa: ANN401 - boto3's own arguments
    ) -> dict[str, Any]:
        """Any other operation, by boto3's name for it.

        Raises CallRefused for a code in `expecting`, at once; StoreUnavailable and StoreMisconfigured for the others.
        """

        def once() -> dict[str, Any]:
            try:
                answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in expecting:
                    raise CallRefused(code, error.response["Error"].get("Message", "")) from error
                raise
            return answer

        return self._call(once, is_write=not operation.startswith("describe_"))

    def get(self, table: str, key: Item) -> Item | None:
        """One item, read consistently; None if there is none."""
        answer = self._call(lambda: self.client.get_item(TableName=table, Key=key, ConsistentRead=True))
        item: Item | None = answer.get("Item")
        return item

    def get_many(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """Up to 100 items, each read consistently, in one read; those that exist."""
        return self.get_batch({table: keys})[table]

    def get_batch(self, keys: Mapping[str, Sequence[Item]]) -> dict[str, list[Item]]:
        """The same for several tables, by the table's name. A table without such items has an empty list.

        What DynamoDB leaves unread is asked for again, with pauses, until the deadline of this one call.
        """
        found: dict[str, list[Item]] = {table: [] for table in keys}
        wanted: dict[str, Any] = {
            table: {"Keys": list(of_table), "ConsistentRead": True} for table, of_table in keys.items()
        }

        def read_the_rest() -> dict[str, list[Item]]:
            nonlocal wanted
            answer = self.client.batch_get_item(RequestItems=wanted)
            for table, items in answer["Responses"].items():
                found[table].extend(items)
            wanted = answer.get("UnprocessedKeys") or {}
            if wanted:
                raise _Unfinished
            return found

        return self._call(read_the_rest)

    def query(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's own arguments
        """One page of a query."""
        page: dict[str, Any] = self._call(lambda: self.client.query(**arguments))
        return page

    def query_all(self, **arguments: Any) -> Iterator[Item]:  # noqa: ANN401 - boto3's own arguments
        """Every item of a query, page by page."""
        return self._pages(self.client.query, arguments)

    def scan_all(self, **arguments: Any) -> Iterator[Item]:  # noqa: ANN401 - boto3's own arguments
        """Every item of a table, page by page, the items of one partition together and in their order."""
        return self._pages(self.client.scan, arguments)

    def _pages(self, operation: Callable[..., Any], arguments: dict[str, Any]) -> Iterator[Item]:
        start: dict[str, Any] = {}
        while True:
            page = self._call(lambda: operation(**arguments, **start))  # noqa: B023 - called at once
            yield from page.get("Items", ())
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _call(self, call: Callable[[], T], *, is_write: bool = False) -> T:
        if self.owner != os.getpid():
            raise StoreUnavailable("the store was opened before this process was forked; open it again here")
        attempts = _Attempts(deadline=time.monotonic() + self.timing.deadline_seconds)
        while True:
            try:
                return call()
            except ClientError as error:
                try:
                    problem = _passing_problem(error, attempts)
                except StoreMisconfigured as hard:
                    raise _honest(hard, attempts, is_write=is_write) from error
                cause: Exception = error
            except _Unfinished as error:
                problem, cause = "UnprocessedKeys", error
            except _NEVER_SENT as error:
                refusal = StoreMisconfigured(f"AWS cannot be called: {error}", "Check region and credentials")
                raise _honest(refusal, attempts, is_write=is_write) from error
            except BotoCoreError as error:
                problem, cause = type(error).__name__, error
                attempts.may_have_taken_effect |= not isinstance(error, _BEFORE_SENDING)
            if not _has_time_for_another(attempts):
                unknown = is_write and attempts.may_have_taken_effect
                raise StoreUnavailable(problem, is_outcome_unknown=unknown) from cause


def _honest(hard: StoreMisconfigured, attempts: _Attempts, *, is_write: bool) -> StoreMisconfigured | StoreUnavailable:
    """The error unchanged; but if an earlier attempt of this write may have taken effect, the outcome is unknown."""
    if is_write and attempts.may_have_taken_effect:
        return StoreUnavailable(f"{hard.problem}. {hard.fix}", is_outcome_unknown=True)
    return hard


def _passing_problem(error: ClientError, attempts: _Attempts) -> str:
    """The name of a problem that may be temporary; every other error is raised as the matching one of ours."""
    code = error.response["Error"]["Code"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "TransactionCanceledException":
        reasons = error.response.get("CancellationReasons", [])
        failed = tuple(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)
        if any(failed):
            stored: tuple[Item | None, ...] = tuple(
                dict(reason["Item"]) if "Item" in reason else None for reason in reasons
            )
            raise ConditionFailed(failed, stored, is_retry=attempts.may_have_taken_effect) from error
        passing = [reason["Code"] for reason in reasons if reason.get("Code") in _PASSING_REASONS]
        if passing:
            return str(passing[0])
        invalid = [reason.get("Message", "") for reason in reasons if reason.get("Code") == "ValidationError"]
        if invalid:
            raise StoreMisconfigured(f"a table does not fit: {invalid[0]}", _CHECK_TABLES) from error
    elif code == "ConditionalCheckFailedException":
        raise ConditionFailed((True,), (None,), is_retry=attempts.may_have_taken_effect) from error
    elif code in _PASSING or status >= _SERVER_ERROR:
        attempts.may_have_taken_effect |= status >= _SERVER_ERROR or code == "TransactionInProgressException"
        return code
    raise _misconfigured(code, error) from error


def _misconfigured(code: str, error: ClientError) -> StoreMisconfigured:
    message = error.response["Error"].get("Message", "")
    if code == "ResourceNotFoundException":
        return StoreMisconfigured("a table is missing", "Run `countersign tables create`")
    if code == "ValidationException":
        return StoreMisconfigured(f"a table does not fit: {message}", _CHECK_TABLES)
    return StoreMisconfigured(f"AWS refused the call: {code}: {message}", "Check the credentials and the IAM policy")


def _has_time_for_another(attempts: _Attempts) -> bool:
    # Full jitter: callers that were refused together must not retry together.
    pause = random.uniform(0, attempts.pause)  # noqa: S311 - not a secret
    attempts.pause = min(2 * attempts.pause, _MAX_PAUSE_SECONDS)
    if time.monotonic() + pause >= attempts.deadline:
        return False
    time.sleep(pause)
    return True


def _with_old_item(item: dict[str, Any]) -> dict[str, Any]:
    ((operation, arguments),) = item.items()
    return {operation: {**arguments, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}

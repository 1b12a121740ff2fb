"""The SNS sink: each entry as a message on a topic of Amazon SNS.

Invariant: no botocore error leaves this module. On a FIFO topic, the entries of one record keep their order, and an
entry that is published twice within five minutes arrives once. On a standard topic, receivers recognise duplicates by
`data.id`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from bot.notifications.entry_message import write_entry
from bot.slack.retry_after import FIX_PAUSE
from core.audit.trail import AuditEntry
from core.errors import DeliveryFailed

NAME: Final = "sns"
CONNECT_TIMEOUT_SECONDS: Final = 3
REPLY_TIMEOUT_SECONDS: Final = 5
_FIFO: Final = ".fifo"
_NO_TOPIC: Final = frozenset({"NotFound", "NotFoundException"})
_NO_RIGHT: Final = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "ExpiredToken",
        "ExpiredTokenException", "InvalidClientTokenId", "OptInRequired", "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)  # fmt: skip
_NO_KEY: Final = frozenset({"KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired"})
_NEVER: Final = frozenset(
    {
        "InvalidParameter",
        "InvalidParameterValue",
        "InvalidParameterException",
        "ParameterValueInvalid",
        "ValidationError",
    }
)


def open_client(topic_arn: str) -> Any:  # noqa: ANN401 - boto3's client
    """A client for the topic's region. It never retries: the outbox does. boto3 finds the credentials."""
    region = topic_arn.split(":")[3]
    # https://docs.aws.amazon.com/general/latest/gr/sns.html: a topic is only reachable in its own region.
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=REPLY_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )
    return boto3.session.Session().client("sns", region_name=region, config=config)


class SnsSink:
    """Publishes every entry to a topic. Thread-safe, as boto3's clients are."""

    def __init__(self, topic_arn: str, client: Any) -> None:  # noqa: ANN401 - boto3's client
        self._topic_arn = topic_arn
        self._client = client

    @property
    def name(self) -> str:
        """The sink's name."""
        return NAME

    def deliver(self, entry: AuditEntry) -> None:
        """Publish one entry. Raises DeliveryFailed."""
        try:
            self._client.publish(
                TopicArn=self._topic_arn,
                Message=write_entry(entry),
                MessageAttributes=_attributes(entry),
                **self._order(entry),
            )
        except ClientError as error:
            raise self._refused(error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise self._fixable(
                "no credentials", "Give Countersign AWS credentials that allow it to publish."
            ) from error
        except ParamValidationError as error:
            raise DeliveryFailed(
                f"{self._topic_arn}: this isn't a topic ARN. Set COUNTERSIGN_SNS_TOPIC.", is_final=True
            ) from error
        except BotoCoreError as error:
            problem = f"{self._topic_arn}: {type(error).__name__}. It will be retried automatically."
            raise DeliveryFailed(problem) from error

    def _order(self, entry: AuditEntry) -> dict[str, str]:
        if not self._topic_arn.endswith(_FIFO):
            return {}
        return {"MessageGroupId": entry.chain, "MessageDeduplicationId": entry.id}

    def _refused(self, error: ClientError) -> DeliveryFailed:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _NO_TOPIC:
            return self._fixable(code, "Create the topic, or set COUNTERSIGN_SNS_TOPIC to one that exists.")
        if code in _NO_RIGHT or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return self._fixable(code, "Allow Countersign's role to sns:Publish to this topic; see docs/operators.md.")
        if code in _NO_KEY:
            return self._fixable(code, "Allow Countersign's role to use the topic's KMS key; see docs/operators.md.")
        if code in _NEVER:
            return DeliveryFailed(
                f"{self._topic_arn}: {code}. This is a bug in Countersign. Please report it.", is_final=True
            )
        return DeliveryFailed(f"{self._topic_arn}: {code or status}. It will be retried automatically.")

    def _fixable(self, problem: str, fix: str) -> DeliveryFailed:
        return DeliveryFailed(f"{self._topic_arn}: {problem}. {fix}", retry_after=FIX_PAUSE)


def _attributes(entry: AuditEntry) -> dict[str, dict[str, str]]:
    """The attributes that subscriptions can filter by."""
    named = {"event": str(entry.event), "profile": entry.profile}
    return {name: {"DataType": "String", "StringValue": value} for name, value in named.items() if value}

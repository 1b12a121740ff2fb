"""What an operator reads of a delivery that failed: by webhook, by SNS, and of a second factor that can't be read.

Invariant: every kind of refusal is met as its sink meets it; nothing leaves this machine.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError
from pydantic import SecretStr

from bot.mfa.ssm_store import SecretParameters
from bot.mfa.totp import Totp, check_code
from bot.notifications.sns_sink import SnsSink
from bot.notifications.webhook_sink import WebhookSink
from core.audit.trail import AuditAction
from core.errors import CountersignError
from tests.bot.notifications.receiver import Receiver
from tests.builders import INVOKER, REQUESTER
from tests.harness.clock import FrozenClock
from tests.texts import records
from tests.texts.records import NOW
from tests.texts.writing import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.actor import UserId

_TOPIC: Final = "arn:aws:sns:eu-west-1:123456789012:countersign"
_SECRET: Final = SecretStr(f"whsec_{base64.b64encode(b'0' * 32).decode()}")
_ENTRY: Final = records.an_entry(AuditAction.REQUEST_SUBMITTED, REQUESTER, records.pending().chain)


class _Refusing:
    """A client of AWS whose every call ends in this error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _name: str) -> Callable[..., object]:
        def refuse(**_: object) -> object:
            raise self._error

        return refuse


class _Secrets:
    """Secrets of which one person has none, and everybody else a damaged one."""

    def find(self, person: UserId) -> SecretStr | None:
        return None if person == REQUESTER else SecretStr("not base32!")

    def put(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        raise AssertionError(person, secret, is_replacing)

    def remove(self, person: UserId) -> bool:
        raise AssertionError(person)

    def people(self) -> tuple[UserId, ...]:
        raise AssertionError


def deliveries() -> Iterator[Text]:
    """All of them."""
    for status in (301, 401, 410, 429, 500, None):
        with Receiver(script=[(status, {}) if status is not None else None]) as receiver:
            sink = WebhookSink(receiver.url, _SECRET, FrozenClock(NOW))
            title = f"HTTP {status}" if status is not None else "no answer"
            yield Text("Deliveries: webhook", title, _said(partial(sink.deliver, _ENTRY)))
    for title, error in _SNS.items():
        sns = SnsSink(_TOPIC, _Refusing(error))
        yield Text("Deliveries: SNS", title, _said(partial(sns.deliver, _ENTRY)))
    totp = Totp(_Secrets())
    for title, act in {
        "not a code": lambda: check_code("12 34"),
        "nobody has enrolled them": lambda: totp.find_step(REQUESTER, "123456", NOW),
        "a damaged secret": lambda: totp.find_step(INVOKER, "123456", NOW),
        "no right to read parameters": lambda: _parameters("AccessDeniedException").find(INVOKER),
        "throttled": lambda: _parameters("ThrottlingException").find(INVOKER),
    }.items():
        yield Text("Second factors", title, _said(act))


def _parameters(code: str) -> SecretParameters:
    return SecretParameters(_Refusing(_refusal(code)), "/countersign/mfa")


def _refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": _METADATA}, "Publish")


def _said(act: Callable[[], object]) -> str:
    try:
        act()
    except CountersignError as error:
        return str(error)
    raise AssertionError("this was taken")


_METADATA: Final[Any] = {"HTTPStatusCode": 400}
_SNS: Final[dict[str, Exception]] = {
    **{
        code: _refusal(code)
        for code in ("NotFound", "AuthorizationError", "KMSDisabled", "InvalidParameter", "Throttled")
    },
    "no credentials": NoCredentialsError(),
    "not a topic": ParamValidationError(report="TopicArn"),
    "no connection": EndpointConnectionError(endpoint_url="https://sns.eu-west-1.amazonaws.com"),
}

"""Secrets in the SSM Parameter Store of AWS, each a SecureString under one path.

Invariant: an error from AWS becomes one of `core.errors`, without any value, and in time for an answer within Slack's
three seconds.
"""

from __future__ import annotations

from typing import Any, Final, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from bot.mfa.secret_store import ParameterLocation, already_enrolled
from core.actor import UserId, is_person
from core.errors import StoreMisconfigured, StoreUnavailable

CONNECT_TIMEOUT_SECONDS: Final = 0.5
REPLY_TIMEOUT_SECONDS: Final = 0.7
TRIES: Final = 2
_SERVER_ERROR: Final = 500
_PASSING: Final = frozenset({"ThrottlingException", "RequestLimitExceeded", "InternalServerError"})


class SecretParameters:
    """The Secrets under a path, such as /countersign/mfa/U0AB12CD3. Safe for threads."""

    def __init__(self, client: Any, path: str) -> None:  # noqa: ANN401 - boto3 makes its clients when it runs
        self._client = client
        self._path = path

    @classmethod
    def open(cls, location: ParameterLocation) -> Self:
        """Parameters of one region. boto3 finds the credentials; they are looked up at the first call."""
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=REPLY_TIMEOUT_SECONDS,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
        )
        session = boto3.session.Session()
        client = session.client("ssm", region_name=location.region, endpoint_url=location.endpoint_url, config=config)
        return cls(client, location.path)

    def find(self, person: UserId) -> SecretStr | None:
        """One person's secret. It is asked for each time, so that a removed person is refused at once."""
        answer = self._call("get_parameter", "ParameterNotFound", Name=self._name(person), WithDecryption=True)
        return None if answer is None else SecretStr(str(answer["Parameter"]["Value"]))

    def put(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        """Keep a secret."""
        answer = self._call(
            "put_parameter",
            "ParameterAlreadyExists",
            Name=self._name(person),
            Value=secret.get_secret_value(),
            Type="SecureString",
            Description="A person's MFA secret for break-glass with Countersign",
            Overwrite=is_replacing,
        )
        if answer is None:
            raise already_enrolled(person)

    def remove(self, person: UserId) -> bool:
        """Forget a secret."""
        return self._call("delete_parameter", "ParameterNotFound", Name=self._name(person)) is not None

    def people(self) -> tuple[UserId, ...]:
        """Who has a secret. No value is decrypted for this."""
        names: list[str] = []
        start: dict[str, str] = {}
        while True:
            page = self._call("get_parameters_by_path", "", Path=self._path, WithDecryption=False, **start) or {}
            names += [str(each["Name"]).rpartition("/")[2] for each in page.get("Parameters", ())]
            if not page.get("NextToken"):
                return tuple(UserId(name) for name in sorted(names) if is_person(name))
            start = {"NextToken": str(page["NextToken"])}

    def _name(self, person: UserId) -> str:
        return f"{self._path}/{person}"

    def _call(self, operation: str, expected: str, **arguments: object) -> dict[str, Any] | None:
        """The answer; None when AWS says no with the code that is expected."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == expected:
                return None
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _PASSING or status >= _SERVER_ERROR:
                raise StoreUnavailable(f"the MFA secrets: {code}") from error
            raise StoreMisconfigured(
                f"AWS doesn't let this process use the parameters under {self._path}: {code}",
                "Check the credentials and the IAM policy; see docs/operators.md",
            ) from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"the MFA secrets: {type(error).__name__}") from error
        return answer

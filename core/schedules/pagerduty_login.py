"""How PagerDuty is asked: with an API key, or as an app with scoped OAuth, whose tokens live for some time.

Invariant: keys and tokens are in no error and no repr. A key that was replaced counts from the next call on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Final, Protocol
from urllib.parse import urlencode

from pydantic import BaseModel, Field, SecretStr, ValidationError

from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.schedules.web import ScheduleWeb, read_key

IDENTITY_URL: Final = "https://identity.pagerduty.com/oauth/token"
"""One for all regions: which one is meant is in the scope."""
SCOPES: Final = "oncalls.read schedules.read users.read"
_NAME: Final = "PagerDuty"
_SPARE_SECONDS: Final = 300.0


class PagerDutyLogin(Protocol):
    """Something that PagerDuty lets in."""

    @property
    def fix(self) -> str:
        """What to do when it doesn't."""
        ...

    def header(self) -> str:
        """The value of the Authorization header. Raises ScheduleRefused and ScheduleUnavailable."""
        ...

    def forget(self) -> bool:
        """PagerDuty didn't take the last one. True when another one may be taken now."""
        ...


class KeyLogin:
    """An API key."""

    fix: Final = "Make a read-only REST API key in PagerDuty under Integrations, and put it where the policy says."

    def __init__(self, source: str) -> None:
        self._source = source

    def header(self) -> str:
        """As PagerDuty's keys are sent, which isn't the usual way."""
        return f"Token token={read_key(self._source, _NAME).get_secret_value()}"

    def forget(self) -> bool:
        """The key is read anew at each call."""
        return False


class _TokenAnswer(BaseModel):
    access_token: SecretStr
    expires_in: float = Field(default=3600, gt=0)


@dataclass(frozen=True, slots=True)
class _Token:
    text: SecretStr
    made_with: SecretStr
    good_until: float


class OauthLogin:
    """An app with scoped OAuth, by client credentials. Safe for threads: one of them asks for a token."""

    fix: Final = (
        "Check the app's client id and secret in PagerDuty under App Registration, and that it has the scopes "
        f"{SCOPES.replace(' ', ', ')}."
    )

    def __init__(
        self,
        scope: str,
        client_id: str,
        secret_source: str,
        web: ScheduleWeb,
        url: str = IDENTITY_URL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scope = f"{scope} {SCOPES}"
        self._client_id = client_id
        self._secret_source = secret_source
        self._web = web
        self._url = url
        self._monotonic = monotonic
        self._lock = Lock()
        self._token: _Token | None = None

    def header(self) -> str:
        """The token that is in use, or a new one shortly before that ends or when the secret was replaced."""
        secret = read_key(self._secret_source, _NAME)
        with self._lock:
            token = self._token
            if token is None or token.made_with != secret or self._monotonic() >= token.good_until:
                token = self._token = self._take(secret)
        return f"Bearer {token.text.get_secret_value()}"

    def forget(self) -> bool:
        """A token can be revoked before its time."""
        with self._lock:
            had, self._token = self._token, None
        return had is not None

    def _take(self, secret: SecretStr) -> _Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": secret.get_secret_value(),
            "scope": self._scope,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        asked_at = self._monotonic()
        answer = self._web.call(self._url, headers, body=urlencode(form).encode())
        if answer.status != HTTPStatus.OK:
            raise ScheduleRefused(f"PagerDuty refused the app's credentials with {answer.status}", self.fix)
        try:
            found = _TokenAnswer.model_validate_json(answer.body)
        except ValidationError:
            raise ScheduleUnavailable(f"{_NAME} sent an answer that isn't a token") from None
        return _Token(found.access_token, secret, asked_at + max(found.expires_in - _SPARE_SECONDS, 0))

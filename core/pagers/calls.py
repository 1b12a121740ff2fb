"""HTTP calls to a pager: JSON in, JSON out, within one deadline, and every way to fail as one error.

Invariant: no key is in an error: it names the pager, the status and what to do. Redirects aren't followed: a key goes
to the configured host, and nowhere else. An answer is read up to a limit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import SecretStr

from core.errors import DeliveryFailed
from core.targets.timed_http import TimedHttp, TimedHttps, read_bounded
from core.targets.words import one_line

MAX_ANSWER_BYTES: Final = 1_000_000
CALL_SECONDS: Final = 10.0
"""How long a call may take in all; a delivery has half a minute."""
STEP_SECONDS: Final = 5.0
RATE_LIMIT_PAUSE: Final = timedelta(seconds=30)
"""What PagerDuty advises after a 429; incident.io says how long in Retry-After."""
FIX_PAUSE: Final = timedelta(minutes=10)
"""After an error that an operator must fix."""
_MAX_PAUSE: Final = timedelta(minutes=5)
"""A page can't wait for longer because a gateway writes the time of day where seconds belong."""
_MAX_SAID: Final = 200
_SERVER_ERROR: Final = HTTPStatus.INTERNAL_SERVER_ERROR


class _SameHostOnly(HTTPRedirectHandler):
    """Returns a redirect as the response."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: don't follow."""


@dataclass(frozen=True, slots=True)
class PagerFixes:
    """What an operator does about the refusals of one pager."""

    unauthorised: str
    not_found: str


class PagerCalls:
    """Calls one pager. Safe for threads. `key` is what no error may repeat, whatever the pager says."""

    def __init__(self, name: str, fixes: PagerFixes, key: SecretStr, *, call_seconds: float = CALL_SECONDS) -> None:
        self._name = name
        self._key = key
        self._fixes = fixes
        times = STEP_SECONDS, call_seconds
        self._opener = build_opener(_SameHostOnly, TimedHttp(*times), TimedHttps(*times))

    def post(self, url: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """What was answered to this body. Raises DeliveryFailed unless it is 2xx."""
        content = json.dumps(body).encode()
        return self._send(Request(url, data=content, headers=_headers(headers), method="POST"))  # noqa: S310 - ours

    def get(self, url: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        """What was answered. Raises DeliveryFailed unless it is 2xx with JSON."""
        return self._send(Request(url, headers=_headers(headers), method="GET"))  # noqa: S310 - ours

    def _send(self, request: Request) -> Any:  # noqa: ANN401 - JSON
        try:
            with self._opener.open(request) as answer:
                return _read_json(read_bounded(answer, MAX_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                raise self._refused(error.code, dict(error.headers.items()), self._read_refusal(error)) from error
        except (OSError, HTTPException, ValueError) as error:
            # Only the type of the error: its text may quote what was sent.
            problem = f"{self._name} didn't answer: {type(error).__name__}. It will be retried automatically."
            raise DeliveryFailed(problem) from None

    def _read_refusal(self, error: HTTPError) -> str:
        """What the pager says is wrong, on one line, without the key."""
        try:
            found = _read_json(read_bounded(error, MAX_ANSWER_BYTES))
        except (OSError, HTTPException, ValueError):
            return ""
        said = "; ".join(_errors_in(found)).replace(self._key.get_secret_value() or "\0", "…")
        return one_line(said, _MAX_SAID)

    def _refused(self, status: int, headers: Mapping[str, str], said: str) -> DeliveryFailed:
        problem = f"{self._name} answered {status}{f' ({said})' if said else ''}."
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            pause = _read_pause(headers)
            return DeliveryFailed(f"{problem} It will be retried automatically.", retry_after=pause)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return DeliveryFailed(f"{problem} {self._fixes.unauthorised}", retry_after=FIX_PAUSE)
        if status == HTTPStatus.NOT_FOUND:
            return DeliveryFailed(f"{problem} {self._fixes.not_found}", retry_after=FIX_PAUSE)
        if status >= _SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            return DeliveryFailed(f"{problem} It will be retried automatically.")
        if status < HTTPStatus.BAD_REQUEST:
            return DeliveryFailed(f"{problem} Redirects aren't followed.", retry_after=FIX_PAUSE)
        # The same page would be refused again, so it waits where an operator sees it.
        return DeliveryFailed(f"{problem} {self._fixes.not_found}", is_final=True)


def _headers(more: Mapping[str, str] | None) -> dict[str, str]:
    return {"content-type": "application/json", "user-agent": "Countersign", **(more or {})}


def _read_json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(body) if body else {}
    except RecursionError as error:
        raise ValueError("too deep") from error


def _errors_in(found: object) -> list[str]:
    """The errors that an answer names. PagerDuty has a list of texts, incident.io one of objects."""
    if not isinstance(found, dict):
        return []
    # Its REST API wraps the list in an object.
    inner = found["error"] if isinstance(found.get("error"), dict) else found
    errors = inner.get("errors")
    said = (
        [each.get("message") if isinstance(each, dict) else each for each in errors[:3]]
        if isinstance(errors, list)
        else []
    )
    return [each for each in said if isinstance(each, str)]


def _read_pause(headers: Mapping[str, str]) -> timedelta:
    lower = {name.lower(): value for name, value in headers.items()}
    for name in ("retry-after", "ratelimit-reset"):
        text = lower.get(name, "").strip()
        if text.isascii() and text.isdecimal():
            return min(timedelta(seconds=max(int(text[:9]), 1)), _MAX_PAUSE)
    return RATE_LIMIT_PAUSE

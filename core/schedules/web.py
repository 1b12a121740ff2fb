"""How sources are asked: one GET or POST with one deadline, to the configured address and nowhere else.

Invariant: a redirect isn't followed, as the request carries a key or has a secret address. No error has an address, a
key or the text of another error in it. An answer is read up to a limit.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Final, cast
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import SecretStr

from core.errors import InvalidInput
from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.targets.secret_source import is_secret_source, read_secret
from core.targets.timed_http import TimedHttp, TimedHttps
from core.targets.web_address import check_web_address

STEP_SECONDS: Final = 5.0
"""How long each step of a call may take, such as connecting or one part of the answer."""
WHOLE_CALL_SECONDS: Final = 10.0
MAX_JSON_BYTES: Final = 4 * 1024 * 1024
_MAX_PAUSE_SECONDS: Final = 3600
_SECONDS: Final = "%Y-%m-%dT%H:%M:%SZ"
_PART: Final = 65_536
_PAUSES: Final = ("ratelimit-reset", "retry-after")
"""Seconds to wait: PagerDuty says the first, others the second."""
_NAMES_NO_HOST: Final = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What came back. Headers have names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _AnswerRedirects(HTTPRedirectHandler):
    """Returns a redirect as the response."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: don't follow."""


class ScheduleWeb:
    """Asks one system, called `name` in errors. Safe for threads: it keeps nothing between calls."""

    def __init__(
        self, name: str, *, step_seconds: float = STEP_SECONDS, call_seconds: float = WHOLE_CALL_SECONDS
    ) -> None:
        self._name = f"{name[:1].upper()}{name[1:]}" if name.startswith("the ") else name
        times = step_seconds, call_seconds
        self._opener = build_opener(_AnswerRedirects, TimedHttp(*times), TimedHttps(*times))

    def call(
        self, url: str, headers: Mapping[str, str], *, body: bytes | None = None, max_bytes: int = MAX_JSON_BYTES
    ) -> WebAnswer:
        """The answer, whatever its status below 500 but 429. Raises ScheduleUnavailable and ScheduleRefused."""
        try:
            check_web_address(url, "its address")
            sent = {"user-agent": "Countersign", **headers}
            # The scheme was checked.
            request = Request(url, data=body, headers=sent, method="POST" if body is not None else "GET")  # noqa: S310
            with self._opener.open(request) as answer:
                found = _read(answer.status, answer, max_bytes)
        except HTTPError as error:
            with error:
                found = self._read_failure(error, max_bytes)
        except InvalidInput as error:
            raise ScheduleRefused(f"{self._name}: {error.problem}", error.fix) from None
        except (OSError, HTTPException, ValueError) as error:
            raise self._unanswered(error) from None
        return self._checked(found)

    def _read_failure(self, error: HTTPError, max_bytes: int) -> WebAnswer:
        try:
            # An HTTPError is a wrapper around the response, without read1.
            return _read(error.code, cast(HTTPResponse, error.fp), max_bytes)
        except (OSError, HTTPException, ValueError):
            return WebAnswer(error.code, _lower(error.headers), b"")

    def _checked(self, answer: WebAnswer) -> WebAnswer:
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ScheduleUnavailable(f"{self._name} is rate-limiting Countersign", read_pause(answer.headers))
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ScheduleUnavailable(f"{self._name} answered {answer.status}", read_pause(answer.headers))
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST and answer.status != _UNCHANGED:
            fix = "Redirects aren't followed: set the final address."
            raise ScheduleRefused(f"{self._name} answered {answer.status}, which leads elsewhere", fix)
        return answer

    def _unanswered(self, error: Exception) -> ScheduleUnavailable:
        # Only the type of the error: its text may quote the address or the key.
        cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
        if isinstance(cause, _TooLong):
            return ScheduleUnavailable(f"{self._name} sent an answer that is too long")
        if isinstance(cause, TimeoutError):
            return ScheduleUnavailable(f"{self._name} is too slow")
        if isinstance(cause, _NAMES_NO_HOST):
            return ScheduleUnavailable(f"{self._name} can't be reached: {type(cause).__name__}")
        return ScheduleUnavailable(f"{self._name} gave no answer: {type(cause).__name__}")


_UNCHANGED: Final = HTTPStatus.NOT_MODIFIED


class _TooLong(ValueError):
    """The answer is longer than may be."""


def read_pause(headers: Mapping[str, str]) -> timedelta | None:
    """How long the other side asks to wait, within an hour. A date would rest on its clock, so it counts as none."""
    for name in _PAUSES:
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdecimal():
            return timedelta(seconds=min(max(int(text[:9]), 1), _MAX_PAUSE_SECONDS))
    return None


def read_key(source: str, name: str, what: str = "key") -> SecretStr:
    """The key that is there now, so that a new one counts at the next call. Raises ScheduleRefused when it can't be."""
    try:
        key = read_secret(source)
    except InvalidInput as error:
        raise ScheduleRefused(f"The {what} of {name} is missing: {error.problem}", error.fix) from None
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text:
        fix = f"Put only the {what} into {source}, as you copied it from there."
        raise ScheduleRefused(f"What is in {source} can't be the {what} of {name}", fix)
    return key


def read_address(source: str, name: str) -> str:
    """The address: as it stands there, or in a variable or a file. Raises ScheduleRefused when it can't be read."""
    return read_key(source, name, "address").get_secret_value() if is_secret_source(source) else source


def write_window(since: datetime, until: datetime) -> tuple[str, str]:
    """A time as services take it: in whole seconds, so a little more than was asked for."""
    end = until if until.microsecond == 0 else until + timedelta(seconds=1)
    start, end = (at.astimezone(UTC) for at in (since, end))
    return f"{start:{_SECONDS}}", f"{end:{_SECONDS}}"


def _read(status: int, answer: HTTPResponse, max_bytes: int) -> WebAnswer:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_PART):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise _TooLong
    return WebAnswer(status, _lower(answer.headers), b"".join(parts))


def _lower(headers: Message) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}

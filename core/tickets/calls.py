"""One HTTP call to a ticket system: bounded in time and in size.

Invariant: what carries a secret is sent to the configured address and nowhere else: no redirect is followed. A problem
names the type of an error only, because its text may quote an address or a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from core.targets.timed_http import TimedHttp, TimedHttps, read_bounded

_MAX_PAUSE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a system answered. The names of the headers are in small letters."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def retry_after(self) -> timedelta | None:
        """How long it asks not to be asked again; a date would rest on its clock, and counts as nothing said."""
        text = self.headers.get("retry-after", "").strip()
        if not (text.isascii() and text.isdecimal()):
            return None
        return timedelta(seconds=min(int(text[:9]), _MAX_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There was none in time, or none that could be read."""

    why: str


class TimedCalls:
    """Calls that end within `seconds` together. Not safe for threads."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = monotonic() + seconds

    def ask(self, request: Request, max_bytes: int) -> HttpAnswer | NoAnswer:
        """What it answers. Never raises for what the other side does."""
        left = self._ends_at - monotonic()
        if left <= 0:
            return NoAnswer(TimeoutError.__name__)
        opener = build_opener(_NoRedirects, TimedHttp(left, left), TimedHttps(left, left))
        try:
            with opener.open(request) as answer:
                return _read(answer, max_bytes)
        except HTTPError as error:
            return _read_error(error, max_bytes)
        except (OSError, HTTPException, ValueError) as error:
            return _unanswered(error)


class _NoRedirects(HTTPRedirectHandler):
    """Returns a redirect as the answer."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: don't follow."""


def _read_error(error: HTTPError, max_bytes: int) -> HttpAnswer | NoAnswer:
    with error:
        try:
            return _read(error, max_bytes)
        except (OSError, HTTPException, ValueError) as broken:
            return _unanswered(broken)


def _read(answer: HTTPResponse | HTTPError, max_bytes: int) -> HttpAnswer:
    body = read_bounded(answer, max_bytes)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    status = answer.code if isinstance(answer, HTTPError) else answer.status
    return HttpAnswer(status, body, headers)


def _unanswered(error: Exception) -> NoAnswer:
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    return NoAnswer(type(cause).__name__)

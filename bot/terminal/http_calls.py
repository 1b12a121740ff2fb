"""One HTTP call to the server: what is sent, and what its answer may be.

Invariant: the token goes to the configured server and nowhere else: no redirect is followed, TLS certificates are
checked, and an unencrypted address is refused before. What isn't Countersign's JSON is an error in one line. No error
contains the token or a body, and nothing from the server a character that a terminal would obey.
"""

from __future__ import annotations

import json
import platform
import ssl
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import urllib3
from pydantic import SecretStr, ValidationError

from bot.api.problems import CONTENT_TYPE, Problem, ProblemCode
from bot.terminal.errors import NotPaired, ServerFailed, ServerRefused
from core.clock import Clock, SystemClock
from core.targets.words import one_line

T = TypeVar("T")
CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
_CHECK_SERVER: Final = "Check the server's address (COUNTERSIGN_SERVER, or: countersign login SERVER)."
_TRY_AGAIN: Final = "Try again in a moment."
_MAX_REDIRECT: Final = 399
_MIN_REDIRECT: Final = 300
_MIN_PROBLEM: Final = 400
_MIN_SERVER_ERROR: Final = 500
_MAX_PAUSE_SECONDS: Final = 3600.0
_MAX_NUMBER: Final = 2**31
_OBEYED: Final = {
    each: " "
    for each in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(each) not in "\n\t"
}
"""Escapes, and the marks that turn the reading direction."""
_NOT_PAIRED: Final[Mapping[str, str]] = {
    ProblemCode.UNAUTHORIZED: "The server doesn't know this terminal's token",
    ProblemCode.PAIRING_EXPIRED: "This terminal's pairing has expired or was ended",
}


@dataclass(frozen=True, slots=True)
class HttpCall:
    """What is sent. With `is_repeatable`, the same call can be made twice and acts once."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] | None = None
    read_seconds: float = READ_SECONDS
    is_repeatable: bool = False


class HttpServer:
    """A server and the token for it. Safe to use from one thread."""

    def __init__(self, server: str, token: SecretStr | None = None, clock: Clock | None = None) -> None:
        self.server = server
        self._token = token
        self._clock = clock or SystemClock()
        self._pool = _open_pool(server)

    def call(self, call: HttpCall) -> Any:  # noqa: ANN401 - JSON enters here
        """The answer's JSON; None if it has no body. Raises ServerFailed, ServerRefused or NotPaired."""
        body = json.dumps(call.body).encode() if call.body is not None else None
        headers = {"User-Agent": user_agent(), "Accept": "application/json", **(call.headers or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        try:
            answer, content = _within(call.read_seconds + CONNECT_SECONDS, lambda: self._exchange(call, body, headers))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # Without its cause, which may quote headers.
            raise self._unreachable(error, call) from None
        return self._read(answer.status, answer.headers, content)

    def _exchange(
        self, call: HttpCall, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        answer = self._pool.request(
            call.method,
            f"{self.server}{call.path}",
            body=body,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=call.read_seconds),
        )
        with closing(answer):
            # Nothing packed was asked for, and a few bytes could become very many.
            content = b""
            while len(content) <= MAX_ANSWER_BYTES and (
                more := answer.read(MAX_ANSWER_BYTES + 1, decode_content=False)
            ):
                content += more
            return answer, content

    def _read(self, status: int, headers: Mapping[str, str], content: bytes) -> Any:  # noqa: ANN401 - JSON enters here
        if _MIN_REDIRECT <= status <= _MAX_REDIRECT:
            raise ServerFailed(
                f"{self.server} answers with a redirect{_target_of(headers)}; it was not followed, so that your token "
                "goes nowhere else",
                _CHECK_SERVER,
            )
        if not content and status < _MIN_PROBLEM:
            return None
        found = _read_json(headers, content)
        if status >= _MIN_PROBLEM:
            raise self._problem(status, headers, found)
        if found is None:
            raise self._not_ours(status)
        return found

    def _problem(self, status: int, headers: Mapping[str, str], found: object) -> Exception:
        try:
            problem = Problem.model_validate(found)
        except ValidationError:
            return self._not_ours(status, _read_retry_after(headers, self._clock))
        detail = one_line(problem.detail) or one_line(problem.title) or f"status {status}"
        if (text := _NOT_PAIRED.get(problem.code)) is not None:
            return NotPaired(text)
        retry_after = _read_retry_after(headers, self._clock)
        if retry_after is None and problem.retry_after is not None:
            retry_after = float(problem.retry_after)
        if problem.code == ProblemCode.UNAVAILABLE or status >= _MIN_SERVER_ERROR:
            unknown = problem.outcome_unknown is True
            return ServerFailed(
                f"{self.server}: {detail.rstrip('.')}", _TRY_AGAIN, is_outcome_unknown=unknown, retry_after=retry_after
            )
        return ServerRefused(problem.model_copy(update={"detail": detail, "status": status}), retry_after)

    def _not_ours(self, status: int, retry_after: float | None = None) -> ServerFailed:
        return ServerFailed(
            f"{self.server} gave an answer that isn't Countersign's (status {status}, not its JSON): a proxy's page, "
            "or another server",
            _CHECK_SERVER,
            is_outcome_unknown=status >= _MIN_SERVER_ERROR,
            retry_after=retry_after,
        )

    def _unreachable(self, error: Exception, call: HttpCall) -> ServerFailed:
        problem, was_sent = describe_failure(error)
        return ServerFailed(
            f"{self.server} can't be reached: {problem}" if not was_sent else f"{self.server}: {problem}",
            _CHECK_SERVER if not was_sent else _TRY_AGAIN,
            is_outcome_unknown=was_sent and call.method != "GET",
        )


def user_agent() -> str:
    """The program as the person who confirms a pairing sees it."""
    try:
        installed = version("countersign")
    except PackageNotFoundError:
        installed = "unknown"
    return f"countersign/{installed} ({platform.system().lower() or sys.platform})"


def describe_failure(error: Exception) -> tuple[str, bool]:
    """What failed, in a few words, and whether the server may have got the call nonetheless."""
    match error:
        case urllib3.exceptions.ProxyError():
            found = "the proxy refused the connection (HTTPS_PROXY)", False
        case urllib3.exceptions.SSLError():
            found = _describe_tls(error), False
        case urllib3.exceptions.NameResolutionError():
            found = "its name can't be resolved", False
        case urllib3.exceptions.NewConnectionError():
            cause = error.__cause__
            text = cause.strerror if isinstance(cause, OSError) and cause.strerror else "no connection"
            found = text.lower(), False
        case urllib3.exceptions.ConnectTimeoutError():
            found = f"no connection within {CONNECT_SECONDS:.0f} seconds", False
        case urllib3.exceptions.ReadTimeoutError() | TimeoutError():
            found = "no answer in time", True
        case _:
            found = "the connection was cut before the whole answer came", True
    return found


def _describe_tls(error: urllib3.exceptions.SSLError) -> str:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its TLS certificate isn't valid: {one_line(cause.verify_message).rstrip('.')}"
    return "the TLS connection failed"


def _open_pool(server: str) -> urllib3.PoolManager:
    parts = urlsplit(server)
    proxy = urllib.request.getproxies().get(parts.scheme)
    # An unencrypted call never leaves this machine or its private network, so not to a proxy either.
    if proxy is None or parts.scheme != "https" or urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(num_pools=1, maxsize=1, ssl_context=ssl.create_default_context())
    return urllib3.ProxyManager(proxy, num_pools=1, maxsize=1, ssl_context=ssl.create_default_context())


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`. A server that sends a byte now and then would keep it, and an SDK, for hours."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            done.set_exception(error)

    # Nobody waits for it when the process ends.
    threading.Thread(target=run, name="call", daemon=True).start()
    return done.result(seconds)


def _read_json(headers: Mapping[str, str], content: bytes) -> object:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in {"application/json", CONTENT_TYPE} or len(content) > MAX_ANSWER_BYTES:
        return None
    try:
        return _plain(json.loads(content))
    except (ValueError, RecursionError):
        return None


def _plain(found: object) -> object:
    """The same without characters that a terminal obeys. Raises ValueError for a number that no time can be made of."""
    match found:
        case str():
            return found.translate(_OBEYED)
        case list():
            return [_plain(each) for each in found]
        case dict():
            return {name: _plain(each) for name, each in found.items()}
        case int() | float() if not abs(found) <= _MAX_NUMBER:
            raise ValueError("no answer of Countersign's has such a number")
    return found


def _target_of(headers: Mapping[str, str]) -> str:
    try:
        host = urlsplit(headers.get("Location", "")).hostname
    except ValueError:
        host = None
    return f" to {one_line(host)}" if host else ""


def _read_retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), _MAX_PAUSE_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        return min(max((moment - clock.now()).total_seconds(), 0.0), _MAX_PAUSE_SECONDS)
    except (ValueError, TypeError):
        return None

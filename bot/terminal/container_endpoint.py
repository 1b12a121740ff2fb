"""An endpoint on the loopback address that gives fresh credentials to one command, as ECS does to containers.

Invariant: only who has the token gets anything, and a page in a browser gets nothing even then, because the Host header
must be the endpoint's own address. However many ask, one call to the server is under way. An answer comes before the
SDKs give up, which is after two seconds; while the server is slow, the last credentials serve as long as they live.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from bot.terminal.credential_output import write_for_container
from bot.terminal.credentials_cache import CachedCredentials
from bot.terminal.errors import ServerFailed, TerminalError
from core.clock import Clock, SystemClock

PATH: Final = "/credentials"
ANSWER_SECONDS: Final = 1.5
_LOOPBACK: Final = "127.0.0.1"
_MAX_CALLERS: Final = 32
"""How many may be about to show the token. Every user of this machine can connect: the slowest makes room."""
_READ_SECONDS: Final = 5.0
_TOKEN_BYTES: Final = 32


class RenewedCredentials:
    """The credentials of the command, renewed in the background when they have to be."""

    def __init__(
        self, ask: Callable[[], CachedCredentials], first: CachedCredentials, clock: Clock | None = None
    ) -> None:
        self._ask = ask
        self._last = first
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._asking: Future[CachedCredentials] | None = None

    def get(self, patience_seconds: float = ANSWER_SECONDS) -> CachedCredentials:
        """Fresh credentials, or the last ones while the server is slow. Raises TerminalError."""
        with self._lock:
            if self._last.is_fresh(self._clock.now()):
                return self._last
            asking = self._begin()
        try:
            return asking.result(patience_seconds)
        except TimeoutError:
            if self._last.is_alive(self._clock.now()):
                return self._last
            raise ServerFailed("The server hasn't answered yet", "Try again in a few seconds.") from None

    def _begin(self) -> Future[CachedCredentials]:
        if self._asking is None:
            self._asking = Future()
            # Nobody waits for it when the command ends.
            threading.Thread(target=self._run, args=(self._asking,), name="credentials-renewal", daemon=True).start()
        return self._asking

    def _run(self, asking: Future[CachedCredentials]) -> None:
        try:
            found = self._ask()
        except Exception as error:  # noqa: BLE001 - it's raised where somebody waits for it
            with self._lock:
                self._asking = None
            asking.set_exception(error)
        else:
            with self._lock:
                self._asking, self._last = None, found
            asking.set_result(found)


class ContainerEndpoint:
    """The endpoint, for as long as it is entered."""

    def __init__(self, credentials: RenewedCredentials) -> None:
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._server = _EndpointServer(credentials, self.token)
        self._thread = threading.Thread(
            # It looks this often whether it should stop, and a command's end waits for it.
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="credentials-endpoint", daemon=True
        )  # fmt: skip

    @property
    def url(self) -> str:
        """What AWS_CONTAINER_CREDENTIALS_FULL_URI has to be."""
        return f"http://{self._server.host}{PATH}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _EndpointServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, credentials: RenewedCredentials, token: str) -> None:
        super().__init__((_LOOPBACK, 0), _EndpointHandler)
        self.credentials = credentials
        self.token = token.encode()
        self.host = f"{_LOOPBACK}:{self.server_address[1]}"
        self._lock = threading.Lock()
        self._unproven: dict[Any, None] = {}
        """The connections that haven't shown the token, the oldest first."""

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own
        with self._lock:
            self._unproven[request] = None
            oldest = next(iter(self._unproven)) if len(self._unproven) > _MAX_CALLERS else None
            self._unproven.pop(oldest, None)
        if oldest is not None:
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.prove(request)

    def prove(self, request: Any) -> None:  # noqa: ANN401 - socketserver's own
        """It has shown the token, or it's over: it makes no room for others."""
        with self._lock:
            self._unproven.pop(request, None)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: standard error is the command's, and a caller that hangs up is nobody's concern."""


class _EndpointHandler(BaseHTTPRequestHandler):
    timeout = _READ_SECONDS
    server: _EndpointServer
    server_version = "countersign"
    sys_version = ""

    def do_GET(self) -> None:
        """Give credentials, or say in the form of the SDKs why there are none."""
        offered = self.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(offered, self.server.token):
            self._refuse(HTTPStatus.FORBIDDEN, "Unauthorized", "the token is wrong or missing")
        elif self.headers.get_all("Host") != [self.server.host]:
            self._refuse(HTTPStatus.FORBIDDEN, "Unauthorized", "the Host header is wrong")
        elif self.path != PATH:
            self._refuse(HTTPStatus.NOT_FOUND, "NotFound", f"the path is {PATH}")
        else:
            self.server.prove(self.request)
            self._give()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Log nothing: standard error is the command's."""

    def _give(self) -> None:
        try:
            text = write_for_container(self.server.credentials.get().fields)
        except ServerFailed as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", str(error))
        except TerminalError as error:
            self._refuse(HTTPStatus.FORBIDDEN, "AccessDenied", str(error))
        else:
            self._send(HTTPStatus.OK, text)

    def _refuse(self, status: HTTPStatus, code: str, problem: str) -> None:
        self._send(status, json.dumps({"code": code, "message": f"countersign: {problem}"}))

    def _send(self, status: HTTPStatus, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

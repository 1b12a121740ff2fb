"""HTTP connections whose whole call has one deadline, however slowly the other side sends each part.

Invariant: nothing is sent after the deadline, and nothing is waited for; a name that took too long to resolve is not
connected to. A peer that sends one byte at a time, of its headers too, gains no time by it.
"""

from __future__ import annotations

import io
import socket
import time
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Final, cast
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPSHandler, Request

from core.tls import trusted_context

CALL_SECONDS: Final = 20.0
"""How long a call may take in all; it stays within CALL_TIMEOUT."""


def read_bounded(answer: HTTPResponse | HTTPError, max_bytes: int) -> bytes:
    """The body of an answer. Raises ValueError if it is too long, OSError if it takes too long or was cut."""
    # An HTTPError is a wrapper around the response, without read1.
    response = cast(HTTPResponse, answer.fp) if isinstance(answer, HTTPError) else answer
    parts: list[bytes] = []
    size = 0
    while part := response.read1(max_bytes + 1):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise ValueError("too long")
    return b"".join(parts)


class Deadline:
    """A moment from which on nothing is waited for. Each step may take `step_seconds` at most."""

    def __init__(self, call_seconds: float, step_seconds: float) -> None:
        self._at = time.monotonic() + call_seconds
        self._step_seconds = step_seconds

    def remaining(self) -> float:
        """How long the next step may take. Raises TimeoutError when none may begin any more."""
        left = min(self._at - time.monotonic(), self._step_seconds)
        if left <= 0:
            raise TimeoutError
        return left


class _TimedReader(io.RawIOBase):
    """What a socket sends, read up to a deadline."""

    def __init__(self, raw: socket.SocketIO, connection: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer that can be written
        self._connection.settimeout(self._deadline.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """A response that is read up to a deadline, from its first byte on."""

    def __init__(self, connection: socket.socket, *, deadline: Deadline, method: str | None = None) -> None:
        super().__init__(connection, method=method)
        raw = cast(socket.SocketIO, self.fp.detach())
        self.fp = io.BufferedReader(_TimedReader(raw, connection, deadline))


def _connect(deadline: Deadline, address: tuple[str, int], *_: object, **__: object) -> socket.socket:
    """Try each address of the host, all of them up to the deadline."""
    problem: OSError | None = None
    for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.remaining())
            connection.connect(place)
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem or OSError("the host has no address")


class _TimedConnection(HTTPConnection):
    """A connection for one call."""

    def __init__(self, host: str, *, deadline: Deadline, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(host, **options)
        self._deadline = deadline
        # http.client has these two places for it.
        self.response_class = partial(_TimedResponse, deadline=deadline)  # type: ignore[assignment]
        self._create_connection = partial(_connect, deadline)

    def send(self, data: Any) -> None:  # noqa: ANN401 - whatever http.client sends
        """Send it, unless the deadline is over."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self._deadline.remaining())
        super().send(data)


class _TimedSecureConnection(_TimedConnection, HTTPSConnection):
    """The same, encrypted. `_TimedConnection` hands its options on to HTTPSConnection."""


class TimedHttp(HTTPHandler):
    """What opens `http://` for urllib, with a deadline for each call."""

    def __init__(self, step_seconds: float, call_seconds: float = CALL_SECONDS) -> None:
        super().__init__()
        self._seconds = call_seconds, step_seconds

    def http_open(self, req: Request) -> HTTPResponse:
        """The response to one request."""
        return self.do_open(cast(Any, _TimedConnection), req, deadline=Deadline(*self._seconds))


class TimedHttps(HTTPSHandler):
    """The same for `https://`. The certificate is checked, as urllib does."""

    def __init__(self, step_seconds: float, call_seconds: float = CALL_SECONDS) -> None:
        super().__init__(context=trusted_context())
        self._seconds = call_seconds, step_seconds

    def https_open(self, req: Request) -> HTTPResponse:
        """The response to one request."""
        deadline = Deadline(*self._seconds)
        return self.do_open(cast(Any, _TimedSecureConnection), req, deadline=deadline, context=trusted_context())

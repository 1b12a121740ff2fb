"""A server of schedules: what the fakes of PagerDuty, incident.io and a calendar feed have in common.

Invariant: a request that the real service would not understand is a violation, and fails the test at its end.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True)
class ServedAnswer:
    """What is sent back. One that hangs never comes."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass(frozen=True)
class ServedCall:
    """What was asked."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def get(self, name: str) -> str | None:
        """A parameter of the query."""
        return dict(self.query).get(name)

    def all(self, name: str) -> list[str]:
        """A parameter that may be there several times."""
        return [value for each, value in self.query if each == name]


@dataclass(frozen=True)
class RosterPerson:
    """Somebody on a schedule."""

    id: str
    name: str
    email: str | None = None
    slack_id: str | None = None


@dataclass(frozen=True)
class RosterShift:
    """When somebody is on call. None: always."""

    person: RosterPerson | None
    start: datetime | None
    end: datetime | None


def cut_out(shifts: list[RosterShift], start: datetime, end: datetime) -> list[RosterShift]:
    """The shifts without what an override takes over."""
    left = []
    for each in shifts:
        assert each.start
        assert each.end
        parts = (each.start, min(each.end, start)), (max(each.start, end), each.end)
        left += [RosterShift(each.person, *part) for part in parts if part[0] < part[1]]
    return left


def as_json(value: object, status: int = 200) -> ServedAnswer:
    """An answer of JSON."""
    return ServedAnswer(status, json.dumps(value).encode(), {"content-type": "application/json"})


class ScheduleServer(ABC):
    """Serves on a loopback port. Use it as a context."""

    def __init__(self) -> None:
        self.calls: list[ServedCall] = []
        self.violations: list[str] = []
        self.faults: deque[ServedAnswer] = deque()
        """What goes wrong with the next calls, instead of an answer."""
        self.forbidden = False
        """Whether the key may see nothing."""
        self.clock_is_off = timedelta()
        """The service's own clock, which must not matter."""
        self._over = threading.Event()
        self._failing_call = 0

    def fail_call(self, number: int) -> None:
        """Fail at this call, counted from the next one on; the others are answered."""
        self._failing_call = len(self.calls) + number

    @abstractmethod
    def answer(self, call: ServedCall) -> ServedAnswer:
        """What the service answers."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.violations == []

    def take(self, call: ServedCall) -> ServedAnswer:
        """The fault that is due, or the answer."""
        self.calls.append(call)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and fault.hangs:
            self._over.wait()
        if len(self.calls) == self._failing_call:
            return ServedAnswer(500)
        return fault or self.answer(call)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = tuple(parse_qsl(parts.query, keep_blank_values=True))
                found = served.take(ServedCall(self.command, parts.path, query, headers, body))
                self._send(found)

            def _send(self, found: ServedAnswer) -> None:
                try:
                    self.send_response(found.status)
                    for name, value in {**found.headers, "content-length": str(len(found.body))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(found.body)
                except OSError:
                    # The other side has stopped waiting.
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:  # noqa: ANN401 - http.server's signature
                """Say nothing."""

        return Handler

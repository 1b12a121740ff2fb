"""A server that answers exactly as a test says, in the order it says, and notes what it was sent.

Invariant: a call that the script doesn't have next is answered with status 599 and fails the test at the end, and so
does a step that was never called.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel

from bot.api.problems import CONTENT_TYPE, Problem, ProblemCode

JSON = "application/json"


@dataclass(frozen=True)
class ScriptedAnswer:
    """What is sent back. With `cut_after`, the connection is closed after so many bytes of the body; -1: at once."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None


@dataclass(frozen=True)
class SeenCall:
    """What was sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class _Step:
    method: str
    path: str
    answer: ScriptedAnswer
    act: Callable[[], object] | None


class ScriptedServer:
    """Use it as a context."""

    def __init__(self) -> None:
        self.calls: list[SeenCall] = []
        self._steps: deque[_Step] = deque()
        self._wrong: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def expect(
        self, call: str, answer: ScriptedAnswer | BaseModel, *, act: Callable[[], object] | None = None, times: int = 1
    ) -> None:
        """The next call is this one, such as `GET /v1/me`. `act` runs before its answer is sent."""
        method, _, path = call.partition(" ")
        given = answer if isinstance(answer, ScriptedAnswer) else as_json(answer)
        self._steps.extend([_Step(method, path, given, act)] * times)

    def check(self) -> None:
        """Every step was called, and nothing else."""
        assert self._wrong == []
        assert [f"{step.method} {step.path}" for step in self._steps] == []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, seen: SeenCall) -> ScriptedAnswer:
        self.calls.append(seen)
        if not self._steps or (self._steps[0].method, self._steps[0].path) != (seen.method, seen.path):
            self._wrong.append(f"{seen.method} {seen.path}")
            return ScriptedAnswer(599, b"{}")
        step = self._steps.popleft()
        if step.act is not None:
            step.act()
        return step.answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two packets: without this, the second waits for 40 ms.
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(sent) if sent else None
                seen = SeenCall(self.command, parts.path, parts.query, dict(self.headers), body)
                found = script.answer(seen)
                if found.cut_after == -1:
                    self.close_connection = True
                    return
                self.send_response_only(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", found.content_type)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body if found.cut_after is None else found.body[: found.cut_after])
                self.close_connection = found.cut_after is not None

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the standard library's names

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def as_json(model: BaseModel, status: int = 200) -> ScriptedAnswer:
    """The model as the server sends it."""
    return ScriptedAnswer(status, model.model_dump_json().encode())


def refusal(code: ProblemCode, detail: str, *, status: int | None = None, **more: object) -> ScriptedAnswer:
    """A problem as the server sends it."""
    problem = Problem.of(code, "No", detail).model_copy(update=more)
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}
    return ScriptedAnswer(status or problem.status, problem.to_json(), CONTENT_TYPE, headers)


CUT = ScriptedAnswer(cut_after=-1)
"""The connection is closed before any answer."""

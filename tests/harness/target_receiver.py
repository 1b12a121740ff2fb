"""The example receiver of deploy/, served as a webhook and as a Lambda function, with faults where a test wants them.

Invariant: what is served is the file that people copy. Each order is also verified by the reference library of Standard
Webhooks, or, for Lambda, by botocore's model of Invoke.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote

from standardwebhooks import Webhook

from tests.harness.service_model import ServiceModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType

_FILE = Path(__file__).parents[2] / "deploy" / "webhook-receiver" / "receiver.py"
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0YXJnZXQgaW4gdGVzdHM="
FUNCTION = "countersign-target"
_RAISED = b'{"errorMessage": "boom", "state": "held"}'
"""What a function raised; a runtime of one's own may put anything into it."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one order. "lost": done, no answer. "answer": not done, this answer instead."""

    kind: Literal["lost", "answer", "raised"]
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@cache
def example() -> ModuleType:
    """The file that people copy, as a module."""
    spec = importlib.util.spec_from_file_location("countersign_example_receiver", _FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Served(ABC):
    """A server on a loopback port, and the faults of the next orders."""

    def __init__(self) -> None:
        self.system = example().System()
        self.receiver = example().Receiver(self.system)
        self.orders: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.violations: list[str] = []
        self.faults: dict[str, deque[Fault]] = {}
        self.before: Callable[[dict[str, Any]], object] = lambda _order: None
        """Called with each order of a webhook before it is followed; `after`, before it is answered."""
        self.after: Callable[[dict[str, Any]], object] = lambda _order: None

    def fail(self, op: str, *faults: Fault) -> None:
        """The next orders of this kind go wrong, in this order."""
        self.faults.setdefault(op, deque()).extend(faults)

    def next_fault(self, op: str) -> Fault | None:
        """The fault of this order."""
        waiting = self.faults.get(op)
        return waiting.popleft() if waiting else None

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.violations == []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""


class WebhookReceiver(_Served):
    """The example as a webhook."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """The example's own handler, with a look before it and faults after it."""
        served = self
        theirs: Any = example().make_handler(self.receiver, SECRET)

        class Handler(theirs):  # type: ignore[misc]  # the base is loaded from a file
            rfile: Any
            is_lost = False

            def do_POST(self) -> None:  # noqa: N802 - http.server's name
                body = self.rfile.read(int(self.headers["content-length"]))
                self.order = order = _verified(served, body, dict(self.headers.items()))
                served.before(order)
                fault = served.next_fault(order["op"])
                if fault and fault.kind == "answer":
                    _write(self, fault.status, fault.body, fault.headers)
                    return
                self.rfile = _Again(body)
                self.is_lost = fault is not None
                super().do_POST()

            def do_GET(self) -> None:  # noqa: N802 - http.server's name
                served.orders.append({"op": "GET"})
                _write(self, 404, b"", ())

            def reply(self, status: int, answer: dict[str, Any]) -> None:
                served.after(self.order)
                if self.is_lost:
                    self.close_connection = True
                    return
                super().reply(status, answer)

        return Handler


class DrippingReceiver:
    """Answers one order with `begun`, and then a byte at a time, each soon after the last, until it is hung up on."""

    MAX_BYTES = 500

    def __init__(self, begun: bytes) -> None:
        self._begun = begun
        self._ends = threading.Event()
        self.was_hung_up_on = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65_536)
            try:
                connection.sendall(self._begun)
                for _ in range(self.MAX_BYTES):
                    self._ends.wait(0.02)
                    connection.sendall(b"a")
            except OSError:
                self.was_hung_up_on = True


class LambdaInvoke(_Served):
    """AWS Lambda's Invoke, with the example as the function."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """A handler that takes what boto3 sends."""
        served = self
        model = ServiceModel("lambda", has_prefix=False)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                function = unquote(self.path.removeprefix("/2015-03-31/functions/").removesuffix("/invocations"))
                sent = {"FunctionName": function, "InvocationType": self.headers["X-Amz-Invocation-Type"]}
                model.check_input("Invoke", sent)
                if function != FUNCTION or "Authorization" not in self.headers:
                    served.violations.append(f"{function} was invoked")
                order = json.loads(body)
                served.orders.append(order)
                fault = served.next_fault(order["op"])
                if fault and fault.kind == "answer":
                    _write(self, fault.status, fault.body, fault.headers)
                    return
                answer = example().handle_invoke(order, served.receiver)
                if fault and fault.kind == "lost":
                    self.close_connection = True
                    return
                raised = (("X-Amz-Function-Error", "Unhandled"),) if fault else ()
                _write(self, 200, _RAISED if fault else json.dumps(answer).encode(), raised)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


class _Again:
    """A body that was read already, to be read again."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.close: Callable[[], None] = lambda: None

    def read(self, size: int) -> bytes:
        """The body."""
        assert size == len(self._body)
        return self._body

    def readline(self, _: int) -> bytes:
        """No further request on this connection."""
        return b""


def _verified(served: _Served, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    lower = {name.lower(): value for name, value in headers.items()}
    Webhook(SECRET).verify(body.decode(), lower)
    order: dict[str, Any] = json.loads(body)
    served.orders.append(order)
    served.headers.append(lower)
    return order


def _write(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)

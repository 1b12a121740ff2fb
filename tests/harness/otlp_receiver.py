"""A collector of traces: takes OTLP over HTTP as protobuf and nothing else, and holds the spans that arrived.

Rules, by https://opentelemetry.io/docs/specs/otlp/#otlphttp: POST to /v1/traces, `application/x-protobuf`; an answer
is a serialized ExportTraceServiceResponse.
"""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_SECONDS = 60.0


class OtlpReceiver:
    """The collector. With `hangs`, it reads and never answers (`held` calls); with a `status`, it answers that."""

    def __init__(self, *, status: int = 200, hangs: bool = False) -> None:
        self._changed = threading.Condition()
        self._released = threading.Event()
        self.spans: list[Span] = []
        self.resources: list[Resource] = []
        self.calls = 0
        self.held = 0
        self.problems: list[str] = []
        self._status, self._hangs = status, hangs
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver._take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(receiver._status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="otlp-receiver", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for_call(self) -> None:
        """Until something was sent here."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.calls > 0, PATIENCE_SECONDS)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> bytes:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        export = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.calls += 1
            if (path, headers.get("content-type")) != ("/v1/traces", "application/x-protobuf"):
                self.problems.append(f"{path} {headers.get('content-type')}")
            for one in export.resource_spans:
                self.resources.append(one.resource)
                self.spans += [span for scope in one.scope_spans for span in scope.spans]
            self._changed.notify_all()
            self.held += self._hangs
        if self._hangs:
            self._released.wait(PATIENCE_SECONDS)
            self.held -= 1
        return bytes(ExportTraceServiceResponse().SerializeToString())

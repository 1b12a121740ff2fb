"""A Bolt app behind its own WSGI adapter, on a loopback port.

Invariant: as many requests are served at once as come in, so that two presses truly race.
"""

from __future__ import annotations

import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from slack_bolt.adapter.wsgi import SlackRequestHandler

if TYPE_CHECKING:
    from types import TracebackType

    from slack_bolt import App

_POLL_SECONDS = 0.02


class _BoltServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing for each request."""


class BoltOverHttp:
    """Serves the app at `url` while the context lasts."""

    def __init__(self, app: App) -> None:
        self._server = _BoltServer(("127.0.0.1", 0), _QuietHandler)
        self._server.set_app(SlackRequestHandler(app))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="bolt", daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}/slack/events"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

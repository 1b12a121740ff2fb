"""A web server on a loopback port, in a thread of its own.

Invariant: it listens on the loopback only and refuses what a browser sends for a page of another origin. `stop()`
leaves no thread and no socket behind.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from urllib.parse import urlsplit

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = "127.0.0.1"
_LOOPBACK_NAMES = frozenset({_HOST, "localhost", "[::1]"})


class LoopbackServer:
    """Serves one app once started; it has its port from the beginning. `port` 0 takes a free one.

    Raises OSError if the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server((_HOST, port))
        self.url = f"http://{_HOST}:{self._listener.getsockname()[1]}"
        self._server: _ThreadedUvicorn | None = None

    def start(self, app: ASGIApp) -> None:
        """Serve `app`. Returns once requests are answered."""
        config = uvicorn.Config(
            _SameOriginOnly(app),
            http="h11",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _ThreadedUvicorn(config, self._listener)
        self._server.start()

    def stop(self) -> None:
        """Close every connection and wait until the thread has ended. Idempotent."""
        if self._server is not None:
            self._server.stop()
        self._listener.close()

    async def drop_connection(self, request: Request) -> None:
        """Drop the connection of this request without an answer."""
        if self._server is not None:
            self._server.abort(request.scope["client"])
        # Until this message arrives, uvicorn would log the missing answer as our mistake.
        while (await request.receive())["type"] != "http.disconnect":
            pass


class _ThreadedUvicorn(uvicorn.Server):
    """uvicorn in a thread. It stops at once, where uvicorn's own loop polls every tenth of a second."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self.run, args=([listener],), name="local-slack", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._is_up.wait()

    async def main_loop(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._is_up.set()
        await self._end.wait()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection of this client. Call it on the server's own thread."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == tuple(client):
                connection.transport.abort()


class _SameOriginOnly:
    """Refuses requests from pages of another origin, and host names that were rebound to the loopback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        is_loopback = urlsplit(f"//{host}").netloc.rpartition(":")[0] in _LOOPBACK_NAMES or host in _LOOPBACK_NAMES
        if is_loopback and (origin is None or urlsplit(origin).netloc == host):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("not from here", 403)(scope, receive, send)

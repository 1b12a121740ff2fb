"""A web server in a thread: uvicorn, started and stopped by its owner.

Invariant: `start()` returns once the server listens, or raises. `stop()` accepts nothing more, finishes the answers in
progress, and returns within its time limit. The server changes no signal handler and no logging of the process.
"""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from bot.observability.metrics import TurnedAway
from bot.settings.addresses import Address
from bot.transport.connections import ConnectionLimits, ConnectionTable
from bot.transport.file_limit import ACCEPTED_AT_ONCE
from bot.transport.guarded_protocol import MAX_HEAD_BYTES, GuardedProtocol, OnRefused
from core.errors import InvalidInput

ANSWER_TIMEOUT_SECONDS: Final = 4
"""How long `stop()` waits for answers: two seconds for a decision, and two for the network."""
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a load balancer keeps an idle connection (60 s on AWS), so that none is closed while it is in use."""
_JOIN_TIMEOUT_SECONDS: Final = 3
_BACKLOG: Final = 1024
"""How many connections the operating system keeps until they are accepted."""


def _count_nothing(reason: TurnedAway) -> None:
    del reason


class WebServer:
    """Serves an ASGI app. `setting` is where the address came from; the error names it when the server can't listen.

    Without `limits`, it takes as many connections as the process may open files for. `on_refused` counts those that
    were closed before their request was answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        address: Address,
        setting: str,
        *,
        limits: ConnectionLimits | None = None,
        on_refused: OnRefused = _count_nothing,
    ) -> None:
        self._app = app
        self._limits = limits
        self._on_refused = on_refused
        self._address = address
        self._setting = setting
        self._listener: socket.socket | None = None
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The server's base URL, with the actual port once it listens (port 0 lets the system choose one)."""
        port = self._listener.getsockname()[1] if self._listener is not None else self._address.port
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        return f"http://{host}:{port}"

    def start(self) -> None:
        """Listen. Raises InvalidInput, naming the setting, when the address is in use or isn't this machine's."""
        family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
        try:
            self._listener = socket.create_server(
                (self._address.host, self._address.port), family=family, backlog=_BACKLOG
            )
        except OSError as error:
            where = f"{self._address.host}:{self._address.port}"
            raise InvalidInput(
                self._setting, f"nothing can listen on {where} ({error.strerror or error})", "Choose another port."
            ) from error
        table = ConnectionTable(self._limits or ConnectionLimits.of_this_process())
        config = uvicorn.Config(
            self._app,
            http=cast("Any", partial(GuardedProtocol, table, self._on_refused)),
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            # asyncio accepts this many before the first of them reaches the table.
            backlog=ACCEPTED_AT_ONCE,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=ANSWER_TIMEOUT_SECONDS,
        )
        self._server = _Server(config, self._listener)
        self._server.start()

    def stop(self) -> None:
        """Answer what was received, and stop. Idempotent."""
        if self._server is not None:
            self._server.stop()
        if self._listener is not None:
            self._listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._serve_on, args=(listener,), name="web-server", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._is_up.wait()

    def stop(self) -> None:
        self.should_exit = True
        self._thread.join(ANSWER_TIMEOUT_SECONDS + _JOIN_TIMEOUT_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or []:
            # asyncio also made uvicorn's backlog that of the operating system.
            each.listen(_BACKLOG)
        self._is_up.set()

    def _serve_on(self, listener: socket.socket) -> None:
        try:
            self.run([listener])
        finally:
            self._is_up.set()

"""uvicorn's HTTP/1.1 protocol with time limits, and with a place in the table of connections.

Invariant: a request that isn't complete within its time is closed, however slowly its bytes arrive. Every byte counts
as unverified until the app says that Slack signed the request, or has answered it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import h11
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bot.observability.metrics import TurnedAway
from bot.transport.connections import ConnectionTable, site_of

MAX_HEAD_BYTES: Final = 16 * 1024
"""Slack's have about one KB."""
READ_BYTES: Final = 16 * 1024
"""How much is read at once. asyncio reads 256 KB, which many connections together could fill."""
_STATUSES: Final = {
    TurnedAway.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    TurnedAway.TOO_BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
}


OnRefused: TypeAlias = Callable[[TurnedAway], object]
"""Counts a connection that was closed before its request was answered. Doesn't raise."""


class GuardedProtocol(H11Protocol):
    """One connection. The app finds it as `request.state.connection`."""

    def __init__(
        self,
        table: ConnectionTable,
        on_refused: OnRefused,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._table = table
        self._on_refused = on_refused
        self._serve = self.app
        self.app = self._run_app
        self._began_at: float | None = None
        self._time_limit: asyncio.TimerHandle | None = None
        self.site = ""
        self.is_answering = False
        self.is_refused = False

    def mark_verified(self) -> None:
        """Slack signed the request that is being answered."""
        self.is_answering = True
        self._table.verify(self)

    def refuse(self, reason: TurnedAway) -> None:
        """Close the connection now, with a short answer if a request has begun that has none yet."""
        if self.transport.is_closing():
            return
        self.is_refused = True
        has_begun = self._began_at is not None and self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}
        if has_begun:
            self._on_refused(reason)
            self.transport.write(_answer(_STATUSES[reason]))
        if self.transport.get_write_buffer_size():
            # A client that doesn't read the answer would keep the connection open.
            self.transport.abort()
        else:
            self.transport.close()

    # uvicorn's protocol -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A new connection: it takes its place, and its first head is expected."""
        super().connection_made(transport)
        cast("Any", transport).max_size = READ_BYTES
        self.site = site_of(self.client[0] if self.client is not None else None)
        self._limit_time(self._table.limits.head_seconds)
        self._table.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived: they are counted before they are read."""
        if self._began_at is None:
            self._began_at = self.loop.time()
        self._table.hold(self, self._table.held(self) + len(data))
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The request was answered; another one may follow, or may have begun already."""
        self.is_answering = False
        rest, _ = self.conn.trailing_data
        self._began_at = self.loop.time() if rest else None
        self._table.hold(self, len(rest))
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: it gives up its place."""
        self._limit_time(None)
        self._table.remove(self)
        super().connection_lost(exc)

    async def _run_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["connection"] = self

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start" and not self.is_answering:
                # Or one connection could line up thousands of cheap requests, and Slack's would wait behind them.
                headers = [each for each in message.get("headers", ()) if each[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        await cast("Any", self._serve)(scope, receive, send_once)

    # Time limits ------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Set the time limit for the part of the request that is awaited."""
        limits, state = self._table.limits, self.conn.their_state
        if self.transport.is_closing() or self._began_at is None or state not in {h11.IDLE, h11.SEND_BODY}:
            # uvicorn's own timer closes a connection that stays idle after an answer.
            self._limit_time(None)
            return
        seconds = limits.head_seconds if state is h11.IDLE else limits.request_seconds
        self._limit_time(self._began_at + seconds - self.loop.time())

    def _limit_time(self, seconds: float | None) -> None:
        if self._time_limit is not None:
            self._time_limit.cancel()
        self._time_limit = None if seconds is None else self.loop.call_later(seconds, self.refuse, TurnedAway.TOO_SLOW)


def _answer(status: HTTPStatus) -> bytes:
    return f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()

"""The endpoint /link: Socket Mode, which sends payloads over websockets that the app has opened.

Invariant: a payload goes over one connection, in turn, and only its own envelope_id acknowledges it. A ticket opens
one connection; at most ten are open.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
import uuid
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from datetime import datetime

from starlette.websockets import WebSocket, WebSocketDisconnect

from localslack import limits
from localslack.app_transport import PayloadKind, Reply
from localslack.backend import Backend
from localslack.records import Json

_OK = 200


@dataclass(slots=True, eq=False)
class _Connection:
    websocket: WebSocket
    loop: asyncio.AbstractEventLoop
    waiting: dict[str, Future[Json]] = field(default_factory=dict)


class SocketMode:
    """All open connections of the app. `timeout_seconds` is how long to wait for an acknowledgement."""

    def __init__(self, backend: Backend, timeout_seconds: float) -> None:
        self._backend = backend
        self.timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._tickets: dict[str, datetime] = {}
        self._turn = 0
        self._greeted = 0

    @property
    def connection_count(self) -> int:
        """How many connections are open, after their hello."""
        with self._lock:
            return len(self._connections)

    @property
    def greeted_count(self) -> int:
        """How many connections got a hello so far."""
        with self._lock:
            return self._greeted

    def new_url(self) -> str:
        """A URL for opening one connection, valid for half a minute."""
        ticket = secrets.token_urlsafe(18)
        with self._lock:
            self._tickets[ticket] = self._backend.clock.now()
        return f"ws{self._backend.url.removeprefix('http')}/link/?ticket={ticket}&app_id={self._backend.app.id}"

    # To the app ----------------------------------------------------------------------------------------------------

    def send(self, kind: PayloadKind, payload: Json, retry: tuple[int, str] | None = None) -> Reply:
        """Send a payload in an envelope, and wait for its acknowledgement."""
        envelope_id = str(uuid.uuid4())
        envelope: Json = {"envelope_id": envelope_id, "payload": payload, "type": kind}
        envelope["accepts_response_payload"] = kind != "events_api"
        if kind == "events_api":
            number, reason = retry or (0, "")
            envelope |= {"retry_attempt": number, "retry_reason": reason}
        began = time.monotonic()
        acknowledged: Future[Json] = Future()
        connection = self._next_connection(envelope_id, acknowledged)
        if connection is None:
            return Reply(None, "", "", 0.0, "dispatch_failed")
        self._send_to(connection, envelope)
        try:
            response = acknowledged.result(self.timeout_seconds)
        except TimeoutError:
            return Reply(None, "", "", time.monotonic() - began, "operation_timeout")
        except CancelledError:
            return Reply(None, "", "", time.monotonic() - began, "dispatch_failed")
        finally:
            connection.waiting.pop(envelope_id, None)
        body = json.dumps(response["payload"]) if response.get("payload") else ""
        return Reply(_OK, body, "application/json" if body else "", time.monotonic() - began)

    def warn(self) -> None:
        """Warn every connection that it will be closed in about ten seconds."""
        warning: Json = {"type": "disconnect", "reason": "warning", "debug_info": {"host": "applink-local"}}
        for connection in self._open_connections():
            self._send_to(connection, warning)

    def refresh(self, *, leave_open: bool = False) -> None:
        """Ask the app to replace every connection, then close the old ones; with `leave_open`, the app closes them."""
        request: Json = {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "applink-local"}}
        for connection in self._open_connections():
            self._send_to(connection, request)
            if not leave_open:
                self._close(connection)

    def drop(self) -> None:
        """Close every connection without warning, as a restart of Slack would."""
        for connection in self._open_connections():
            self._close(connection)

    def _next_connection(self, envelope_id: str, acknowledged: Future[Json]) -> _Connection | None:
        with self._lock:
            if not self._connections:
                return None
            self._turn += 1
            connection = self._connections[self._turn % len(self._connections)]
            connection.waiting[envelope_id] = acknowledged
            return connection

    def _open_connections(self) -> list[_Connection]:
        with self._lock:
            return list(self._connections)

    @staticmethod
    def _send_to(connection: _Connection, message: Json) -> None:
        asyncio.run_coroutine_threadsafe(connection.websocket.send_text(json.dumps(message)), connection.loop)

    @staticmethod
    def _close(connection: _Connection) -> None:
        asyncio.run_coroutine_threadsafe(connection.websocket.close(), connection.loop)

    # From the app --------------------------------------------------------------------------------------------------

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection until either side closes it."""
        await websocket.accept()
        if not self._take_ticket(websocket.query_params.get("ticket", "")):
            await websocket.close(4001, "invalid ticket")
            return
        connection = _Connection(websocket, asyncio.get_running_loop())
        with self._lock:
            count = len(self._connections) + 1
            if has_room := count <= limits.SOCKET_CONNECTIONS:
                self._connections.append(connection)
                self._greeted += 1
        if not has_room:
            await websocket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await websocket.close()
            return
        await websocket.send_json(self._hello(count))
        try:
            while True:
                self._acknowledge(connection, await websocket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            self._forget(connection)

    def _take_ticket(self, ticket: str) -> bool:
        with self._lock:
            issued = self._tickets.pop(ticket, None)
        return issued is not None and self._backend.clock.now() - issued <= limits.SOCKET_TICKET_LIFETIME

    def _hello(self, count: int) -> Json:
        return {
            "type": "hello",
            "num_connections": count,
            "connection_info": {"app_id": self._backend.app.id},
            "debug_info": {"host": "applink-local", "build_number": 1, "approximate_connection_time": 18060},
        }

    @staticmethod
    def _acknowledge(connection: _Connection, text: str) -> None:
        try:
            response = json.loads(text)
        except ValueError:
            return
        waiting = connection.waiting.pop(str(response.get("envelope_id")), None) if isinstance(response, dict) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def _forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.remove(connection)
        # Their acknowledgements can't come any more.
        for waiting in list(connection.waiting.values()):
            waiting.cancel()

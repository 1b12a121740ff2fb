"""The door /link: websockets that the app opened, over which payloads go out and acknowledgements come back.

Invariant: a payload goes over one connection, whichever is next, and is acknowledged by its own envelope_id or not at
all. A ticket opens one connection; at most ten are open.
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
from localslack.backend import Backend
from localslack.delivery import Kind, Reply
from localslack.records import Json

_OK = 200


@dataclass(slots=True, eq=False)
class _Connection:
    websocket: WebSocket
    loop: asyncio.AbstractEventLoop
    waiting: dict[str, Future[Json]] = field(default_factory=dict)


class SocketMode:
    """All open connections of the app. `patience` is how long an acknowledgement is waited for, in seconds."""

    def __init__(self, backend: Backend, patience: float) -> None:
        self._backend = backend
        self._patience = patience
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._tickets: dict[str, datetime] = {}
        self._turn = 0
        self._greeted = 0

    @property
    def connection_count(self) -> int:
        """How many connections are open and greeted."""
        with self._lock:
            return len(self._connections)

    @property
    def greeted_count(self) -> int:
        """How many connections were opened so far."""
        with self._lock:
            return self._greeted

    def new_url(self) -> str:
        """Where the app may open one connection, for half a minute."""
        ticket = secrets.token_urlsafe(18)
        with self._lock:
            self._tickets[ticket] = self._backend.clock.now()
        return f"ws{self._backend.url.removeprefix('http')}/link/?ticket={ticket}&app_id={self._backend.app.id}"

    # Towards the app -----------------------------------------------------------------------------------------------

    def send(self, kind: Kind, payload: Json, retry: tuple[int, str] | None = None) -> Reply:
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
        self._say(connection, envelope)
        try:
            told = acknowledged.result(self._patience)
        except TimeoutError:
            return Reply(None, "", "", time.monotonic() - began, "operation_timeout")
        except CancelledError:
            return Reply(None, "", "", time.monotonic() - began, "dispatch_failed")
        finally:
            connection.waiting.pop(envelope_id, None)
        body = json.dumps(told["payload"]) if told.get("payload") else ""
        return Reply(_OK, body, "application/json" if body else "", time.monotonic() - began)

    def warn(self) -> None:
        """Tell every connection that it will be closed in about ten seconds."""
        self._say_to_all({"type": "disconnect", "reason": "warning", "debug_info": {"host": "applink-local"}})

    def refresh(self, *, leave_open: bool = False) -> None:
        """Tell every connection to give way to a new one, then close it, or leave that to the app."""
        told: Json = {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "applink-local"}}
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            self._say(connection, told)
            if not leave_open:
                self._close(connection)

    def drop(self) -> None:
        """Close every connection from Slack's side without a word, as a restart of Slack would."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            self._close(connection)

    def _next_connection(self, envelope_id: str, acknowledged: Future[Json]) -> _Connection | None:
        with self._lock:
            if not self._connections:
                return None
            self._turn += 1
            connection = self._connections[self._turn % len(self._connections)]
            connection.waiting[envelope_id] = acknowledged
            return connection

    def _say_to_all(self, what: Json) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            self._say(connection, what)

    @staticmethod
    def _say(connection: _Connection, what: Json) -> None:
        asyncio.run_coroutine_threadsafe(connection.websocket.send_text(json.dumps(what)), connection.loop)

    @staticmethod
    def _close(connection: _Connection) -> None:
        asyncio.run_coroutine_threadsafe(connection.websocket.close(), connection.loop)

    # From the app --------------------------------------------------------------------------------------------------

    async def serve(self, websocket: WebSocket) -> None:
        """Hold one connection until either side ends it."""
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
            told = json.loads(text)
        except ValueError:
            return
        waiting = connection.waiting.pop(str(told.get("envelope_id")), None) if isinstance(told, dict) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(told)

    def _forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.remove(connection)
        # Nobody will acknowledge these any more.
        for waiting in list(connection.waiting.values()):
            waiting.cancel()

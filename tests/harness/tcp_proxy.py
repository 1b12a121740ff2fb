"""A proxy on a loopback port that passes HTTP/1.1 on to an engine, and fails in the ways a test has scripted.

Invariant: a request for which no fault is scripted passes unchanged, byte for byte, and so does its reply. Each request
is counted once, when it has arrived whole, whatever becomes of it.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.harness.faults import Answer, CutReply, CutRequest, Fault, Hold, HoldReply, HoldRequest, SwapReply
from tests.harness.http_message import BrokenMessageError, HttpMessage, read_reply, read_request

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO


@dataclass(slots=True)
class _Scripted:
    """A fault that waits for its request. `times` None means every one, until `clear`."""

    fault: Fault
    only: str | None
    times: int | None


class _Upstream:
    """The proxy's side towards the engine: one connection, opened when needed and again when the engine closed it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connection: tuple[socket.socket, BinaryIO] | None = None

    def ask(self, request: HttpMessage) -> HttpMessage:
        connection, stream = self._connect()
        connection.sendall(request.raw)
        reply = read_reply(stream, request)
        if reply.ends_connection:
            self.close()
        return reply

    def _connect(self) -> tuple[socket.socket, BinaryIO]:
        # An engine says nothing between requests, so something to read there can only be the end of the connection.
        if self._connection and select.select([self._connection[0]], [], [], 0)[0]:
            self.close()
        if self._connection is None:
            connection = socket.create_connection(self._address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection, connection.makefile("rb")
        return self._connection

    def close(self) -> None:
        if self._connection:
            connection, stream = self._connection
            self._connection = None
            stream.close()
            connection.close()


class TcpProxy:
    """A proxy before the engine at `upstream_url`; clients are given `url` instead."""

    def __init__(self, upstream_url: str) -> None:
        parts = urlsplit(upstream_url)
        self._upstream = parts.hostname or "127.0.0.1", parts.port or 80
        self._lock = threading.Lock()
        self._script: list[_Scripted] = []
        self._holds: list[Hold] = []
        self._counts: Counter[str] = Counter()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._is_closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    def next(self, fault: Fault, *, only: str | None = None, times: int | None = 1) -> None:
        """Let the next request meet `fault`, or the next `times` of them; None is all, until `clear`.

        With `only`, say "TransactWriteItems", other requests pass. Faults are met in the order they were scripted.
        """
        with self._lock:
            self._script.append(_Scripted(fault, only, times))
            if isinstance(fault, Hold):
                self._holds.append(fault)

    def clear(self) -> None:
        """Forget all that is scripted: the network is well again. What is held already stays held."""
        with self._lock:
            self._script.clear()

    @property
    def counts(self) -> Counter[str]:
        """How often each operation was asked for since the start or the last `reset_counts`."""
        with self._lock:
            return self._counts.copy()

    def reset_counts(self) -> None:
        """Start to count anew."""
        with self._lock:
            self._counts.clear()

    def close(self) -> None:
        """Hang up on everybody, let go of what is held without passing it on, and wait for all threads to end."""
        with self._lock:
            self._is_closed = True
            holds, clients = list(self._holds), dict(self._clients)
        for hold in holds:
            hold.release()
        for client in clients:
            _shut_down(client)
        # A thread that waits in accept() is woken by a caller; closing the socket under it need not wake it.
        with suppress(OSError):
            socket.create_connection(self._listener.getsockname()).close()
        self._acceptor.join()
        self._listener.close()
        for thread in clients.values():
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with self._lock:
                if self._is_closed:
                    client.close()
                    return
                thread = threading.Thread(target=self._serve, args=(client,), name="proxy connection", daemon=True)
                self._clients[client] = thread
                # Started under the lock, so that close() never meets a thread that it cannot join yet.
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with ExitStack() as cleanup:
            cleanup.callback(self._forget, client)
            cleanup.callback(client.close)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = cleanup.enter_context(client.makefile("rb"))
            upstream = cleanup.enter_context(closing(_Upstream(self._upstream)))
            # A client that hangs up, or an engine that stops, ends this connection and nothing else.
            with suppress(OSError, BrokenMessageError):
                while (request := read_request(stream)) and self._pass_on(request, client, upstream):
                    pass

    def _forget(self, client: socket.socket) -> None:
        with self._lock:
            del self._clients[client]

    def _take_fault(self, request: HttpMessage) -> Fault | None:
        with self._lock:
            self._counts[request.operation] += 1
            for scripted in self._script:
                if scripted.only in {None, request.operation}:
                    if scripted.times is not None:
                        scripted.times -= 1
                    if scripted.times == 0:
                        self._script.remove(scripted)
                    return scripted.fault
        return None

    def _pass_on(self, request: HttpMessage, client: socket.socket, upstream: _Upstream) -> bool:
        """Deal with one request. Returns whether the connection to the client goes on."""
        fault = self._take_fault(request)
        with ExitStack() as cleanup:
            if isinstance(fault, Hold):
                cleanup.callback(fault.finish)
            if isinstance(fault, CutRequest):
                return False
            if isinstance(fault, Answer):
                client.sendall(fault.as_bytes())
                return fault.cut_at is None and not request.ends_connection
            if isinstance(fault, HoldRequest):
                fault.pause()
                if self._is_closed:
                    return False
            reply = upstream.ask(request)
            if isinstance(fault, CutReply):
                client.sendall(reply.raw[: fault.after_bytes])
                return False
            if isinstance(fault, HoldReply):
                fault.pause()
            client.sendall(fault.answer.as_bytes() if isinstance(fault, SwapReply) else reply.raw)
            return not (request.ends_connection or reply.ends_connection)


def _shut_down(connection: socket.socket) -> None:
    # The other side may have hung up first, and the thread of this connection may have closed it already.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

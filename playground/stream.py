"""The changes of the workspace as server-sent events: first a snapshot, then each change.

Invariant: a new stream always begins with a snapshot, so a page that lost its stream is up to date once it reconnects.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from starlette.types import Receive, Scope, Send

from localslack.records import Json
from playground.snapshot import PageSnapshot

_HEARTBEAT_SECONDS: Final = 15.0
"""How often an idle stream is written to, so that a closed page is noticed."""
_WITHOUT_DETAILS: Final = frozenset({"api_call"})
"""Events of which a page needs the type and the time only."""


class Stream:
    """An ASGI app that streams to any number of pages at once, until `close`."""

    def __init__(self, snapshots: PageSnapshot) -> None:
        self._snapshots = snapshots
        self._journal = snapshots.slack.backend.journal
        self._open: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Json | None]]] = set()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one page."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Json | None]()

        def on_event(event: Json) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        with self._journal.lock:
            first = self._snapshots.take()
            unsubscribe = self._journal.subscribe(on_event)
            self._open.add((loop, queue))
        leaving = asyncio.create_task(_wait_for_disconnect(receive, queue))
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await _write(send, _event({"type": "snapshot", **first}))
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    await _write(send, b": keep-alive\n\n")
                else:
                    if event is None:
                        break
                    await _write(send, _event(event))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            with self._journal.lock:
                self._open.discard((loop, queue))
            unsubscribe()
            leaving.cancel()

    def close(self) -> None:
        """Close every stream, so that the server can stop at once."""
        with self._journal.lock:
            streams = list(self._open)
        for loop, queue in streams:
            loop.call_soon_threadsafe(queue.put_nowait, None)


async def _wait_for_disconnect(receive: Receive, queue: asyncio.Queue[Json | None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.put_nowait(None)


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _event(event: Json) -> bytes:
    sent = {"type": event["type"], "at": event["at"]} if event["type"] in _WITHOUT_DETAILS else event
    return f"data: {json.dumps(sent)}\n\n".encode()

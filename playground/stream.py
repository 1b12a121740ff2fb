"""What happens in the workspace, as server-sent events: first all that is there, then each change.

Invariant: a stream that was cut begins with everything again, so a page that lost it is never out of date for longer
than it takes to connect.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from starlette.types import Receive, Scope, Send

from localslack.records import Json
from playground.snapshot import Scene

_HEARTBEAT_SECONDS: Final = 15.0
"""How often a silent stream is written to, so that one whose page is gone is noticed."""
_QUIET: Final = frozenset({"api_call"})
"""Kinds of change of which a page needs to know that they were, and not what they said."""


class Stream:
    """An ASGI app that streams to any number of pages at once, until `close`."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._journal = scene.slack.backend.journal
        self._open: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Json | None]]] = set()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one page."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Json | None]()

        def hear(event: Json) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        with self._journal.lock:
            first = self._scene.snapshot()
            unsubscribe = self._journal.subscribe(hear)
            self._open.add((loop, queue))
        leaving = asyncio.create_task(_until_gone(receive, queue))
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await _write(send, _event({"type": "snapshot", **first}))
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    await _write(send, b": still here\n\n")
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
        """End every stream, so that the server can stop at once."""
        with self._journal.lock:
            streams = list(self._open)
        for loop, queue in streams:
            loop.call_soon_threadsafe(queue.put_nowait, None)


async def _until_gone(receive: Receive, queue: asyncio.Queue[Json | None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.put_nowait(None)


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _event(event: Json) -> bytes:
    told = {"type": event["type"], "at": event["at"]} if event["type"] in _QUIET else event
    return f"data: {json.dumps(told)}\n\n".encode()

"""The requests to the app that wait for their answer.

Invariant: `cut` ends each of them as a connection that the app's end dropped; later ones aren't touched.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class OpenPosts:
    """Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[http.client.HTTPConnection] = set()

    @contextmanager
    def of(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """List the connection for as long as its request takes."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def cut(self) -> None:
        """Drop every connection that is open now."""
        with self._lock:
            found = [each.sock for each in self._open if each.sock is not None]
        for each in found:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

"""The metrics of the HTTP API: calls by endpoint and kind of answer, how long they took, and what waits.

Invariant: every label has a small, fixed set of values: endpoints of the table, and kinds of answers. None is an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CLIENT_LEFT: Final = 0
"""In place of a status: the client went away before its answer."""
_KINDS: Final = ("ok", "refused", "unauthorized", "rate_limited", "failed", "client_left")
_UNAUTHORIZED: Final = 401
_RATE_LIMITED: Final = 429
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30)
"""Seconds; a long poll takes up to 25."""


class ApiMetrics:
    """The metrics of the HTTP API of one process, in the registry of its other metrics."""

    def __init__(self, registry: CollectorRegistry, endpoints: Iterable[str] = ()) -> None:
        self._calls = Counter(
            "countersign_api_calls_total", "Calls of the HTTP API.", ["endpoint", "answer"], registry=registry
        )
        self._seconds = Histogram(
            "countersign_api_seconds", "Seconds that a call took.", ["endpoint"], registry=registry, buckets=_BUCKETS
        )
        self._waiting = Gauge("countersign_api_waiting", "Long polls that wait for a change.", registry=registry)
        for endpoint in endpoints:
            self._seconds.labels(endpoint)
            for kind in _KINDS:
                self._calls.labels(endpoint, kind)

    def watch_waiting(self, read: Callable[[], float]) -> None:
        """Export how many long polls wait, at each scrape. `read` must neither wait nor raise."""
        self._waiting.set_function(read)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a call by its answer's status."""
        self._calls.labels(endpoint, _kind_of(status)).inc()
        self._seconds.labels(endpoint).observe(max(seconds, 0.0))


def _kind_of(status: int) -> str:
    if status == CLIENT_LEFT:
        return "client_left"
    if status in {_UNAUTHORIZED, _RATE_LIMITED}:
        return "unauthorized" if status == _UNAUTHORIZED else "rate_limited"
    return ("ok", "refused", "failed")[min(max(status // 100 - 3, 0), 2)]

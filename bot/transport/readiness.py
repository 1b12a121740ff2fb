"""Readiness: whether this process can do its work now, for load balancers and orchestrators.

Invariant: a check that doesn't answer in time counts as failed, and isn't started a second time while it runs. However
often the page is requested, the checks run once a second at most.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as CheckTimeout
from typing import Final

from core.errors import RequestNotFound, StoreError
from core.request import RequestId
from core.stores.base import Stores

TIMEOUT_SECONDS: Final = 2.0
FRESH_SECONDS: Final = 1.0
STOPPING: Final = "stopping"
_NO_REQUEST: Final = RequestId("0" * 16)
_log = logging.getLogger("countersign.readiness")


class Readiness:
    """Runs the named `checks`. A check that fails returns False or raises StoreError."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], bool]],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._checks = dict(checks)
        self._timeout_seconds = timeout_seconds
        self._fresh_seconds = fresh_seconds
        self._pool = ThreadPoolExecutor(len(self._checks) or 1, thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._open: dict[str, Future[bool]] = {}
        self._missing: tuple[str, ...] = ()
        self._checked_at: float | None = None
        self._is_stopping = False

    def find_missing(self) -> tuple[str, ...]:
        """The names of the checks that fail; empty when this process is ready. Waits two seconds at most."""
        with self._lock:
            if self._is_stopping:
                return (STOPPING,)
            if self._checked_at is None or time.monotonic() - self._checked_at >= self._fresh_seconds:
                self._missing = self._run_checks()
                self._checked_at = time.monotonic()
            return self._missing

    def stop(self) -> None:
        """Report not ready from now on, whatever the checks return. Idempotent."""
        self._is_stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run_checks(self) -> tuple[str, ...]:
        for name, check in self._checks.items():
            if name not in self._open:
                self._open[name] = self._pool.submit(check)
        end = time.monotonic() + self._timeout_seconds
        return tuple(name for name in self._checks if not self._passes(name, end))

    def _passes(self, name: str, end: float) -> bool:
        try:
            passes = self._open[name].result(max(0.0, end - time.monotonic()))
        except CheckTimeout:
            # It stays in `_open`: a store that hangs isn't asked again until it has answered.
            return False
        except StoreError as error:
            _log.warning("not ready: %s: %s", name, error)
            passes = False
        del self._open[name]
        return passes


def store_answers(stores: Stores) -> bool:
    """Read one request that doesn't exist: one consistent read on every engine. Raises StoreError."""
    try:
        stores.requests.get(_NO_REQUEST)
    except RequestNotFound:
        return True
    return True

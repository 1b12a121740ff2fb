"""Long polls: any number of calls wait for their requests to change, without a thread for each.

Invariant: one thread reads all requests that are waited for, in one batch, every two seconds at most, and at once when
this process commits a change of one of them. A wait ends at the change, at its time, or when the server stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from bot.api.refusals import ApiRefusal, busy, rate_limited
from core.errors import CountersignError

POLL_SECONDS: Final = 1.5
MAX_WAITING: Final = 400
_WAIT_AGAIN_SECONDS: Final = 5
_log = logging.getLogger("countersign.api")

ReadVersions = Callable[[Collection[str]], Mapping[str, str]]
"""The version of each of these requests, as it is now. May raise CountersignError."""


class Waiter:
    """One call that waits. It was made before the call read the request, so that no change falls in between."""

    def __init__(self, watch: RequestWatch, request_id: str) -> None:
        self._watch = watch
        self.request_id = request_id
        self._seen: str | None = None
        self._current: str | None = None
        self.woken = asyncio.Event()

    async def wait(self, seen: str, seconds: float) -> None:
        """Until the request has another version, the time is over, or the server stops."""
        self._seen = seen
        self._compare()
        self._watch.look_soon()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), seconds)

    def hear(self, version: str) -> None:
        """The request's version, as it was read just now."""
        self._current = version
        self._compare()

    def _compare(self) -> None:
        if None not in {self._seen, self._current} and self._seen != self._current:
            self.woken.set()


class RequestWatch:
    """Who waits for which request. Only `wake` and `close` may be called from other threads."""

    def __init__(
        self,
        read: ReadVersions,
        *,
        poll_seconds: float = POLL_SECONDS,
        max_waiting: int = MAX_WAITING,
        max_each: int = 16,
    ) -> None:
        self._read = read
        self._poll_seconds = poll_seconds
        self._max_waiting = max_waiting
        self._max_each = max_each
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="api-watch")
        self._waiters: dict[str, set[Waiter]] = {}
        self._by_device: Counter[str] = Counter()
        self._changed: set[str] = set()
        self._nudged = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return self._by_device.total()

    @contextmanager
    def join(self, request_id: str, device: str) -> Iterator[Waiter]:
        """A place among those that wait. Raises ApiRefusal when there is none left, for the device or at all."""
        if self._by_device[device] >= self._max_each:
            raise ApiRefusal(rate_limited(_WAIT_AGAIN_SECONDS))
        if self.waiting >= self._max_waiting:
            raise ApiRefusal(busy())
        self._loop = asyncio.get_running_loop()
        waiter = Waiter(self, request_id)
        if self._is_closed:
            waiter.woken.set()
        self._waiters.setdefault(request_id, set()).add(waiter)
        self._by_device[device] += 1
        try:
            yield waiter
        finally:
            self._leave(waiter, device)

    def wake(self, request_id: str) -> None:
        """This process committed a change of this request: look at it at once. Never waits. Safe for threads."""
        if self._loop is not None and request_id in self._waiters:
            # The loop is closed once the server has stopped.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._note_change, request_id)

    def close(self) -> None:
        """End all waits at once, and every later one. Safe for threads; idempotent."""
        self._is_closed = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end_all)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look_soon(self) -> None:
        """Somebody waits: see to it that the requests are read."""
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())

    def _note_change(self, request_id: str) -> None:
        self._changed.add(request_id)
        self._nudged.set()

    def _end_all(self) -> None:
        for waiter in (each for some in self._waiters.values() for each in some):
            waiter.woken.set()
        self._nudged.set()

    def _leave(self, waiter: Waiter, device: str) -> None:
        self._by_device[device] -= 1
        if self._by_device[device] <= 0:
            del self._by_device[device]
        some = self._waiters[waiter.request_id]
        some.discard(waiter)
        if not some:
            del self._waiters[waiter.request_id]

    async def _poll(self) -> None:
        time, next_for_all = asyncio.get_running_loop().time, 0.0
        while self._waiters and not self._is_closed:
            ids: Collection[str] = self._changed & self._waiters.keys()
            if time() >= next_for_all:
                # However much is committed here, what others commit is seen in time.
                ids, next_for_all = frozenset(self._waiters), time() + self._poll_seconds
            self._changed.clear()
            self._nudged.clear()
            if ids:
                self._compare(await self._read_now(ids))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), max(next_for_all - time(), 0.0))

    async def _read_now(self, ids: Collection[str]) -> Mapping[str, str]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, ids)
        except CountersignError:
            # Those that wait will read for themselves, and get the error.
            _log.warning("the requests that are waited for could not be read", exc_info=True)
        except RuntimeError:
            # The pool was closed: the server stops.
            _log.debug("no more reading: the server stops")
        except Exception:  # noqa: BLE001 - a bug here must not end the reading for everybody
            _log.exception("the requests that are waited for could not be read")
        return {}

    def _compare(self, versions: Mapping[str, str]) -> None:
        for request_id, version in versions.items():
            for waiter in self._waiters.get(request_id, ()):
                waiter.hear(version)

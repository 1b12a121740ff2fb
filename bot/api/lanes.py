"""The threads of the HTTP API, by kind of work: none of them is one that a click in Slack needs.

Invariant: one device has at most its share of a lane's threads and places, whatever it sends. What finds no room is
refused at once, before anything was started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Final, TypeVar

from bot.api.endpoints import ApiLane
from bot.api.refusals import ApiRefusal, busy
from bot.interactions.fair_executor import FairExecutor, LaneBounds
from bot.observability.tracing import NO_TRACER, Tracer

T = TypeVar("T")
BOUNDS: Final[Mapping[ApiLane, LaneBounds]] = MappingProxyType(
    {
        # Strangers have the fewest: what they may do is begin a pairing, and ask for its token.
        ApiLane.PAIRING: LaneBounds(workers=2, max_running_each=1, max_each=10, max_total=100),
        ApiLane.READ: LaneBounds(workers=6, max_running_each=2, max_each=32, max_total=500),
        ApiLane.CHANGE: LaneBounds(workers=6, max_running_each=2, max_each=16, max_total=200),
        # A call waits for AWS, about 50 ms, and writes three times: with more threads, clicks would wait for the store.
        ApiLane.CREDENTIALS: LaneBounds(workers=4, max_running_each=2, max_each=16, max_total=200),
    }
)


class ApiLanes:
    """The lanes of one server. Thread-safe."""

    def __init__(self, bounds: Mapping[ApiLane, LaneBounds] = BOUNDS, tracer: Tracer = NO_TRACER) -> None:
        self.tracer = tracer
        self._executors = {lane: FairExecutor(f"api-{lane.value}", bounds[lane]) for lane in ApiLane}

    async def run(self, lane: ApiLane, caller: str, work: Callable[[], T]) -> T:
        """The result of `work`, done in this caller's turn. Raises what it raises; ApiRefusal when there is no room."""
        done: Future[T] = Future()
        if not self._executors[lane].submit(caller, self.tracer.bind(lambda: _settle(done, work))):
            raise ApiRefusal(busy())
        return await asyncio.wrap_future(done)

    def waiting(self, lane: ApiLane) -> int:
        """How many tasks of a lane have not started yet."""
        return self._executors[lane].waiting

    def close(self) -> None:
        """Finish what was taken, then stop. Idempotent."""
        for executor in self._executors.values():
            executor.close()


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    # A client that went away takes its result with it, but what was begun is finished.
    if not done.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
        done.set_exception(error)
    else:
        done.set_result(result)

"""The sweeper: what nobody has to press a button for. It ends what is overdue, reminds of what waits, and tells.

Invariant: any number of sweepers may run at once, and nothing is done twice: the store decides. An error ends no loop,
and a store that is away is asked less and less often until it is back. No loop waits for another: a slow channel keeps
no request from expiring.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from random import SystemRandom
from typing import Final

from core.clock import Clock
from core.errors import StoreError
from core.outbox.outbox import DeliveryCounts, Outbox, Sink, deliver_due
from core.services import BreakGlassService, RequestService
from core.services.due import Rest
from core.stores.base import Stores
from core.stores.outbox import Backlog

MIN_PAUSE_SECONDS: Final = 0.1
"""Between two looks at the outbox, however many changes are committed meanwhile."""
LOOK_SECONDS: Final = 1.0
"""How often the outbox is looked at for what other processes committed, and for what was put off."""
WATCH_SECONDS: Final = 30.0
"""How often deadlines and reminders are looked at. A decision does not wait for this: the clock refuses by itself."""
REST_SECONDS: Final = 0.02
"""Between two pages of a hundred records: reading them takes the interpreter from the clicks of people."""
MEASURE_SECONDS: Final = 10.0
MAX_PAUSE_SECONDS: Final = 30.0
"""Between two looks while the store is away."""
FINISH_TIMEOUT_SECONDS: Final = 10.0
"""What `stop` waits for. Slack answers within a second; a call that is stalled is told again by another instance."""
MAX_COUNTED: Final = 1_000
"""Above this, "very many" is all that an operator needs to know."""
_JITTER: Final = 0.2
_MAX_DOUBLINGS: Final = 6

_log = logging.getLogger("countersign.sweeper")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did, in numbers."""

    expired_requests: int
    expired_events: int
    reminded: int
    asked: int
    reviews_reminded: int
    delivered: DeliveryCounts


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How many entries wait to be told and how many are parked, each counted up to MAX_COUNTED; the oldest's age."""

    depth: int = 0
    oldest_age_seconds: float = 0.0
    parked: int = 0


class Sweeper:
    """Sweeps once, or in the background until it is stopped."""

    def __init__(
        self,
        requests: RequestService,
        break_glass: BreakGlassService,
        stores: Stores,
        sinks: Sequence[Sink],
        clock: Clock,
    ) -> None:
        self._requests = requests
        self._break_glass = break_glass
        self._stores = stores
        self._sinks = tuple(sinks)
        self._clock = clock
        self._outbox: Outbox | None = None
        self._threads: tuple[threading.Thread, ...] = ()
        self._stopping = threading.Event()
        self._nudged = threading.Event()
        self._backlog: Backlog | None = None

    def sweep(self) -> Swept:
        """Do once all that is due, and wait for it. Raises StoreError; what was done until then stays done."""
        # First what has ended: nobody is reminded of that.
        requests, events = self._requests.expire_due(), self._break_glass.expire_due()
        reminded = self._requests.remind_due()
        asked, reviews = self._break_glass.ask_due(), self._break_glass.remind_due()
        delivered = deliver_due(self._stores.outbox, self._sinks, self._clock)
        return Swept(len(requests), len(events), len(reminded), len(asked), len(reviews), delivered)

    def retry_parked(self) -> int:
        """Make everything that is parked due again; how much that was. Raises StoreError."""
        now, total = self._clock.now(), 0
        while batch := tuple(islice(self._stores.outbox.iterate_parked(), MAX_COUNTED)):
            changed = sum(self._stores.outbox.unpark(each, now) for each in batch)
            total += changed
            if not changed:
                # An index may still show what is parked no more.
                break
        return total

    def outbox_state(self) -> OutboxState | None:
        """The outbox as it was seen some seconds ago; None when it was not, or not since the store is away.

        Never waits. Seen only while the sweeper runs in the background.
        """
        backlog = self._backlog
        if backlog is None:
            return None
        age = (self._clock.now() - backlog.oldest_at).total_seconds() if backlog.oldest_at is not None else 0.0
        return OutboxState(backlog.waiting, max(age, 0.0), backlog.parked)

    def start(self) -> None:
        """Sweep in the background from now on. Once started, it can be stopped, and not started again."""
        outbox = self._outbox = Outbox(self._stores.outbox, self._sinks, self._clock)
        # Each by itself: one that fails again and again keeps no other one from its work.
        watched: dict[str, Callable[[Rest], Sequence[object]]] = {
            "end overdue requests": self._requests.expire_due,
            "end overdue events": self._break_glass.expire_due,
            "remind of requests": self._requests.remind_due,
            "ask before the end": self._break_glass.ask_due,
            "remind of reviews": self._break_glass.remind_due,
        }
        loops: list[tuple[str, Callable[[], object], float, Callable[[float], object]]] = [
            ("tell what was committed", outbox.hand_out, LOOK_SECONDS, self._wait_for_nudge),
            ("measure the outbox", self._measure, MEASURE_SECONDS, self._stopping.wait),
            *(
                (name, partial(self._change_due, change), WATCH_SECONDS, self._stopping.wait)
                for name, change in watched.items()
            ),
        ]
        self._threads = tuple(
            threading.Thread(target=self._keep_going, args=loop, name=f"sweeper: {loop[0]}", daemon=True)
            for loop in loops
        )
        for thread in self._threads:
            thread.start()

    def nudge(self) -> None:
        """Something was committed in this process: tell it now instead of at the next look. Never waits."""
        self._nudged.set()

    def stop(self) -> bool:
        """Begin nothing more, and finish what is being told; False when that takes too long. Then it is told again.

        What was not begun stays due, for the other instances or the next start.
        """
        deadline = time.monotonic() + FINISH_TIMEOUT_SECONDS
        self._stopping.set()
        self._nudged.set()
        is_finished = self._outbox is None or self._outbox.finish(FINISH_TIMEOUT_SECONDS)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return is_finished and not any(thread.is_alive() for thread in self._threads)

    def _rest(self) -> None:
        self._stopping.wait(REST_SECONDS)

    def _change_due(self, change: Callable[[Rest], Sequence[object]]) -> None:
        if change(self._rest):
            self.nudge()

    def _measure(self) -> None:
        try:
            self._backlog = self._stores.outbox.measure_backlog(MAX_COUNTED)
        except StoreError:
            # An old number would look as if all were well.
            self._backlog = None
            raise

    def _wait_for_nudge(self, seconds: float) -> None:
        # Whatever is committed in this moment is looked at together.
        self._stopping.wait(MIN_PAUSE_SECONDS)
        if self._nudged.wait(seconds):
            self._nudged.clear()

    def _keep_going(
        self, task: str, work: Callable[[], object], seconds: float, rest: Callable[[float], object]
    ) -> None:
        """Do the work again and again, with a rest of so many seconds, until the sweeper is stopped."""
        failures = 0
        while not self._stopping.is_set():
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a loop that ended would leave everything undone
                failures += 1
                _tell_failure(task, error, failures)
                # No nudge brings a store back.
                pause = min(seconds * 2.0 ** min(failures, _MAX_DOUBLINGS), MAX_PAUSE_SECONDS)
                self._stopping.wait(_spread(pause))
                continue
            if failures:
                _log.info("it works again to %s", task)
            failures = 0
            rest(_spread(seconds))


def _spread(seconds: float) -> float:
    """About so long: instances that were started together do not all ask at once."""
    return seconds * SystemRandom().uniform(1 - _JITTER, 1 + _JITTER)


def _tell_failure(task: str, error: Exception, failures: int) -> None:
    if isinstance(error, StoreError):
        _log.warning("could not %s, %d in a row: %s", task, failures, error)
    else:
        _log.error("could not %s, %d in a row", task, failures, exc_info=error)

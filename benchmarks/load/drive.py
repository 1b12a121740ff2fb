"""Clicks at a fixed rate on a running task, and the check that nothing acknowledged is missing from its store.

Invariant: a click is due at a time that was fixed before the first one was sent, whether or not earlier ones were
answered, and is timed from then. A click that raised counts as failed.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.load.accounts import Watch
from benchmarks.load.limits import CpuLimit, Throttling
from benchmarks.load.people import CLICKS_OF_THE_MIX, MIX, LoadClick, Office
from benchmarks.load.served import ServedTask
from core.audit.keyring import AuditKeyring
from core.break_glass import EventStatus
from core.clock import SystemClock
from core.request import RequestId
from core.stores import Stores, open_stores
from tests.harness.served_bot import AUDIT_KEY

_PEOPLE: Final = 400
_WARM_UP_PER_SECOND: Final = 4.0
_SETTLE_SECONDS: Final = 240.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, and what it cost."""

    clicks: tuple[LoadClick, ...]
    failures: Counter[str]
    watch: Watch
    throttling: Throttling | None
    calls: Counter[str]
    settle_seconds: float

    def quantile(self, part: float, kind: str | None = None) -> float:
        """The shortest time within which this fraction of the clicks was acknowledged."""
        times = sorted(each.seconds for each in self.clicks if kind in (None, each.kind))
        return times[max(math.ceil(part * len(times)) - 1, 0)]

    @property
    def cpu_milliseconds(self) -> float:
        """Processor time of the task for each click, everything included: cards, Home tabs, the work beside them."""
        return self.watch.cpu_seconds / max(len(self.clicks), 1) * 1000


@contextmanager
def stores_of(task: ServedTask) -> Iterator[Stores]:
    """The store that the task works on."""
    keyring = AuditKeyring.from_text(AUDIT_KEY)
    with closing(open_stores(task.settings["COUNTERSIGN_STORE"], keyring=keyring)) as stores:
        yield stores


def warm_up(office: Office, stores: Stores, turns: int = 2 * len(MIX), waiting: int = len(MIX)) -> None:
    """Caches fill, and some cards wait for a decision."""
    for _ in range(waiting):
        office.ask(time.monotonic())
    office.wait_for_cards(waiting)
    send(office, turns, _WARM_UP_PER_SECOND)
    settle(office, stores)
    office.clicks.clear()


def load(office: Office, task: ServedTask, stores: Stores, limit: CpuLimit, *, turns: int, per_second: float) -> Loaded:
    """Send the clicks, wait until everything that they caused is delivered, and count what it cost."""
    calls = len(office.slack.calls)
    before = limit.read_throttling()
    with Watch(task.pid) as watch:
        failures = send(office, turns, per_second)
        after = limit.read_throttling()
        began = time.monotonic()
        settle(office, stores)
    made = Counter(call.method for call in office.slack.calls[calls:])
    failures.update(f"{each.kind}: {each.failure}" for each in office.clicks if each.failure is not None)
    waited = after.since(before) if before is not None and after is not None else None
    return Loaded(tuple(office.clicks), failures, watch, waited, made, time.monotonic() - began)


def send(office: Office, turns: int, per_second: float) -> Counter[str]:
    """So many people's turns, each when it is due. Returns what could not be clicked."""
    pace = per_second * len(MIX) / CLICKS_OF_THE_MIX
    broken: Counter[str] = Counter()
    begin = time.monotonic() + 0.1

    def take(turn: Callable[[float], None], due: float) -> None:
        try:
            turn(due)
        except Exception as error:  # noqa: BLE001 - whatever it was, this click failed
            broken[f"{turn.__name__}: {type(error).__name__}: {error}"] += 1

    with ThreadPoolExecutor(_PEOPLE) as people:
        for number, turn in zip(range(turns), office.turns(), strict=False):
            due = begin + number / pace
            time.sleep(max(0.0, due - time.monotonic()))
            people.submit(take, turn, due)
    return broken


def settle(office: Office, stores: Stores) -> None:
    """Wait until everything that was committed is delivered."""
    office.slack.wait_until(lambda: not any(stores.outbox.iterate_due(SystemClock().now())), _SETTLE_SECONDS)


def lost(office: Office, stores: Stores) -> list[str]:
    """What was acknowledged as recorded and isn't in the store as acknowledged, and what was decided twice."""
    acknowledged = office.acknowledged
    requests = list(stores.requests.iterate())
    asked = {request.justification for request in requests}
    events = {event.justification: event.status for event in stores.break_glass.iterate()}
    missing = [f"decided twice: {request.id}" for request in requests if len(request.approvals) > 1]
    missing += [f"asked: {why}" for why in acknowledged.asked - asked]
    missing += [f"declared: {why}" for why in acknowledged.emergencies - events.keys()]
    missing += [f"closed: {why}" for why in acknowledged.closed if events.get(why) is not EventStatus.CLOSED]
    for request, status in acknowledged.decided.items():
        found = stores.requests.get(RequestId(request)).status
        if found is not status:
            missing.append(f"{status}: {request} is {found}")
    return missing

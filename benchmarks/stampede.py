"""How long the last of many people waits who declare for one profile at the same moment, on DynamoDB Local.

Invariant: the limits are judged on ledgers that hold hundreds of usages already, as after a busy month; every
declaration succeeds, and the profile's ledger counts each of them.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from typing import Final

from benchmarks.harness import KEYRING, PROFILES, ServiceHarness, dynamodb_harness, dynamodb_local, new_person
from benchmarks.results import Goal, ResultTable, Section, Size
from core.actor import ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent, ReasonCode
from core.clock import SystemClock
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from tests.harness.aws import dynamodb_client

PEOPLE: Final = 40
USAGES: Final = 300
PROFILE: Final = ProfileName(PROFILES[0])
MAX_SECONDS: Final = 3.0
_PROCESSES: Final = (1, 3)
_HOUR: Final = timedelta(hours=1)


def measure(size: Size) -> Section:
    """Forty people in one process and in three."""
    rows, worst = [], 0.0
    for processes in _PROCESSES:
        waits = sorted(_last_wait(processes) for _ in range(size.pick(3, 1)))
        rows.append((str(processes), f"{waits[len(waits) // 2]:.1f} s", f"{waits[-1]:.1f} s"))
        worst = max(worst, waits[-1])
    return Section(
        "stampede",
        f"{PEOPLE} people declare for one profile at once, on DynamoDB Local",
        (ResultTable(("processes", "the last waits (median of the runs)", "worst run"), tuple(rows)),),
        (Goal(f"the last waits under {MAX_SECONDS:g} s", f"{worst:.1f} s", worst < MAX_SECONDS),),
        f"The profile's ledger holds {USAGES} usages before.",
    )


def _last_wait(processes: int) -> float:
    with dynamodb_local() as url, dynamodb_harness(url, SystemClock()) as (harness, _, prefix):
        _fill(harness)
        share = [PEOPLE // processes + (number < PEOPLE % processes) for number in range(processes)]
        # Every process waits for the same moment, which leaves them the time to start.
        start = time.time() + 2 + processes
        context = get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            waits = [wait for each in pool.map(partial(_declare, url, prefix, start), share) for wait in each]
        long_ago = SystemClock().now() - timedelta(days=30)
        count = len(harness.stores.break_glass.get_ledgers(UserId("U0NOBODY"), PROFILE)[1].since(long_ago))
        if count != USAGES + PEOPLE:
            raise AssertionError(f"the ledger counts {count} usages")
    return max(waits)


def _fill(harness: ServiceHarness) -> None:
    now = SystemClock().now()
    ledger = harness.stores.break_glass.get_ledgers(UserId("U0NOBODY"), PROFILE)[1]
    event = None
    for number in range(USAGES):
        event = BreakGlassEvent.invoke(
            invoker=UserId(f"U0FILL{number}"),
            profile=PROFILE,
            reason_code=ReasonCode.INCIDENT,
            justification="Something of the last month",
            rule="on-call",
            now=now - timedelta(days=2) + number * timedelta(minutes=1),
        )
        ledger = ledger.add(event)
    if event is not None:
        draft = EntryDraft.of(event, AuditAction.BREAK_GLASS_INVOKED, event.invoker)
        harness.stores.break_glass.create(event, draft, [ledger])


def _declare(url: str, prefix: str, start: float, people: int) -> list[float]:
    with dynamodb_client(url) as client:
        stores = DynamoStores(Connection(client), prefix, StoreSettings(keyring=KEYRING))
        service = ServiceHarness(stores, SystemClock()).break_glass
        barrier = threading.Barrier(people)

        def declare(_: int) -> float:
            barrier.wait()
            time.sleep(max(0.0, start - time.time()))
            began = time.monotonic()
            service.invoke(
                new_person("S0ONCALL"), PROFILE, ReasonCode.INCIDENT, "All of us at the same moment", _HOUR, code="1"
            )
            return time.monotonic() - began

        with ThreadPoolExecutor(people) as pool:
            waits = list(pool.map(declare, range(people)))
        stores.close()
    return waits

"""`python -m benchmarks.load.grants`: what live access costs a process, while nothing of it is due.

Invariant: each grant was opened by the reconciler at a target that answers at once, and none is due when measured.
Processor time is that of the measuring thread alone.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Final

import click

from benchmarks.load.served import scratch_folder
from core.access.due_rights import DueRights
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.audit.keyring import AuditKeyring
from core.stores import Stores, open_stores
from tests.bot.access_grants import HOUR, StallingTarget, make_grant
from tests.harness.clock import FrozenClock
from tests.harness.served_bot import AUDIT_KEY

_ROUNDS: Final = 20
_MAX_COUNTED: Final = 100_000
_LENGTH: Final = 8 * HOUR


@click.command()
@click.argument("numbers", type=int, nargs=-1)
def main(numbers: tuple[int, ...]) -> None:
    """Measure with so many live grants, by default 100, 1,000 and 10,000, on SQLite."""
    for number in numbers or (100, 1_000, 10_000):
        with scratch_folder() as folder:
            clock = FrozenClock()
            keyring = AuditKeyring.from_text(AUDIT_KEY)
            with closing(open_stores(f"sqlite:///{folder}/grants.db", keyring=keyring, clock=clock)) as stores:
                _measure(stores, clock, number)


def _measure(stores: Stores, clock: FrozenClock, number: int) -> None:
    due = DueRights(stores.access, Reconciler(stores.access, {"box": StallingTarget()}, clock), clock)
    began = time.thread_time()
    for each in range(number):
        right = Right(target="box", resource="prod", level="admin", principal=f"p{each}")
        make_grant(stores, clock.now(), each, right=right, length=_LENGTH)
    made = time.thread_time()
    while due.visit_due().visited:
        clock.advance(timedelta(seconds=1))
    opened = time.thread_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    idle = _milliseconds(due.visit_due)
    counting = _milliseconds(lambda: stores.access.count_live(_MAX_COUNTED))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(
        f"{number:,} live grants: opening {(opened - made) / number * 1000:.1f} ms of processor time each "
        f"(made in {(made - began) / number * 1000:.1f}); an idle pass {idle:.2f} ms; counting them {counting:.1f} ms; "
        f"peak memory grew by {grown / 1024:.1f} MiB meanwhile"
    )


def _milliseconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.thread_time()
        call()
        times.append(time.thread_time() - began)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.load.grants")

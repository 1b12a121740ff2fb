"""The store as an operator needs it: its tables, what waits to be told for too long, and what could not be told.

Invariant: nothing is made, mended or taken up again here; a file that is missing stays missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice
from typing import Final

from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.settings import Settings
from core.clock import Clock
from core.duration import format_duration
from core.errors import StoreError, StoreMisconfigured
from core.outbox.outbox import MAX_PAUSE
from core.stores.base import Stores
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import check_tables
from core.stores.opening import DynamoLocation, SqliteLocation, open_stores, read_store_url
from core.stores.outbox import Delivery
from core.stores.sqlite.checking import find_problem

WAITS_TOO_LONG: Final = timedelta(minutes=10)
"""What passes by itself, such as a pause that Slack asks for, is over by then."""
_MOST_COUNTED: Final = 1_000
_MAX_SHOWN: Final = 5
_ACCESS_DENIED: Final = "AccessDenied"


def check_store(settings: Settings, clock: Clock) -> Iterator[CheckResult]:
    """The tables, then the outbox in them."""
    location = read_store_url(settings.store)
    findings = [_check_file(location)] if isinstance(location, SqliteLocation) else list(_check_tables(location))
    yield from findings
    if any(finding.fix for finding in findings):
        return
    try:
        stores = open_stores(settings.store, keyring=settings.keyring, retention=settings.retention, clock=clock)
        with closing(stores):
            yield from check_outbox(stores, clock)
    except StoreError as error:
        yield _explain(error)


def check_outbox(stores: Stores, clock: Clock) -> Iterator[CheckResult]:
    """Is anybody told, and was anybody not? Raises StoreError."""
    backlog, now = stores.outbox.measure_backlog(_MOST_COUNTED), clock.now()
    waiting = _count(backlog.waiting, "change")
    age = now - backlog.oldest_at if backlog.oldest_at is not None else timedelta()
    if age > WAITS_TOO_LONG:
        yield wrong(
            f"outbox: {waiting} still to be told, the oldest for {format_duration(age - age % timedelta(minutes=1))}",
            "Start `countersign serve`, or run `countersign sweep`; if one of them runs, its log says why.",
        )
        # What was put off is due again within the longest pause.
        yield from _problems("still tried", stores.outbox.iterate_due(now + MAX_PAUSE))
    else:
        yield fine(f"outbox: {waiting} on the way" if backlog.waiting else "outbox: everything was told")
    if backlog.parked:
        yield wrong(
            f"outbox: {_count(backlog.parked, 'change')} could not be told, and nobody tries any more",
            "Mend what the next lines say, then run `countersign sweep --retry-parked`.",
        )
        yield from _problems("not told", stores.outbox.iterate_parked())


def _problems(what: str, deliveries: Iterable[Delivery]) -> Iterator[CheckResult]:
    """Each problem once, the most frequent first: it says by itself how to mend it."""
    problems = Counter(each.problem for each in islice(deliveries, _MOST_COUNTED) if each.problem)
    for problem, times in problems.most_common(_MAX_SHOWN):
        yield note(f"{what}: {problem}" + (f" ({times} times)" if times > 1 else ""))
    if len(problems) > _MAX_SHOWN:
        yield note(f"{what}: {len(problems) - _MAX_SHOWN} more")


def _check_file(location: SqliteLocation) -> CheckResult:
    problem = find_problem(location.path)
    return wrong(f"store: {problem}", "See docs/operators.md.") if problem else fine(f"store: {location.path}")


def _check_tables(location: DynamoLocation) -> Iterator[CheckResult]:
    name = f"the tables {location.prefix}-… in {location.region}"
    try:
        with closing(Connection.open(location.region, location.endpoint_url)) as connection:
            report = check_tables(connection, location.prefix)
    except StoreMisconfigured as error:
        if _ACCESS_DENIED not in error.problem:
            yield _explain(error)
            return
        # That is how deploy/iam-policy.json has it: the bot reads and writes, and describes nothing.
        yield note(f"store: these credentials may not describe {name}, so `countersign tables check` needs others")
        return
    except StoreError as error:
        yield _explain(error)
        return
    for difference in report.differences:
        yield wrong(f"store: {difference.table}: {difference.problem}", f"{difference.fix}.")
    if report.is_fine:
        yield fine(f"store: {name}")


def _explain(error: StoreError) -> CheckResult:
    fix = error.fix if isinstance(error, StoreMisconfigured) else "Check that this machine can reach the store."
    problem = error.problem if isinstance(error, StoreMisconfigured) else str(error)
    return wrong(f"store: {problem}", f"{fix.rstrip('.')}.")


def _count(number: int, thing: str) -> str:
    shown = f"{number:,}" if number < _MOST_COUNTED else f"{number:,} or more"
    return f"{shown} {thing}" if number == 1 else f"{shown} {thing}s"

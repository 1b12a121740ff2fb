"""The store: its tables, notifications that are pending for too long, and those that could not be delivered.

Invariant: nothing is created, fixed or retried here. A missing file stays missing.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from bot.doctor.access_checks import check_grants
from bot.doctor.backup_checks import check_backup
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

OVERDUE_AFTER: Final = timedelta(minutes=10)
"""By then, temporary causes such as a rate limit of Slack's have passed."""
_MAX_COUNTED: Final = 1_000
_MAX_SHOWN: Final = 5
_ACCESS_DENIED: Final = "AccessDenied"


def check_store(settings: Settings, clock: Clock, *, with_content: bool = True) -> Iterator[CheckResult]:
    """The tables, then the outbox and the grants in them, for which the audit key has to be known."""
    location = read_store_url(settings.store)
    findings = [_check_file(location)] if isinstance(location, SqliteLocation) else list(_check_tables(location))
    yield from findings
    if isinstance(location, SqliteLocation):
        yield from _check_mode(location)
        if Path(location.path).is_file():
            yield from check_backup(Path(location.path), clock)
    if any(finding.fix for finding in findings):
        return
    if not with_content:
        yield note("store: what is in it wasn't checked, because the audit key can't be used")
        return
    try:
        stores = open_stores(settings.store, keyring=settings.keyring, retention=settings.retention, clock=clock)
        with closing(stores):
            yield from check_outbox(stores, clock)
            yield from check_grants(stores, clock)
    except StoreError as error:
        yield _explain(error)


def check_tables_of(settings: Settings) -> Iterator[CheckResult]:
    """The tables, or the SQLite file. A file that isn't there yet is made by the first start."""
    location = read_store_url(settings.store)
    if not isinstance(location, SqliteLocation):
        yield from _check_tables(location)
    elif Path(location.path).exists():
        yield _check_file(location)
    else:
        yield note(f"store: {location.path} isn't there yet, and the first start makes it")


def check_outbox(stores: Stores, clock: Clock) -> Iterator[CheckResult]:
    """Are notifications delivered in time, and is any parked? Raises StoreError."""
    backlog, now = stores.outbox.measure_backlog(_MAX_COUNTED), clock.now()
    pending = _count(backlog.waiting, "notification")
    age = now - backlog.oldest_at if backlog.oldest_at is not None else timedelta()
    if age > OVERDUE_AFTER:
        yield wrong(
            f"outbox: {pending} pending, the oldest for {format_duration(age - age % timedelta(minutes=1))}",
            "Start `countersign serve` or run `countersign sweep`. If one of them is running, its log has the cause.",
        )
        # What was postponed is due again within the longest pause.
        yield from _problems("still retrying", stores.outbox.iterate_due(now + MAX_PAUSE))
    else:
        yield fine(f"outbox: {pending} on the way" if backlog.waiting else "outbox: everything was delivered")
    if backlog.parked:
        yield wrong(
            f"outbox: {_count(backlog.parked, 'notification')} could not be delivered and won't be retried",
            "Fix the problems below, then run `countersign sweep --retry-parked`.",
        )
        yield from _problems("not delivered", stores.outbox.iterate_parked())


def _problems(what: str, deliveries: Iterable[Delivery]) -> Iterator[CheckResult]:
    """Each problem once, the most frequent first. The text of a problem includes its fix."""
    problems = Counter(each.problem for each in islice(deliveries, _MAX_COUNTED) if each.problem)
    for problem, times in problems.most_common(_MAX_SHOWN):
        yield note(f"{what}: {problem}" + (f" ({times} times)" if times > 1 else ""))
    if len(problems) > _MAX_SHOWN:
        yield note(f"{what}: {len(problems) - _MAX_SHOWN} more")


def _check_file(location: SqliteLocation) -> CheckResult:
    problem = find_problem(location.path)
    return wrong(f"store: {problem}", "See docs/operators.md.") if problem else fine(f"store: {location.path}")


def _check_mode(location: SqliteLocation) -> Iterator[CheckResult]:
    try:
        mode = stat.S_IMODE(Path(location.path).stat().st_mode)
    except OSError:
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        path = location.path
        yield wrong(f"store: {path} has mode {mode:04o}, so others on this host can read it", f"Run: chmod 600 {path}*")


def _check_tables(location: DynamoLocation) -> Iterator[CheckResult]:
    name = f"the tables {location.prefix}-… in {location.region}"
    try:
        with closing(Connection.open(location.region, location.endpoint_url)) as connection:
            report = check_tables(connection, location.prefix)
    except StoreMisconfigured as error:
        if _ACCESS_DENIED not in error.problem:
            yield _explain(error)
            return
        # deploy/iam-policy.json lets the bot read and write items, not describe tables.
        yield note(f"store: these credentials may not describe {name}. Run `countersign tables check` as an operator")
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
    shown = f"{number:,}" if number < _MAX_COUNTED else f"{number:,} or more"
    return f"{shown} {thing}" if number == 1 else f"{shown} {thing}s"

"""The monthly summary: once a month is over, its figures become one entry of the audit trail, which is delivered.

Invariant: a month has one summary, whichever instance makes it: its id is made of the month, and the trail takes it
once. It holds numbers only, no names and nothing that people wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from core.actor import CLOCK
from core.audit.checkpoint import find_last_checkpoint, read_seal_check
from core.audit.trail import SUMMARIES, AuditAction, AuditEntry, EntryDraft, EntryId
from core.clock import Clock, is_trusted
from core.errors import MalformedRecord
from core.policy import PolicySource
from core.report.access_now import find_review_time, read_access
from core.report.collecting import collect
from core.report.period import Period, month_before
from core.report.report import AccessReport, Integrity, make_report
from core.report.spooled_rows import SpooledRows
from core.stores.base import Stores

SETTLE_TIME: Final = timedelta(minutes=10)
"""How long after the end of a month it is summarised: what was being committed then has arrived."""
SUMMARISED: Final = "summarised"


class MonthlySummary:
    """Summarises the last month, if the policy asks for it. For one thread; any number of instances."""

    def __init__(self, stores: Stores, policy: PolicySource, clock: Clock) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock

    def summarise_due(self, rest: Callable[[], object] = lambda: None) -> tuple[AuditEntry, ...]:
        """Write the summary that is due, and return it; pause with `rest` while reading. Raises StoreError."""
        config = self._policy.current().notifications.summary
        if not config.monthly or not is_trusted(self._clock):
            return ()
        period = month_before(self._clock.now() - SETTLE_TIME, config.zone)
        month = f"{period.local(period.since):%Y-%m}"
        if self._is_done(month):
            return ()
        details = self._describe(period, rest)
        if details is None:
            return ()
        draft = EntryDraft(
            id=EntryId(sha256(f"summary\0{month}".encode()).hexdigest()[:16]),
            event=AuditAction.MONTHLY_SUMMARY,
            actor=CLOCK,
            outcome=SUMMARISED,
            details={"month": month, "timezone": config.timezone, **details},
        )
        return (self._stores.audit.append(SUMMARIES, draft),)

    def _is_done(self, month: str) -> bool:
        """True when this month, or a later one, was summarised."""
        try:
            last = self._stores.audit.get_last(SUMMARIES)
        except MalformedRecord:
            return False
        # A forged one keeps no summary away.
        return last is not None and self._stores.audit.keyring.is_genuine(last) and _month_of(last) >= month

    def _describe(self, period: Period, rest: Callable[[], object]) -> dict[str, JsonValue] | None:
        """The month's figures; None for a month in which nothing was recorded."""
        stores = self._stores
        with SpooledRows() as book:
            seals = read_seal_check(stores.audit, stores.audit.keyring)
            reading = collect(stores.audit, seals, period, book, lambda _: rest())
            if not reading.entries and not reading.left_out:
                return None
            within = find_review_time(self._policy.current())
            report = make_report(
                book, reading, read_access(stores, self._clock.now(), within),
                Integrity(None, find_last_checkpoint(stores.audit, stores.audit.keyring)[1]),
                period=period, store="", review_within=within,
            )  # fmt: skip
            return _figures(report)


def _month_of(entry: AuditEntry) -> str:
    return str(entry.details.get("month", ""))


def _figures(report: AccessReport) -> dict[str, JsonValue]:
    chart, requests, access = report.requests.charts()[0], report.requests, report.access
    median = requests.wait_at(0.5)
    checkpoint = report.integrity.checkpoint
    return {
        "requests": requests.total,
        "outcomes": {each.name: each.total for each in chart.series},
        **({"median_seconds": round(median.total_seconds())} if median is not None else {}),
        "events": report.events.total,
        "reviews_waiting": len(access.reviews),
        "reviews_overdue": sum(each.is_overdue for each in access.reviews),
        "refusals": report.refusals.total,
        "access_open": len(access.holders),
        "entries": report.reading.entries,
        "unusable": report.reading.left_out,
        **({"checkpoint": f"{checkpoint[0].seq}:{checkpoint[0].digest}"} if checkpoint is not None else {}),
        "weeks": list(chart.categories),
        "series": {each.name: list(each.values) for each in chart.series},
    }

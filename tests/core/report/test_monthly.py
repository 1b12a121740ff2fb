"""One summary for each month, however many instances make it, and only where the policy asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.audit.keyring import AuditKeyring
from core.audit.trail import SUMMARIES, AuditAction, EntryDraft
from core.audit.verification import verify_trail
from core.directory import FixedDirectory
from core.policy import parse_policy
from core.report.monthly import SETTLE_TIME, MonthlySummary
from core.request import RequestId
from core.services import RequestService
from core.stores import open_stores
from tests.core.services.harness import BOB, RITA
from tests.harness.clock import FrozenClock
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.policy import Policy
    from core.stores.base import Stores

RING = AuditKeyring.from_text(AUDIT_KEY)
DURING = datetime(2026, 3, 17, 12, tzinfo=UTC)
AFTER = datetime(2026, 3, 31, 22, tzinfo=UTC) + SETTLE_TIME
"""April begins at 22:00 in Berlin."""
TEXT = """\
version: 1
security_channel: C0SECURITY
summary: {monthly: true, timezone: Europe/Berlin}
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: main, profiles: [prod], approvers: [U0BOB], max_duration: 4h}]
"""


def a_policy(text: str = TEXT) -> Policy:
    return parse_policy(text.encode())


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(DURING)


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    opened = open_stores(f"sqlite:///{tmp_path}/countersign.db", keyring=RING, clock=clock)
    requests = RequestService(opened, a_policy(), clock, directory=FixedDirectory())
    first = requests.submit(RITA, "prod", timedelta(hours=1), "Deploy the fix for INC-12")
    clock.advance(timedelta(minutes=5))
    requests.approve(RequestId(first.id), BOB)
    yield opened
    opened.close()


def test_month_is_summarised_once_it_is_over(stores: Stores, clock: FrozenClock) -> None:
    summary = MonthlySummary(stores, a_policy(), clock)
    clock.set(AFTER - timedelta(seconds=1))
    assert summary.summarise_due() == ()
    clock.set(AFTER)
    (entry,) = summary.summarise_due()
    assert (entry.chain, entry.event, entry.details["month"]) == (SUMMARIES, AuditAction.MONTHLY_SUMMARY, "2026-03")
    assert (entry.details["requests"], entry.details["outcomes"]) == (1, {"approved": 1})
    assert entry.details["median_seconds"] == 300
    # Numbers only: no names, and nothing that people wrote.
    assert RITA.id not in str(entry.details)
    assert "INC-12" not in str(entry.details)
    assert summary.summarise_due() == ()
    clock.advance(timedelta(days=20))
    assert summary.summarise_due() == ()
    assert not list(verify_trail(stores, RING, clock.now()))


def test_instances_at_once_make_one_summary(stores: Stores, clock: FrozenClock) -> None:
    clock.set(AFTER)
    one, other = (MonthlySummary(stores, a_policy(), clock) for _ in range(2))
    made: list[str] = []

    def other_is_quicker() -> None:
        if not made:
            made.extend(entry.digest for entry in other.summarise_due())

    (entry,) = one.summarise_due(other_is_quicker)
    assert made == [entry.digest]
    assert len(stores.audit.get_chain(SUMMARIES)) == 1
    due = [each.entry for each in stores.outbox.iterate_due(clock.now() + timedelta(days=1))]
    assert [each.event for each in due].count(AuditAction.MONTHLY_SUMMARY) == 1


def test_month_without_any_entry_has_no_summary(stores: Stores, clock: FrozenClock) -> None:
    clock.set(AFTER + timedelta(days=31))
    assert MonthlySummary(stores, a_policy(), clock).summarise_due() == ()


def test_policy_has_to_ask_for_it(stores: Stores, clock: FrozenClock) -> None:
    clock.set(AFTER)
    silent = a_policy(TEXT.replace("monthly: true, ", ""))
    assert MonthlySummary(stores, silent, clock).summarise_due() == ()


def test_clock_that_is_off_summarises_nothing(stores: Stores) -> None:
    class Off(FrozenClock):
        is_off = True

    assert MonthlySummary(stores, a_policy(), Off(AFTER)).summarise_due() == ()


def test_forged_summary_keeps_no_summary_away(stores: Stores, clock: FrozenClock, tmp_path: Path) -> None:
    clock.set(AFTER)
    forger = open_stores(
        f"sqlite:///{tmp_path}/countersign.db", keyring=AuditKeyring.from_text(OTHER_AUDIT_KEY), clock=clock
    )
    (forged,) = MonthlySummary(stores, a_policy(), clock).summarise_due()
    draft = EntryDraft(event=forged.event, actor=forged.actor, outcome=forged.outcome, details={"month": "2099-01"})
    forger.audit.append(SUMMARIES, draft)
    forger.close()
    clock.advance(timedelta(days=1))
    (entry,) = MonthlySummary(stores, a_policy(), clock).summarise_due()
    assert entry.details["month"] == "2026-03"

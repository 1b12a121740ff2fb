"""Refused attempts are noted without delaying anything, and none goes missing silently."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.actor import DeciderId
from core.audit.trail import AuditAction, AuditEntry
from core.audit.verification import verify_trail
from core.clock import format_time
from core.errors import ConcurrentModification, StoreUnavailable
from core.stores.commit import StoreSettings
from core.stores.refusal_log import MAX_PER_BATCH, MAX_WAITING, BackgroundRefusalLog
from core.stores.sqlite.audit import SqliteAudit
from core.stores.sqlite.database import Database
from tests.builders import APPROVER, REQUESTER, a_refusal
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness
    from tests.harness.clock import FrozenClock

PATIENCE = 30.0
"""Seconds until a test calls a hang a hang. None waits this long when all is well."""


class _TroubledAudit(SqliteAudit):
    """A real store whose disk has a bad day: it holds writers back, or fails them, as long as the test wants."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, StoreSettings())
        self.offered: list[list[str]] = []
        self.reached = threading.Event()
        self.is_open = threading.Event()
        self.is_open.set()
        self.troubles: list[Exception] = []
        self.loses_answers = False

    def append_refusals(self, entries: Sequence[AuditEntry]) -> None:
        self.offered.append([entry.digest for entry in entries])
        self.reached.set()
        assert self.is_open.wait(PATIENCE)
        if self.troubles and self.loses_answers:
            super().append_refusals(entries)
        if self.troubles:
            raise self.troubles.pop(0)
        super().append_refusals(entries)

    def written(self) -> list[AuditEntry]:
        return [entry for _, entries in self.iterate_chains() if isinstance(entries, tuple) for entry in entries]


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[_TroubledAudit]:
    database = Database(str(tmp_path / "countersign.db"))
    yield _TroubledAudit(database)
    database.close()


@pytest.fixture
def log(audit: _TroubledAudit, clock: FrozenClock) -> Iterator[BackgroundRefusalLog]:
    log = BackgroundRefusalLog(audit, StoreSettings(keyring=KEYRING, clock=clock))
    yield log
    audit.is_open.set()
    audit.troubles.clear()
    log.close()


def _in_time(call: Callable[[], None]) -> None:
    """Run it in a thread of its own, and fail when it does not come back."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"


def _outage() -> StoreUnavailable:
    return StoreUnavailable("the disk is on fire")


# --- on every engine


def test_refusals_become_a_chain_that_verifies(stores: Stores) -> None:
    for number in range(3):
        stores.refusals.note(a_refusal(record=f"REQUEST#{number:016x}"))
    stores.refusals.flush()
    stores.refusals.note(a_refusal(AuditAction.INVOKE_REFUSED, details={"unmet": ["no rule allows it"]}))
    stores.refusals.flush()
    ((chain, entries),) = stores.audit.iterate_chains()
    assert isinstance(entries, tuple)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4]
    assert stores.audit.get_refusals_head(chain) == (4, entries[-1].digest)
    assert list(verify_trail(stores, KEYRING, A_MOMENT)) == []


def test_each_instance_has_a_chain_of_its_own(harness: StoreHarness) -> None:
    for stores in (harness.stores, harness.open()):
        stores.refusals.note(a_refusal())
        stores.refusals.flush()
    assert sorted(
        len(entries) for _, entries in harness.stores.audit.iterate_chains() if isinstance(entries, tuple)
    ) == [
        1,
        1,
    ]


# --- what is noted


def test_equal_refusals_become_one_that_says_how_many(
    audit: _TroubledAudit, log: BackgroundRefusalLog, clock: FrozenClock
) -> None:
    audit.is_open.clear()
    log.note(a_refusal(record="REQUEST#first"))
    assert audit.reached.wait(PATIENCE)
    for _ in range(500):
        log.note(a_refusal(details={"unmet": ["not an approver"]}))
        clock.advance(timedelta(seconds=1))
    log.note(a_refusal(actor=REQUESTER, details={"unmet": ["not an approver"]}))
    log.note(a_refusal(details={"unmet": ["something else"]}))
    audit.is_open.set()
    log.flush()
    _, clicked, other_actor, other_reason = audit.written()
    assert clicked.details["times"] == 500
    assert clicked.details["last_at"] == format_time(A_MOMENT + timedelta(seconds=499))
    assert clicked.at == A_MOMENT
    assert other_actor.actor == DeciderId(REQUESTER)
    assert other_actor.details == {"unmet": ["not an approver"]}
    assert other_reason.details == {"unmet": ["something else"]}


def test_single_refusal_says_nothing_of_times(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    log.note(a_refusal(details={"why": "no"}))
    log.flush()
    (entry,) = audit.written()
    assert entry.actor == DeciderId(APPROVER)
    assert entry.details == {"why": "no"}


def test_flood_is_bounded_and_what_is_beyond_is_counted(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    audit.is_open.clear()
    log.note(a_refusal(record="REQUEST#first"))
    assert audit.reached.wait(PATIENCE)
    for number in range(MAX_WAITING + 250):
        log.note(a_refusal(record=f"REQUEST#{number}"))
    audit.is_open.set()
    log.flush()
    entries = audit.written()
    assert len(entries) == 1 + MAX_WAITING
    told = [entry.details for entry in entries if entry.details]
    assert told == [{"further_refusals_not_itemised": 250}]
    assert max(map(len, audit.offered)) == MAX_PER_BATCH


# --- when the store has trouble


def test_noting_waits_for_nothing_though_the_store_hangs(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    audit.is_open.clear()
    log.note(a_refusal(record="REQUEST#first"))
    assert audit.reached.wait(PATIENCE)
    _in_time(lambda: log.note(a_refusal(record="REQUEST#second")))
    assert audit.written() == []
    audit.is_open.set()
    log.flush()
    assert [entry.record for entry in audit.written()] == ["REQUEST#first", "REQUEST#second"]


def test_noting_raises_nothing_though_the_store_fails(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    audit.troubles.append(_outage())
    log.note(a_refusal())
    log.flush()
    log.note(a_refusal(record="REQUEST#second"))
    log.flush()
    assert len(audit.written()) == 2


@pytest.mark.parametrize("loses_answers", [False, True], ids=["nothing was written", "only the answer was lost"])
def test_store_that_failed_is_offered_the_same_entries_again(
    audit: _TroubledAudit, log: BackgroundRefusalLog, *, loses_answers: bool
) -> None:
    audit.loses_answers = loses_answers
    audit.troubles += [_outage(), _outage()]
    log.note(a_refusal(record="REQUEST#first"))
    while len(audit.offered) < 3:
        log.flush()
    log.note(a_refusal(record="REQUEST#second"))
    log.flush()
    first, second, third, later = audit.offered
    assert first == second == third != later
    assert [entry.seq for entry in audit.written()] == [1, 2]


def test_flush_comes_back_when_the_store_fails(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    audit.troubles += [_outage() for _ in range(1000)]
    log.note(a_refusal())
    _in_time(log.flush)
    _in_time(log.flush)
    assert audit.written() == []


def test_flush_with_nothing_noted_is_done_at_once(log: BackgroundRefusalLog) -> None:
    _in_time(log.flush)


def test_entries_that_no_store_takes_do_not_block_later_ones(
    audit: _TroubledAudit, log: BackgroundRefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    audit.troubles.append(TypeError("a float cannot be stored exactly"))
    log.note(a_refusal(record="REQUEST#poison"))
    _in_time(log.flush)
    log.note(a_refusal(record="REQUEST#later"))
    _in_time(log.flush)
    (entry,) = audit.written()
    assert (entry.record, entry.seq, entry.details) == ("REQUEST#later", 1, {"further_refusals_not_itemised": 1})
    assert "1 refused attempts could not be written" in caplog.text


# --- closing


def test_closing_writes_what_was_noted(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    audit.is_open.clear()
    for number in range(2 * MAX_PER_BATCH + 5):
        log.note(a_refusal(record=f"REQUEST#{number}"))
    audit.is_open.set()
    _in_time(log.close)
    assert len(audit.written()) == 2 * MAX_PER_BATCH + 5


def test_closing_tries_once_and_says_what_is_lost(
    audit: _TroubledAudit, log: BackgroundRefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    audit.is_open.clear()
    log.note(a_refusal(record="REQUEST#first"))
    assert audit.reached.wait(PATIENCE)
    audit.troubles += [_outage() for _ in range(1000)]
    for number in range(7):
        log.note(a_refusal(record=f"REQUEST#{number}"))
    closing = threading.Thread(target=log.close)
    closing.start()
    audit.is_open.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert audit.written() == []
    assert "1 refused attempts could not be written" in caplog.text
    assert "7 refused attempts could not be written" in caplog.text


def test_closed_log_leaves_nothing_waiting_and_logs_what_is_late(
    audit: _TroubledAudit, log: BackgroundRefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.note(a_refusal())
    log.close()
    log.note(a_refusal(actor=REQUESTER))
    _in_time(log.flush)
    _in_time(log.close)
    assert [entry.actor for entry in audit.written()] == [DeciderId(APPROVER)]
    assert f"approve_refused by {REQUESTER}" in caplog.text


def test_closing_a_log_that_was_never_used_starts_no_thread(
    audit: _TroubledAudit, log: BackgroundRefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    before = threading.active_count()
    log.close()
    log.note(a_refusal())
    _in_time(log.flush)
    assert threading.active_count() == before
    assert audit.offered == []
    assert "after the audit trail was closed" in caplog.text


def test_chain_that_somebody_else_moved_is_never_written_over(audit: _TroubledAudit, log: BackgroundRefusalLog) -> None:
    # More than the log can try before it is closed: while somebody flushes, it tries without a pause.
    audit.troubles += [ConcurrentModification("REFUSALS#x")] * 100_000
    log.note(a_refusal())
    _in_time(log.flush)
    assert audit.written() == []

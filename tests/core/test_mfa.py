"""One code works once, and five wrong ones lock for a while: judged by a pure function, whatever the clock does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import UserId
from core.clock import TICK
from core.errors import CodeRefused, LimitReached, MalformedRecord
from core.mfa import LOCK, MAX_WRONG_CODES, MAX_WRONG_IN_WINDOW, WINDOW, CodeLedger
from tests.builders import INVOKER
from tests.harness.clock import A_MOMENT

EMPTY = CodeLedger.of(INVOKER)
MINUTE = timedelta(minutes=1)


def after_wrong(count: int, step: timedelta = MINUTE) -> CodeLedger:
    ledger = EMPTY
    for number in range(count):
        ledger = ledger.count_wrong(A_MOMENT + number * step)
    return ledger


def test_code_counts_once_and_an_earlier_one_never_again() -> None:
    used = EMPTY.accept(100)
    for step in (100, 99, 0):
        with pytest.raises(CodeRefused) as refusal:
            used.accept(step)
        assert refusal.value.problem == "used"
    assert used.accept(101).last_step == 101


def test_four_wrong_codes_lock_nobody_and_say_how_many_are_left() -> None:
    ledger = after_wrong(4)
    ledger.refuse_locked(A_MOMENT + 4 * MINUTE)
    assert [after_wrong(count).tries_left for count in range(6)] == [5, 4, 3, 2, 1, 0]


def test_fifth_wrong_code_locks_for_a_quarter_of_an_hour() -> None:
    ledger, fifth = after_wrong(5), A_MOMENT + 4 * MINUTE
    for now in (fifth, fifth + LOCK - TICK, A_MOMENT + LOCK):
        with pytest.raises(LimitReached) as refusal:
            ledger.refuse_locked(now)
        hit = refusal.value
        assert (hit.limit, hit.value, hit.ends_at) == ("wrong codes", "5 in 15m", fifth + LOCK)
    ledger.refuse_locked(fifth + LOCK)


def lock_out(ledger: CodeLedger, now: datetime) -> CodeLedger:
    for _ in range(MAX_WRONG_CODES):
        ledger = ledger.count_wrong(now)
    return ledger


def lock_end(ledger: CodeLedger, now: datetime) -> datetime:
    with pytest.raises(LimitReached) as refusal:
        ledger.refuse_locked(now)
    return refusal.value.ends_at


def test_each_further_lock_within_a_week_is_twice_as_long() -> None:
    ledger, now = EMPTY, A_MOMENT
    for lock in (LOCK, 2 * LOCK, 4 * LOCK):
        ledger = lock_out(ledger, now)
        assert lock_end(ledger, now) == now + lock
        now += lock
        ledger.refuse_locked(now)


def test_lock_of_last_week_no_longer_makes_the_next_one_longer() -> None:
    later = A_MOMENT + WINDOW + TICK
    assert lock_end(lock_out(lock_out(EMPTY, A_MOMENT), later), later) == later + LOCK


def test_twenty_wrong_codes_in_a_week_need_an_operator() -> None:
    ledger, now = EMPTY, A_MOMENT
    for number in range(MAX_WRONG_IN_WINDOW):
        assert not ledger.is_blocked
        ledger, now = ledger.count_wrong(now), now + timedelta(hours=6)
        # A correct code in between doesn't make the wrong ones forgotten.
        ledger = ledger.accept(number)
    for later in (now, now + 52 * WINDOW, A_MOMENT - WINDOW):
        with pytest.raises(CodeRefused) as refusal:
            ledger.refuse_locked(later)
        assert refusal.value.problem == "blocked"
    assert ledger.model_copy(update={"updated_at": now}).kept_until() > now + 52 * WINDOW
    unlocked = ledger.unlock()
    unlocked.refuse_locked(now)
    with pytest.raises(CodeRefused):
        unlocked.accept(0)


def test_nineteen_wrong_codes_of_this_week_leave_one() -> None:
    ledger = EMPTY
    for number in range(MAX_WRONG_IN_WINDOW - 1):
        ledger = ledger.count_wrong(A_MOMENT + number * 2 * LOCK)
    assert ledger.tries_left == 1


def test_lock_that_an_older_version_wrote_still_holds() -> None:
    older = CodeLedger(owner="CODES#U0X", wrong_at=(A_MOMENT,) * MAX_WRONG_CODES)
    assert lock_end(older, A_MOMENT) == A_MOMENT + LOCK


def test_after_the_lock_the_count_begins_anew() -> None:
    ledger = after_wrong(5).count_wrong(A_MOMENT + 4 * MINUTE + LOCK)
    assert ledger.tries_left == 4
    ledger.refuse_locked(A_MOMENT + 4 * MINUTE + LOCK)


def test_right_code_forgives_the_wrong_ones_before_it() -> None:
    assert after_wrong(4).accept(1).tries_left == MAX_WRONG_CODES


def test_wrong_codes_of_long_ago_count_no_more() -> None:
    assert after_wrong(5, LOCK).tries_left == 4


@given(gaps=st.lists(st.integers(min_value=0, max_value=1800), max_size=40))
def test_sixth_wrong_code_is_never_judged_within_a_lock(gaps: list[int]) -> None:
    ledger, now, heard = EMPTY, A_MOMENT, []
    for gap in gaps:
        now += timedelta(seconds=gap)
        try:
            ledger.refuse_locked(now)
        except (LimitReached, CodeRefused):
            continue
        ledger = ledger.count_wrong(now)
        heard.append(now)
    assert all(sixth - first >= LOCK for first, sixth in zip(heard, heard[MAX_WRONG_CODES:], strict=False))


def test_clock_that_goes_back_opens_no_lock() -> None:
    with pytest.raises(LimitReached):
        after_wrong(5).refuse_locked(A_MOMENT - timedelta(hours=1))


def test_people_have_ledgers_of_their_own_beside_those_of_usage() -> None:
    assert CodeLedger.of(UserId("U0X")).owner == "CODES#U0X"


def test_ledger_reads_back_and_is_kept_while_it_matters() -> None:
    ledger = after_wrong(5).model_copy(update={"last_step": 7, "updated_at": A_MOMENT})
    assert CodeLedger.from_item(ledger.to_item()) == ledger
    assert ledger.kept_until() > A_MOMENT + LOCK
    with pytest.raises(MalformedRecord, match="CODES#"):
        CodeLedger.from_item({**ledger.to_item(), "last_step": "seven"})

"""CoalescingCache: one call for all who wait, an answer kept for a while, and no forgotten answer comes back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.slack.coalescing_cache import FRESH_FOR, SERVED_FOR, SHOWN_FOR, CoalescingCache, TooManyLookups
from core.errors import CountersignError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.clock import FrozenClock

SECONDS = 10.0
TICK = timedelta(microseconds=1)


class Oracle:
    """Answers with how often it was asked for the key, once its gate is open, or raises what it is given."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.reached = threading.Semaphore(0)
        self.error: Exception | None = None

    def __call__(self, key: str) -> str:
        self.asked.append(key)
        answer = f"{key} {self.asked.count(key)}"
        self.reached.release()
        assert self.gate.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return answer


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as workers:
        yield workers


@pytest.fixture
def lookup(oracle: Oracle, workers: ThreadPoolExecutor, clock: FrozenClock) -> CoalescingCache[str]:
    return CoalescingCache(oracle, workers, clock, max_answers=2, max_lookups=2)


def settle(lookup: CoalescingCache[str], key: str) -> None:
    """Wait until the question that is open, if there is one, is answered and remembered."""
    if (question := lookup._in_flight.get(key)) is not None:  # noqa: SLF001  The side effect has no other end.
        settled = threading.Event()
        question.future.add_done_callback(lambda _: settled.set())
        assert settled.wait(SECONDS)


def ask(lookup: CoalescingCache[str], key: str = "a") -> str:
    answer = lookup.find(key).result(SECONDS)
    settle(lookup, key)
    return answer


def test_waiting_callers_share_one_lookup(lookup: CoalescingCache[str], oracle: Oracle) -> None:
    oracle.gate.clear()
    questions = [lookup.find("a") for _ in range(20)]
    oracle.gate.set()

    wait(questions, timeout=SECONDS)

    assert {question.result() for question in questions} == {"a 1"}
    assert oracle.asked == ["a"]


@pytest.mark.race
def test_racing_threads_share_one_lookup(lookup: CoalescingCache[str], oracle: Oracle) -> None:
    oracle.gate.clear()
    start = threading.Barrier(8)

    def race() -> str:
        start.wait(SECONDS)
        return lookup.find("a").result(SECONDS)

    with ThreadPoolExecutor(8) as racers:
        answers = [racers.submit(race) for _ in range(8)]
        assert oracle.reached.acquire(timeout=SECONDS)
        oracle.gate.set()
        assert {answer.result(SECONDS) for answer in answers} == {"a 1"}

    assert oracle.asked == ["a"]


def test_fresh_value_is_not_looked_up_again(lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock) -> None:
    ask(lookup)
    clock.advance(FRESH_FOR - TICK)

    assert ask(lookup) == "a 1"
    assert oracle.asked == ["a"]


def test_stale_value_is_served_while_it_is_refreshed(
    lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock
) -> None:
    ask(lookup)
    clock.advance(FRESH_FOR)
    oracle.gate.clear()

    assert lookup.find("a").result(0) == "a 1"
    oracle.gate.set()
    settle(lookup, "a")

    assert ask(lookup) == "a 2"
    assert oracle.asked == ["a", "a"]


def test_expired_value_is_not_served(lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock) -> None:
    ask(lookup)
    clock.advance(SERVED_FOR)
    oracle.gate.clear()

    question = lookup.find("a")

    assert not question.done()
    oracle.gate.set()
    assert question.result(SECONDS) == "a 2"


def test_age_counts_from_the_lookup_not_from_the_answer(
    lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock
) -> None:
    """What is answered late may have been looked up early."""
    oracle.gate.clear()
    question = lookup.find("a")
    clock.advance(SERVED_FOR)
    oracle.gate.set()
    question.result(SECONDS)
    settle(lookup, "a")

    assert ask(lookup) == "a 2"


def test_clock_that_was_set_back_makes_nothing_young(lookup: CoalescingCache[str], clock: FrozenClock) -> None:
    ask(lookup)
    clock.advance(timedelta(hours=-5))

    assert ask(lookup) == "a 2"


def test_failure_reaches_waiting_callers_and_is_not_cached(lookup: CoalescingCache[str], oracle: Oracle) -> None:
    oracle.error = CountersignError("not now")
    with pytest.raises(CountersignError, match="not now"):
        ask(lookup)
    oracle.error = None

    assert ask(lookup) == "a 2"


def test_failed_refresh_keeps_the_value(lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock) -> None:
    ask(lookup)
    oracle.error = CountersignError("not now")
    clock.advance(FRESH_FOR)
    ask(lookup)
    clock.advance(SERVED_FOR - FRESH_FOR - TICK)

    assert ask(lookup) == "a 1"


def test_bug_in_a_refresh_is_logged(
    lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    ask(lookup)
    oracle.error = ZeroDivisionError()
    clock.advance(FRESH_FOR)
    ask(lookup)

    assert [record.getMessage() for record in caplog.records] == ["a lookup failed"]


def test_forgotten_key_is_looked_up_anew(lookup: CoalescingCache[str]) -> None:
    ask(lookup)
    lookup.forget("a")

    assert ask(lookup) == "a 2"


def test_lookup_begun_before_a_forget_is_not_cached(lookup: CoalescingCache[str], oracle: Oracle) -> None:
    """Or the answer to an old question would undo the news that somebody was deactivated."""
    oracle.gate.clear()
    early = lookup.find("a")
    assert oracle.reached.acquire(timeout=SECONDS)
    lookup.forget("a")
    late = lookup.find("a")
    assert oracle.reached.acquire(timeout=SECONDS)
    oracle.gate.set()

    assert (early.result(SECONDS), late.result(SECONDS)) == ("a 1", "a 2")
    settle(lookup, "a")
    assert lookup.get_stale("a") == "a 2"


def test_longest_unused_value_is_evicted_first(lookup: CoalescingCache[str], oracle: Oracle) -> None:
    ask(lookup, "a")
    ask(lookup, "b")
    ask(lookup, "a")
    ask(lookup, "c")

    assert [ask(lookup, "a"), ask(lookup, "b")] == ["a 1", "b 2"]
    assert oracle.asked == ["a", "b", "c", "b"]


def test_pending_lookups_are_bounded(lookup: CoalescingCache[str], oracle: Oracle) -> None:
    oracle.gate.clear()
    questions = [lookup.find("a"), lookup.find("b")]

    with pytest.raises(TooManyLookups):
        lookup.find("c").result(0)

    oracle.gate.set()
    wait(questions, timeout=SECONDS)
    for key in ("a", "b"):
        settle(lookup, key)
    assert ask(lookup, "c") == "c 1"


def test_closed_cache_refuses_lookups(lookup: CoalescingCache[str], workers: ThreadPoolExecutor) -> None:
    workers.shutdown()

    with pytest.raises(TooManyLookups):
        lookup.find("a").result(0)


def test_get_stale_returns_what_is_cached(lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock) -> None:
    oracle.gate.clear()
    assert lookup.get_stale("a") is None
    oracle.gate.set()
    settle(lookup, "a")

    assert lookup.get_stale("a") == "a 1"
    oracle.error = CountersignError("not now")
    clock.advance(SHOWN_FOR - TICK)
    assert lookup.get_stale("a") == "a 1"
    settle(lookup, "a")
    clock.advance(TICK)
    assert lookup.get_stale("a") is None


def test_refresh_looks_up_only_what_is_not_fresh(
    lookup: CoalescingCache[str], oracle: Oracle, clock: FrozenClock
) -> None:
    for _ in range(2):
        lookup.refresh("a")
        settle(lookup, "a")
    assert oracle.asked == ["a"]

    clock.advance(FRESH_FOR)
    lookup.refresh("a")
    settle(lookup, "a")
    assert oracle.asked == ["a", "a"]

"""What every target keeps, whatever stands behind it: the contract that the reconciler rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.targets.base import Absent, Held, Later, OperationKey, TargetRefused, Unknown
from tests.core.targets.benches import NAMES, STRICT, Bench, open_bench
from tests.core.targets.harness import give, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.clock import FrozenClock

UNTIL = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
GRANT = "0123456789abcdef"


@pytest.fixture(params=NAMES)
def bench(
    request: pytest.FixtureRequest, clock: FrozenClock, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    del aws_environment
    moto_url = lambda: str(request.getfixturevalue("moto_url"))  # noqa: E731
    with open_bench(request.param, clock, moto_url, monkeypatch) as opened:
        yield opened


only_strict = pytest.mark.parametrize("bench", STRICT, indirect=True)
"""Not on what can't be made to fail: moto, and the demo, whose outage has tests of its own."""
only_receivers = pytest.mark.parametrize("bench", ["webhook", "lambda"], indirect=True)


def test_right_is_given_seen_and_taken(bench: Bench) -> None:
    right = bench.new_right()

    assert bench.target.inspect(right) == Absent()
    assert give(bench.target, right, UNTIL) == Held()
    assert bench.target.inspect(right) == Held()
    assert take(bench.target, right) == Absent()
    assert bench.target.inspect(right) == Absent()


def test_one_take_undoes_any_number_of_gives(bench: Bench) -> None:
    right = bench.new_right()

    for generation in (1, 2, 3):
        if generation == 1 or not bench.makes_duplicates:
            assert isinstance(give(bench.target, right, UNTIL, OperationKey(GRANT, generation)), Held)
    assert take(bench.target, right, OperationKey(GRANT, 4)) == Absent()
    assert bench.target.inspect(right) == Absent()


def test_taking_again_is_absent(bench: Bench) -> None:
    right = bench.new_right()
    give(bench.target, right, UNTIL)

    assert [take(bench.target, right, OperationKey(GRANT, each)) for each in (2, 3)] == [Absent(), Absent()]


def test_taking_what_was_never_given_is_absent(bench: Bench) -> None:
    assert take(bench.target, bench.new_right()) == Absent()


def test_what_stood_before_is_said(bench: Bench) -> None:
    if bench.makes_duplicates:
        pytest.skip("moto accepts a second membership; AWS answers with a conflict")
    right = bench.new_right()
    bench.put(right)

    assert bench.target.inspect(right) == Held()
    assert give(bench.target, right, UNTIL) == Held(stood_before=True)


def test_rights_of_two_people_are_apart(bench: Bench) -> None:
    one, other = bench.new_right(), bench.new_right()
    give(bench.target, one, UNTIL)
    give(bench.target, other, UNTIL)

    assert take(bench.target, one) == Absent()
    assert bench.target.inspect(other) == Held()


def test_residual_asks_nobody(bench: Bench) -> None:
    right = bench.new_right()

    assert timedelta(0) <= bench.target.residual(right) <= timedelta(hours=12)
    assert isinstance(bench.target.ends_sessions, bool)


def test_token_that_is_none_of_its_own_is_refused(bench: Bench) -> None:
    for token in ("", "nonsense", "pending:nonsense", "demo:1"):
        assert isinstance(bench.target.poll(token), TargetRefused)


@only_strict
@pytest.mark.parametrize("op", ["give", "take"])
def test_lost_answer_is_unknown_until_a_look(bench: Bench, op: str, clock: FrozenClock) -> None:
    right = bench.new_right()
    assert bench.lose
    if op == "take":
        give(bench.target, right, UNTIL)
    bench.lose(op)

    if op == "give":
        assert isinstance(bench.target.give(right, UNTIL, OperationKey(GRANT, 1)), Unknown)
    else:
        assert isinstance(bench.target.take(right, OperationKey(GRANT, 2)), Unknown)
    clock.advance(timedelta(minutes=1))
    assert bench.target.inspect(right) == (Held() if op == "give" else Absent())
    # Doing it again with the same key ends in the same.
    again = give(bench.target, right, UNTIL) if op == "give" else take(bench.target, right)
    assert isinstance(again, Held if op == "give" else Absent)


@only_strict
@pytest.mark.parametrize("op", ["give", "take"])
def test_later_means_that_nothing_changed(bench: Bench, op: str) -> None:
    right = bench.new_right()
    assert bench.put_off
    if op == "take":
        give(bench.target, right, UNTIL)
    bench.put_off(op)

    answer = (
        bench.target.give(right, UNTIL, OperationKey(GRANT, 1))
        if op == "give"
        else bench.target.take(right, OperationKey(GRANT, 2))
    )
    assert isinstance(answer, Later)
    assert answer.after > timedelta(0)
    assert answer.problem
    assert bench.target.inspect(right) == (Absent() if op == "give" else Held())
    # The same step succeeds when it is tried again.
    again = give(bench.target, right, UNTIL) if op == "give" else take(bench.target, right)
    assert isinstance(again, Held if op == "give" else Absent)


@only_strict
def test_refusal_says_why_and_changes_nothing(bench: Bench) -> None:
    right = bench.new_right()
    assert bench.refuse
    bench.refuse("give")

    answer = bench.target.give(right, UNTIL, OperationKey(GRANT, 1))
    assert isinstance(answer, TargetRefused)
    assert answer.reason.endswith(".")
    assert bench.target.inspect(right) == Absent()


@only_receivers
def test_older_generation_changes_nothing(bench: Bench) -> None:
    right = bench.new_right()
    give(bench.target, right, UNTIL, OperationKey(GRANT, 5))
    assert take(bench.target, right, OperationKey(GRANT, 6)) == Absent()

    # A worker that was frozen sends its give late.
    late = bench.target.give(right, UNTIL, OperationKey(GRANT, 5))
    assert isinstance(late, Later)
    assert bench.target.inspect(right) == Absent()


@only_receivers
def test_same_order_again_gets_the_same_answer(bench: Bench) -> None:
    right = bench.new_right()

    assert [give(bench.target, right, UNTIL, OperationKey(GRANT, 1)) for _ in range(2)] == [Held(), Held()]
    assert give(bench.target, right, UNTIL, OperationKey(GRANT, 2)) == Held(stood_before=True)

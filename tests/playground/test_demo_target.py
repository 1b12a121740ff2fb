"""The pretend AWS: what it says in an outage, and that nothing is lost when the playground is killed."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import InvalidInput
from core.targets.base import Absent, Held, InProgress, Later, OperationKey, Unknown
from playground.demo_state import MAX_DONE, MAX_HAPPENINGS, DemoState, HappeningKind
from playground.demo_target import DELAY, DemoTarget
from tests.core.targets.harness import GIVE_KEY, TAKE_KEY, a_right

if TYPE_CHECKING:
    from pathlib import Path

    from core.access.right import Right
    from tests.harness.clock import FrozenClock

MIRAS = a_right("111122223333", "AdministratorAccess", "mira@example.com", "aws")
SAMS = a_right("111122223333", "AdministratorAccess", "sam@example.com", "aws")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "aws.json"


@pytest.fixture
def target(path: Path, clock: FrozenClock) -> DemoTarget:
    return DemoTarget(path, clock)


def give(target: DemoTarget, clock: FrozenClock, right: Right = MIRAS) -> InProgress:
    answer = target.give(right, clock.now() + timedelta(hours=1), GIVE_KEY)
    assert isinstance(answer, InProgress)
    return answer


def test_change_takes_a_moment_that_can_be_seen(target: DemoTarget, clock: FrozenClock) -> None:
    begun = give(target, clock)
    assert target.poll(begun.token) == begun
    assert target.inspect(MIRAS) == Absent()

    clock.advance(DELAY)
    assert target.poll(begun.token) == Held()
    assert target.inspect(MIRAS) == Held()
    assert target.state.assignments[0].since == clock.now()


def test_two_changes_of_one_right_are_never_under_way(target: DemoTarget, clock: FrozenClock) -> None:
    begun = give(target, clock)
    assert give(target, clock) == begun
    assert isinstance(target.take(MIRAS, TAKE_KEY), Later)
    assert isinstance(target.give(SAMS, clock.now(), GIVE_KEY), InProgress)


def test_outage_answers_nothing_and_changes_nothing(target: DemoTarget, clock: FrozenClock) -> None:
    begun = give(target, clock)
    target.switch_outage(is_out=True)
    clock.advance(2 * DELAY)

    assert isinstance(target.give(SAMS, clock.now(), GIVE_KEY), Unknown)
    assert isinstance(target.take(MIRAS, TAKE_KEY), Unknown)
    for answer in (target.inspect(MIRAS), target.poll(begun.token)):
        assert isinstance(answer, Later)
        assert answer.is_for_all
        assert "outage" in answer.problem
    assert target.state.assignments == ()

    target.switch_outage(is_out=False)
    assert target.poll(begun.token) == Held()
    assert target.inspect(SAMS) == Absent()
    kinds = [each.kind for each in target.state.happened]
    assert kinds == [HappeningKind.ADDED, HappeningKind.OUTAGE_ENDED, HappeningKind.OUTAGE_BEGAN]


def test_other_people_can_act_in_an_outage(target: DemoTarget) -> None:
    target.switch_outage(is_out=True)
    target.add_by_hand(MIRAS)
    assert target.state.find(MIRAS) is not None
    target.remove_by_hand(MIRAS)
    assert target.state.find(MIRAS) is None
    assert all(each.is_by_hand for each in target.state.happened[:2])


def test_everything_is_there_after_a_kill(target: DemoTarget, path: Path, clock: FrozenClock) -> None:
    # Nobody closes the first one, as nobody does when a process is killed.
    token = give(target, clock).token
    target.add_by_hand(SAMS)
    target.switch_outage(is_out=True)
    again = DemoTarget(path, clock)
    assert again.state == target.state
    again.switch_outage(is_out=False)
    clock.advance(DELAY)
    assert again.poll(token) == Held()

    third = DemoTarget(path, clock)
    assert third.poll(token) == Held()
    assert [third.inspect(each) for each in (MIRAS, SAMS)] == [Held(), Held()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_answered_was_written_before(target: DemoTarget, path: Path, clock: FrozenClock) -> None:
    path.mkdir()
    with pytest.raises(OSError, match=r"aws\.json"):
        give(target, clock)
    assert target.state == DemoState()


def test_unknown_change_is_said_to_be_forgotten(target: DemoTarget) -> None:
    assert target.poll("change-0123456789abcdef") == Unknown("AWS (pretend) knows no such change.", is_forgotten=True)


def test_each_state_is_told_once_and_in_order(path: Path, clock: FrozenClock) -> None:
    told: list[DemoState] = []
    target = DemoTarget(path, clock, told.append)
    give(target, clock)
    clock.advance(DELAY)
    for _ in range(3):
        target.inspect(MIRAS)
    target.add_by_hand(MIRAS)
    assert [(len(each.under_way), len(each.assignments)) for each in told] == [(1, 0), (0, 1)]


def test_file_stays_small(target: DemoTarget, path: Path, clock: FrozenClock) -> None:
    for generation in range(70):
        give(target, clock)
        clock.advance(DELAY)
        target.take(MIRAS, OperationKey("0123456789abcdef", generation))
        clock.advance(DELAY)
    assert (len(target.state.happened), len(target.state.done)) == (MAX_HAPPENINGS, MAX_DONE)
    assert len(path.read_bytes()) < 60_000


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"assignments": [{"right": "aws|only", "since": "now"}]})])
def test_broken_file_names_the_way_out(path: Path, clock: FrozenClock, text: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidInput, match="--reset"):
        DemoTarget(path, clock)

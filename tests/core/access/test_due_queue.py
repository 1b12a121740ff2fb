"""Which right is visited next: lanes that hold up no other, bounded, judged anew by each pass; no threads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.access.due_queue import ONE_AT_A_TIME, DueQueue, Room
from core.access.holding import Urgency
from core.access.right import Right
from core.targets.base import Absent, Held, Later, Unknown
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from core.access.pauses import Visit
    from core.targets.base import Answer

EMERGENCIES = Room(at_once=8, per_target=3)
LANES = Room(at_once=8, per_target=1)
LOST = Unknown("no answer")


def a_right(principal: str, target: str = "aws", resource: str = "111122223333") -> Right:
    return Right(target=target, resource=resource, level="admin", principal=principal)


def rights(number: int, target: str = "aws") -> list[Right]:
    return [a_right(f"p{each}", target) for each in range(number)]


class QueueHarness:
    """A queue at a clock that stands still until a test moves it."""

    def __init__(self, room: Room = LANES) -> None:
        self.queue = DueQueue(room)
        self.now = A_MOMENT

    def read(self, urgency: Urgency, due: Iterable[Right]) -> None:
        self.queue.begin(urgency)
        for right in due:
            self.queue.offer(right, self.now)
        self.queue.finish()

    def take(self) -> Visit | None:
        return self.queue.take(self.now)

    def take_all(self) -> list[Right]:
        return [visit.right for visit in iter(self.take, None)]

    def answer(self, answer: Answer | None) -> Visit:
        """The next visit, with this answer."""
        visit = self.take()
        assert visit is not None
        self.queue.put_down(visit, answer, self.now)
        return visit


def test_target_that_hangs_holds_up_no_other() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, [*rights(3), a_right("eve", "db")])
    assert lanes.take_all() == [a_right("p0"), a_right("eve", "db")]


def test_emergencies_of_one_target_are_opened_at_once() -> None:
    lanes = QueueHarness(EMERGENCIES)
    lanes.read(Urgency.EMERGENCY, rights(5))
    assert lanes.take_all() == rights(3)


def test_targets_that_hang_leave_places_for_others() -> None:
    lanes = QueueHarness(EMERGENCIES)
    lanes.read(Urgency.EMERGENCY, [each for target in "abc" for each in rights(5, target)])
    assert len(lanes.take_all()) == 6
    lanes.read(Urgency.EMERGENCY, [a_right("eve", "db"), a_right("bob", "db")])
    assert lanes.take_all() == [a_right("eve", "db")]


def test_right_in_hand_is_not_handed_out_again() -> None:
    lanes = QueueHarness(EMERGENCIES)
    lanes.read(Urgency.EMERGENCY, rights(1))
    visit = lanes.take()
    assert visit is not None
    lanes.read(Urgency.EMERGENCY, rights(1))
    assert lanes.take() is None
    lanes.queue.begin_pass()
    lanes.queue.put_down(visit, Held(), lanes.now)
    # It was read before it was done.
    lanes.read(Urgency.EMERGENCY, rights(1))
    assert lanes.take() is None
    lanes.queue.begin_pass()
    lanes.read(Urgency.EMERGENCY, rights(1))
    assert lanes.take_all() == rights(1)


def test_right_taken_while_it_is_read_is_not_handed_out_again() -> None:
    lanes = QueueHarness(EMERGENCIES)
    lanes.read(Urgency.EMERGENCY, rights(2))
    lanes.queue.begin(Urgency.EMERGENCY)
    for right in rights(2):
        lanes.queue.offer(right, lanes.now)
    assert len(lanes.take_all()) == 2
    lanes.queue.finish()
    assert lanes.take() is None


def test_revoke_goes_before_looks_that_wait() -> None:
    lanes = QueueHarness(ONE_AT_A_TIME)
    lanes.read(Urgency.LOOK, rights(3))
    assert lanes.answer(Held()).right == a_right("p0")
    lanes.read(Urgency.REVOKE, [a_right("p2")])
    assert [lanes.answer(Absent()).right.principal for _ in range(2)] == ["p2", "p1"]
    assert lanes.take() is None


def test_what_is_due_no_longer_is_not_visited() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.LOOK, rights(3))
    lanes.read(Urgency.LOOK, ())
    assert lanes.take() is None


def test_lanes_are_served_in_turn_when_room_is_short() -> None:
    lanes = QueueHarness(ONE_AT_A_TIME)
    lanes.read(Urgency.LOOK, [*rights(2, "a"), *rights(2, "b")])
    assert [lanes.answer(Held()).right.target for _ in range(4)] == ["a", "b", "a", "b"]


def test_lane_is_bounded_and_says_when_it_wants_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.access.due_queue.MAX_WAITING", 2)
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, [*rights(3), a_right("eve", "db")])
    assert (lanes.queue.is_cut, lanes.queue.left) == (True, 4)
    wants = []
    for _ in range(3):
        lanes.answer(Absent())
        wants.append((lanes.queue.wants_more("aws"), lanes.queue.wants_more("db")))
    assert wants == [(False, False), (False, False), (True, False)]
    assert lanes.take() is None


def test_what_is_in_hand_or_done_takes_no_place_in_its_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.access.due_queue.MAX_WAITING", 1)
    lanes = QueueHarness(EMERGENCIES)
    lanes.read(Urgency.EMERGENCY, rights(1))
    lanes.answer(Held())
    # An index that lags still shows it.
    lanes.read(Urgency.EMERGENCY, rights(2))
    assert lanes.take_all() == [a_right("p1")]
    lanes.read(Urgency.EMERGENCY, rights(3))
    assert lanes.take_all() == [a_right("p2")]


def test_hundreds_that_conflict_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.access.due_queue.MAX_WAITING", 4)
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, rights(1))
    lanes.answer(Later())
    elsewhere = a_right("eve", resource="444455556666")
    lanes.read(Urgency.REVOKE, [*rights(100)[1:], elsewhere])
    assert lanes.take_all() == [elsewhere]


# Pauses


def test_pause_has_one_probe_and_its_answer_ends_it() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, rights(4))
    assert not lanes.answer(LOST).is_probe
    assert lanes.answer(LOST).is_probe
    assert lanes.take() is None
    lanes.now += timedelta(seconds=2)
    assert not lanes.answer(LOST).is_probe
    assert lanes.answer(Absent()).is_probe
    lanes.queue.begin_pass()
    # Nothing is paused any more: what failed has its turn, too.
    lanes.read(Urgency.REVOKE, rights(1))
    assert not lanes.answer(Absent()).is_probe


def test_probe_is_unlike_what_failed() -> None:
    lanes = QueueHarness()
    failing = [a_right("p0", resource=each) for each in "abc"]
    lanes.read(Urgency.REVOKE, [*failing, a_right("eve", resource="a")])
    lanes.read(Urgency.GRANT, [a_right("bob", resource="d")])
    assert lanes.answer(LOST).right == failing[0]
    assert lanes.answer(LOST).right == a_right("bob", resource="d")


def test_probe_that_failed_lets_another_urgency_go_first() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, rights(4))
    lanes.read(Urgency.GRANT, [a_right("bob")])
    for _ in range(2):
        lanes.answer(LOST)
    lanes.now += timedelta(seconds=2)
    lanes.answer(LOST)
    probe = lanes.answer(LOST)
    assert (probe.urgency, probe.is_probe) == (Urgency.GRANT, True)


def test_what_failed_is_no_probe() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, rights(1))
    lanes.answer(LOST)
    lanes.queue.begin_pass()
    lanes.read(Urgency.REVOKE, rights(1))
    assert lanes.take() is None


def test_probe_that_called_nobody_leaves_its_turn_to_another() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.REVOKE, rights(3))
    lanes.answer(LOST)
    assert lanes.answer(None).is_probe
    assert lanes.answer(LOST).is_probe
    assert lanes.take() is None


def test_rest_that_the_target_asked_for_has_no_probe() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.GRANT, rights(3))
    lanes.answer(Later(timedelta(seconds=20), is_for_all=True))
    assert lanes.take() is None


def test_emergency_waits_for_no_pause() -> None:
    lanes = QueueHarness()
    lanes.read(Urgency.GRANT, rights(3))
    for _ in range(2):
        lanes.answer(LOST)
    lanes.read(Urgency.EMERGENCY, [a_right("eve")])
    assert lanes.take_all() == [a_right("eve")]

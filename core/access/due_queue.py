"""What is due, in lanes: one for each target. Which right is visited next, as far as there is room. State, no threads.

Invariant: a right in hand is not handed out again. A lane is bounded, and what waits in it is what the last pass read:
a revoke that becomes due goes before looks that already wait. No target takes the last places from the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from core.access.holding import Urgency
from core.access.pauses import URGENCIES, TargetPauses, Visit
from core.access.right import Right
from core.targets.base import Answer

MAX_WAITING: Final = 200
"""How many rights of one urgency wait in a lane; the others are read again when there is room."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many rights may be in hand at once: altogether, and of one target.

    A quarter of the places is kept for targets of which none is in hand.
    """

    at_once: int
    per_target: int

    def has_place(self, in_hand: int, of_target: int) -> bool:
        """True when one more right of this target may be taken in hand."""
        kept = self.at_once // 4 if of_target else 0
        return of_target < self.per_target and in_hand < self.at_once - kept


ONE_AT_A_TIME: Final = Room(1, 1)
_Rights = dict[Right, str | None]
"""Rights in the order of their turns, each with a grant that is known to be overdue, if there is one."""
_NONE: Final[Mapping[Right, str | None]] = MappingProxyType({})


@dataclass(slots=True)
class _TargetLane:
    waiting: dict[Urgency, _Rights] = field(default_factory=dict)
    in_hand: int = 0
    last_take: int = 0

    def iterate(self) -> Iterator[Visit]:
        return (
            Visit(right, urgency, grant)
            for urgency in URGENCIES
            for right, grant in self.waiting.get(urgency, _NONE).items()
        )

    def remove(self, right: Right) -> None:
        for waiting in self.waiting.values():
            waiting.pop(right, None)


@dataclass(slots=True)
class _Reading:
    """The rights of one urgency, as they are read: those that may be visited, and at most as many held back."""

    urgency: Urgency
    rights: dict[str, _Rights] = field(default_factory=dict)
    held_back: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)


class DueQueue:
    """For one caller at a time: with threads, hold a lock."""

    def __init__(self, room: Room = ONE_AT_A_TIME) -> None:
        self._room = room
        self._pauses = TargetPauses()
        self._lanes: dict[str, _TargetLane] = {}
        self._in_hand: set[Right] = set()
        self._finished: set[Right] = set()
        self._reading = _Reading(Urgency.LOOK)
        self._cut: dict[Urgency, dict[str, int]] = {}
        self._takes = 0

    @property
    def is_cut(self) -> bool:
        """True when more is due than the lanes have room for."""
        return any(self._cut.values())

    @property
    def left(self) -> int:
        """How many rights wait."""
        waiting = {each.right for lane in self._lanes.values() for each in lane.iterate()}
        return len(waiting) + sum(sum(cut.values()) for cut in self._cut.values())

    def begin_pass(self) -> None:
        """From here on, it is read what is due; what is finished from now on may be in it, and is left out."""
        self._finished.clear()

    def begin(self, urgency: Urgency) -> None:
        """From here on, `offer` is called with each right that is as urgent as this, longest due first."""
        self._reading = _Reading(urgency)

    def offer(self, right: Right, now: datetime, grant: str | None = None) -> None:
        """This right is due; `grant` is the id of one that is known to be overdue."""
        reading, target = self._reading, right.target
        rights = reading.rights.setdefault(target, {})
        if right in rights or right in self._in_hand or right in self._finished:
            return
        is_held_back = self._pauses.is_held_back(right, now)
        held_back = reading.held_back.get(target, 0)
        # However many conflict with one that is in progress, those behind them have their turn.
        if len(rights) >= MAX_WAITING or (is_held_back and held_back >= MAX_WAITING // 2):
            reading.cut[target] = reading.cut.get(target, 0) + 1
            return
        reading.held_back[target] = held_back + is_held_back
        rights[right] = grant

    def finish(self) -> None:
        """All that is as urgent was offered: it replaces what waited."""
        reading = self._reading
        for target in reading.rights:
            self._lanes.setdefault(target, _TargetLane())
        for target, lane in self._lanes.items():
            offered = reading.rights.get(target, _NONE).items()
            # Taken or finished since it was offered.
            lane.waiting[reading.urgency] = {
                right: grant for right, grant in offered if right not in self._in_hand and right not in self._finished
            }
        self._cut[reading.urgency] = reading.cut

    def take(self, now: datetime) -> Visit | None:
        """Take in hand what is visited next, if there is something, and room."""
        best: tuple[tuple[int, int, int], Visit] | None = None
        for target, lane in self._lanes.items():
            if not self._room.has_place(len(self._in_hand), lane.in_hand):
                continue
            if (visit := self._choose(target, lane, now)) is not None:
                rank = URGENCIES.index(visit.urgency), lane.in_hand, lane.last_take
                best = min(best or (rank, visit), (rank, visit), key=lambda each: each[0])
        if best is None:
            return None
        _, visit = best
        self._takes += 1
        lane = self._lanes[visit.right.target]
        lane.remove(visit.right)
        lane.in_hand, lane.last_take = lane.in_hand + 1, self._takes
        self._in_hand.add(visit.right)
        self._pauses.begin(visit)
        return visit

    def put_down(self, visit: Visit, answer: Answer | None, now: datetime) -> None:
        """It was visited; None: its target was not called."""
        self._in_hand.discard(visit.right)
        self._finished.add(visit.right)
        self._lanes[visit.right.target].in_hand -= 1
        self._pauses.note(visit, answer, now)

    def wants_more(self, target: str) -> bool:
        """True when a lane has done all that it had room for, and more is due."""
        waiting = self._lanes[target].waiting
        return any(target in cut and not waiting.get(urgency) for urgency, cut in self._cut.items())

    def clear(self) -> None:
        """Forget what waits."""
        self._cut.clear()
        for lane in self._lanes.values():
            lane.waiting.clear()

    def _choose(self, target: str, lane: _TargetLane, now: datetime) -> Visit | None:
        first = next(lane.iterate(), None)
        if first is None or first.urgency is Urgency.EMERGENCY:
            return first
        return self._pauses.choose(target, lane.iterate(), now)

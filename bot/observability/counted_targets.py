"""Targets whose calls are counted by their outcome.

Invariant: nothing but counting: an answer or an error is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

from core.access.right import Right
from core.targets.base import (
    Absent,
    Answer,
    Given,
    Held,
    InProgress,
    Later,
    OperationKey,
    Polled,
    Seen,
    Taken,
    Target,
    TargetRefused,
    Unknown,
)

Count = Callable[[str, str, str], object]
"""Hears of a target's name, the step and its outcome, after each call."""
A = TypeVar("A", bound=Answer)
_OUTCOMES: Final[Mapping[type[object], str]] = {
    Held: "held",
    Absent: "absent",
    InProgress: "in_progress",
    TargetRefused: "refused",
    Later: "later",
    Unknown: "unknown",
}


def outcome_of(answer: object) -> str:
    """The word for an answer in metrics and traces."""
    return _OUTCOMES.get(type(answer), "unknown")


class CountedTargets(Mapping[str, Target]):
    """The same targets, by the same names."""

    def __init__(self, targets: Mapping[str, Target], count: Count) -> None:
        self._targets = targets
        self._count = count

    def __getitem__(self, name: str) -> Target:
        return _CountedTarget(name, self._targets[name], self._count)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


class _CountedTarget:
    def __init__(self, name: str, target: Target, count: Count) -> None:
        self._name = name
        self._target = target
        self._count = count

    @property
    def ends_sessions(self) -> bool:
        return self._target.ends_sessions

    def residual(self, right: Right) -> timedelta:
        return self._target.residual(right)

    def inspect(self, right: Right) -> Seen:
        return self._note("look", lambda: self._target.inspect(right))

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        return self._note("give", lambda: self._target.give(right, until, key))

    def take(self, right: Right, key: OperationKey) -> Taken:
        return self._note("take", lambda: self._target.take(right, key))

    def poll(self, token: str) -> Polled:
        return self._note("poll", lambda: self._target.poll(token))

    def _note(self, step: str, call: Callable[[], A]) -> A:
        outcome = "unknown"
        try:
            answer = call()
            outcome = outcome_of(answer)
        finally:
            self._count(self._name, step, outcome)
        return answer

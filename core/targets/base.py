"""What every target promises: to look at a right, to give it and to take it, and to say what came of it.

Invariant: an answer is what the target said, never what was hoped. A call ends within `CALL_TIMEOUT`; one that raises
counts as a lost answer. No call is repeated inside a target: whether to try again is the reconciler's to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from core.access.right import Right


@dataclass(frozen=True, slots=True)
class Held:
    """The right is there. `stood_before`: the give changed nothing, because it was there already."""

    stood_before: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """The right is not there."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The target didn't say, or its answer was lost. `is_forgotten`: it knows no operation with this token."""

    problem: str
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class InProgress:
    """The target works on it; `poll` the token."""

    token: str


@dataclass(frozen=True, slots=True)
class TargetRefused:
    """The target understood, changed nothing, and will say the same again. The reason is for people to read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """The target changed nothing, and wants to be asked again: a conflict or a limit.

    `is_for_all` is true of a limit that all rights of this target share. `problem` is for people to read.
    """

    after: timedelta = timedelta(0)
    is_for_all: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OperationKey:
    """Names an operation. A target that remembers keys refuses a generation older than one that it has seen."""

    grant: str
    generation: int

    def __str__(self) -> str:
        return f"{self.grant}-{self.generation}"


Seen = Held | Absent | Unknown | Later | TargetRefused
Given = Held | InProgress | TargetRefused | Later | Unknown
Taken = Absent | InProgress | TargetRefused | Later | Unknown
Polled = Held | Absent | InProgress | TargetRefused | Later | Unknown
Answer = Held | Absent | Unknown | InProgress | TargetRefused | Later


class Target(Protocol):
    """Where rights are given and taken. Safe for threads; each call ends within `timing.CALL_TIMEOUT`."""

    @property
    def ends_sessions(self) -> bool:
        """True when taking a right ends the sessions that it opened."""
        ...

    def residual(self, right: Right) -> timedelta:
        """How long a session that is open may outlive the revoke of this right. Asks nobody."""
        ...

    def inspect(self, right: Right) -> Seen:
        """Whether the right is there, given by whomever."""
        ...

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Give the right. `until` is when it will be taken, for targets that can end it themselves."""
        ...

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Take the right; one that is absent already was taken."""
        ...

    def poll(self, token: str) -> Polled:
        """What became of an operation: Held after a give, Absent after a take."""
        ...

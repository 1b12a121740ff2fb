"""What answers in the place of a target that can't be used as it should: unopened, or no longer in the policy.

Invariant: neither gives anything. One that couldn't be opened changes nothing and claims nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.access.right import Right
from core.targets.base import Given, Later, OperationKey, Polled, Seen, Taken, Target, TargetRefused, Unknown

_PAUSE: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class UnopenedTarget:
    """A target whose configuration can't be used now. `problem` says why, and what to fix."""

    problem: str
    ends_sessions: bool
    longest_session: timedelta

    def residual(self, right: Right) -> timedelta:
        """The longest that a session may live on."""
        del right
        return self.longest_session

    def inspect(self, right: Right) -> Seen:
        """Nobody knows."""
        del right
        return Unknown(self.problem)

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Nothing was given."""
        del right, until, key
        return Later(_PAUSE, is_for_all=True, problem=self.problem)

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Nothing was taken."""
        del right, key
        return Later(_PAUSE, is_for_all=True, problem=self.problem)

    def poll(self, token: str) -> Polled:
        """Nobody knows; the operation is not forgotten."""
        del token
        return Later(_PAUSE, is_for_all=True, problem=self.problem)


@dataclass(frozen=True, slots=True)
class RetiredTarget:
    """A target that left the policy: what it has is taken, and nothing more is given."""

    target: Target
    name: str

    @property
    def ends_sessions(self) -> bool:
        """As before."""
        return self.target.ends_sessions

    def residual(self, right: Right) -> timedelta:
        """As before."""
        return self.target.residual(right)

    def inspect(self, right: Right) -> Seen:
        """As before."""
        return self.target.inspect(right)

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Refused: the policy doesn't have this target any more."""
        del right, until, key
        return TargetRefused(
            f"The target {self.name} is not in the policy any more. Ask a policy owner to put it back."
        )

    def take(self, right: Right, key: OperationKey) -> Taken:
        """As before."""
        return self.target.take(right, key)

    def poll(self, token: str) -> Polled:
        """As before."""
        return self.target.poll(token)

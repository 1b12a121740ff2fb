"""The targets of the policy in force: opened when they are used, and asked who people are.

Invariant: nothing is opened before it is used, and each configuration once. A target that can't be opened is still
there: it changes nothing, and its answers say what to fix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from core.access.principals import PrincipalUnknown, SoughtPerson
from core.clock import Clock
from core.policy.evaluator import PolicySource
from core.policy.target_config import AnyTargetConfig
from core.targets.base import Target

TargetOpener = Callable[[AnyTargetConfig], Target]


class PolicyTargets(Mapping[str, Target]):
    """The targets by name, as the policy in force has them; also `Principals`. Safe for threads.

    `more` opens the types of targets that Countersign doesn't have itself, such as `demo` in the playground.
    """

    def __init__(
        self, policy: PolicySource, clock: Clock, more: Mapping[str, TargetOpener] = MappingProxyType({})
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._more = more

    def __getitem__(self, name: str) -> Target:
        """The target of this name. Raises KeyError for one that the policy never had while this process lives."""
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """The names of the targets in the policy, then of those that left it."""
        return iter(self._policy.current().targets)

    def __len__(self) -> int:
        """How many targets there are."""
        return len(self._policy.current().targets)

    def find(self, target: str, sought: SoughtPerson, *, is_emergency: bool = False) -> str:
        """What the target calls this person. In an emergency, a recent answer does if the target can't say now.

        Raises PrincipalUnknown when there is no such person, PrincipalUnavailable when it can't be said now.
        """
        del sought, is_emergency
        raise PrincipalUnknown(target, "Targets can't be asked yet.")

    def close(self) -> None:
        """Close every target that was opened. Idempotent."""

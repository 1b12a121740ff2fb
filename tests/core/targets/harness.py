"""What the tests of targets share.

Invariant: nothing here waits; time is the test's.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.access.right import Right
from core.targets.base import Answer, InProgress, OperationKey, Target
from core.targets.call_pace import CallPace

if TYPE_CHECKING:
    from datetime import datetime

    from tests.harness.clock import FrozenClock

MAX_POLLS = 50
GIVE_KEY = OperationKey("0123456789abcdef", 1)
TAKE_KEY = OperationKey("0123456789abcdef", 2)


def paced_by(clock: FrozenClock) -> CallPace:
    """A pace whose waiting moves the clock."""
    return CallPace(
        sleep=lambda seconds: clock.advance(timedelta(seconds=seconds)), elapsed=lambda: clock.now().timestamp()
    )


def settled(target: Target, answer: Answer) -> Answer:
    """The answer when nothing is in progress any more."""
    for _ in range(MAX_POLLS):
        if not isinstance(answer, InProgress):
            return answer
        answer = target.poll(answer.token)
    raise AssertionError(f"still in progress after {MAX_POLLS} polls")


def give(target: Target, right: Right, until: datetime, key: OperationKey | None = None) -> Answer:
    """Give, and wait for the end of it."""
    return settled(target, target.give(right, until, key or GIVE_KEY))


def take(target: Target, right: Right, key: OperationKey | None = None) -> Answer:
    """Take, and wait for the end of it."""
    return settled(target, target.take(right, key or TAKE_KEY))


def a_right(resource: str, level: str, principal: str, target: str = "identity-center") -> Right:
    """A right, by its parts."""
    return Right(target=target, resource=resource, level=level, principal=principal)


def actions_of(calls: list[tuple[str, dict[str, object]]]) -> set[str]:
    """The IAM actions that the calls need: for these two services, an action is called like its operation."""
    return {f"{'identitystore' if 'IdentityStoreId' in body else 'sso'}:{operation}" for operation, body in calls}


def allowed_actions() -> set[str]:
    """Every action of the policy that deploy/ has."""
    policy = json.loads((Path(__file__).parents[3] / "deploy" / "iam-policy.identity-center.json").read_text())
    return {action for statement in policy["Statement"] for action in statement["Action"]}

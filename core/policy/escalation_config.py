"""Escalation: who else may decide on a request that has waited for a while, and when.

Invariant: a step only ever adds people. That its time has come is a fact of the clock and of this policy version:
nothing is stored for it, so it holds on every instance at once, whether or not somebody was notified yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from core.policy.document import PolicyModel
from core.policy.principals import PrincipalSelector
from core.policy.rule_fields import DecisionTime, Selectors

MAX_STEPS: Final = 5
"""More would be noise: each step is a message to more people."""
QUIET_AFTER_STEP: Final = timedelta(minutes=5)
"""How long after a step no reminder is sent: people have just been asked."""


class EscalationStep(PolicyModel):
    """One step: `to` are notified, and may decide, once a request has waited for `after`."""

    after: DecisionTime = Field(description="How long the request waits for its approvers before this step.")
    to: Selectors = Field(description="Who is notified then, and may decide from then on.")


EscalationSteps = Annotated[tuple[EscalationStep, ...], Field(min_length=1, max_length=MAX_STEPS)]


class TimedStep(NamedTuple):
    """A step of the escalation of one request: its number, from 1, when it comes, and for whom."""

    number: int
    at: datetime
    to: tuple[PrincipalSelector, ...]

    def has_come(self, now: datetime) -> bool:
        """True from the step's very moment on."""
        return now >= self.at


def time_steps(steps: Sequence[EscalationStep], waits_since: datetime) -> tuple[TimedStep, ...]:
    """When each step comes for a request that has waited since then."""
    return tuple(TimedStep(number, waits_since + each.after, each.to) for number, each in enumerate(steps, start=1))


def find_reminder(steps: Sequence[TimedStep], due_at: datetime) -> datetime:
    """When a reminder that is due then is sent: not while people have just been asked by a step."""
    for step in steps:
        if step.at <= due_at < step.at + QUIET_AFTER_STEP:
            due_at = step.at + QUIET_AFTER_STEP
    return due_at

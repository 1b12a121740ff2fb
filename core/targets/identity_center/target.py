"""Identity Center as a target: it hands each right to the module for its kind.

Invariant: a right of neither kind is refused before any call. No answer depends on the key: AWS takes none, so each
step looks before it writes.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from core.access.right import Right
from core.targets.aws_calls import CallFailed
from core.targets.aws_names import MAX_SESSION
from core.targets.base import Given, OperationKey, Polled, Seen, Taken, TargetRefused
from core.targets.identity_center.assignments import CREATION, DELETION, Assignments, is_assignment
from core.targets.identity_center.instance import SsoInstance
from core.targets.identity_center.memberships import JOINING, LEAVING, Memberships, is_membership
from core.targets.identity_center.outstanding import Outstanding
from core.targets.identity_center.sessions import SessionDurations, read_session_duration
from core.targets.identity_center.settling import Settling

_UNFIT: Final = TargetRefused(
    "This isn't a right that Identity Center knows. It is an account id of 12 digits with the ARN of a permission set, "
    'or the id of a group with the level "member"; the person is an Identity Center user id. Check the policy.'
)


class IdentityCenter:
    """A `core.targets.base.Target`. Safe for threads."""

    ends_sessions = False
    """An AWS session that is open lives on until its own end."""

    def __init__(self, instance: SsoInstance) -> None:
        self.instance = instance
        self._outstanding = Outstanding()
        self._settling = Settling(instance.clock)
        self._sessions = SessionDurations(instance.clock)

    def residual(self, right: Right) -> timedelta:
        """How long an AWS session that is open can outlive `take`: the permission set's session duration.

        For a group, or before AWS was asked, the longest that AWS allows. Calls nothing.
        """
        return self._sessions.get(right.level) if is_assignment(right) else MAX_SESSION

    def inspect(self, right: Right) -> Seen:
        """Whether AWS shows the right now."""
        kind = self._begin_step(right)
        return kind.inspect(right) if kind else _UNFIT

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Give the right. AWS knows no end of its own: `until` is the caller's to keep."""
        del until, key
        kind = self._begin_step(right)
        if kind is None:
            return _UNFIT
        answer = kind.give(right)
        self._learn_session(right)
        return answer

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Take the right away."""
        del key
        kind = self._begin_step(right)
        if kind is None:
            return _UNFIT
        answer = kind.take(right)
        self._learn_session(right)
        return answer

    def poll(self, token: str) -> Polled:
        """How an operation stands."""
        kind, _, _ = token.partition(":")
        step = self.instance.begin_step()
        if kind in {CREATION, DELETION}:
            return Assignments(step, self._outstanding, self._settling).poll(token)
        if kind in {JOINING, LEAVING}:
            return Memberships(step, self._settling).poll(token)
        return TargetRefused("This isn't a token of Identity Center.")

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self.instance.close()

    def _begin_step(self, right: Right) -> Assignments | Memberships | None:
        if is_assignment(right):
            return Assignments(self.instance.begin_step(), self._outstanding, self._settling)
        return Memberships(self.instance.begin_step(), self._settling) if is_membership(right) else None

    def _learn_session(self, right: Right) -> None:
        """Ask AWS how long a session lasts, unless it said so lately. After the change: nobody waits for it."""
        if is_assignment(right) and self._sessions.is_due(right.level):
            with suppress(CallFailed):
                self._sessions.set(right.level, read_session_duration(self.instance, right.level))

"""Who a person is at a target: found once, when access is asked for, and kept in the record from then on.

Invariant: nobody is guessed. A target that can't name exactly one user for the person says so, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from core.errors import Refused

SERVICE_PREFIX: Final = "service:"
"""How the principal of a service begins, at a target that tells services from people."""


@dataclass(frozen=True, slots=True)
class SoughtPerson:
    """What is known of a person. `mapped` is the policy's word for them at the target, such as a user id or a name.

    `email` is only set when the policy trusts the e-mail addresses of Slack. `service` is the service of theirs that
    asks: a target that can tell it from the person does.
    """

    slack_id: str
    mapped: str | None = None
    email: str | None = field(default=None, repr=False)
    service: str | None = None


class PrincipalUnknown(Refused):
    """A target has no one user for the person, or refuses the one that it has. Nothing was changed.

    `reason` is for people to read: what was looked for, and what to do. Trying again can't help before that.
    """

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target
        self.reason = reason


class PrincipalUnavailable(Refused):
    """A target couldn't say now which user the person is. Nothing was changed; try again."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target
        self.reason = reason


class Principals(Protocol):
    """Finds people at the targets. Safe for threads."""

    def find(self, target: str, sought: SoughtPerson, *, is_emergency: bool = False) -> str:
        """The target's own name for this person, to be kept. Ends within `timing.CALL_TIMEOUT`.

        In an emergency, a recent answer does if the target can't say now. Raises PrincipalUnknown when there is no one
        such user, PrincipalUnavailable when the target can't say now.
        """
        ...

"""The use cases of access that a decision gave: find it, end it early, list who has what, remind before the end.

Invariant: access ends for all rights of a decision at once. What is ended is judged on what is stored now; who ended
it first is named to those who come later.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.access.grant import Grant
from core.actor import Actor, UserId
from core.clock import Clock
from core.directory import Directory, UnknownDirectory
from core.policy import PolicySource
from core.services.due import Rest, no_rest
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.stores.base import Stores
from core.stores.record_store import Page


@dataclass(frozen=True, slots=True)
class EndFailure:
    """Access of a person that could not be ended: the chain of its decision, and why."""

    source: str
    problem: str


@dataclass(frozen=True, slots=True)
class AccessEnds:
    """What became of all access of a person: the chains of the decisions whose access ended, and those that failed."""

    ended: tuple[str, ...]
    failed: tuple[EndFailure, ...]


class GrantService:
    """End access early, and list it. Safe for threads, and for any number of processes.

    `source` is the chain of the decision that gave the access: `REQUEST#…` or `BREAKGLASS#…`.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        directory: Directory | None = None,
        pacing: Pacing = PACING,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._directory: Directory = directory or UnknownDirectory()
        self._pacing = pacing

    def find(self, source: str) -> tuple[Grant, ...]:
        """The grants of this decision, in the order of its rights; none for a profile without access.

        Raises RequestNotFound, EventNotFound, InvalidInput, MalformedRecord, StoreUnavailable.
        """
        raise NotImplementedError

    def end(self, source: str, person: Actor) -> tuple[Grant, ...]:
        """End the person's own access: "I'm done". An active event is closed. Idempotent.

        Raises NotAllowed, InvalidStateTransition (which says who ended it and when), RequestNotFound, EventNotFound,
        InvalidInput, StoreError.
        """
        raise NotImplementedError

    def revoke(self, source: str, by: Actor, reason: str) -> tuple[Grant, ...]:
        """End somebody's access, or your own; for the approvers of its rule, and admins. Raises like `end`."""
        raise NotImplementedError

    def revoke_person(self, person: UserId, by: Actor, reason: str) -> AccessEnds:
        """End all access of a person, with all of their ids; for admins. One that fails stops no other.

        Raises NotAllowed, InvalidInput, StoreUnavailable when it can't be listed.
        """
        raise NotImplementedError

    def end_departed(self, person: UserId) -> AccessEnds:
        """End all access of a person who was deactivated in Slack. Like `revoke_person`, and nobody is judged."""
        raise NotImplementedError

    def list_live(self, viewer: Actor, *, cursor: str | None = None) -> Page[Grant]:
        """The grants that are not final and that this person may see, newest first.

        Admins see all, approvers those of their profiles, everybody their own. A page may be empty and have a cursor.
        """
        raise NotImplementedError

    def remind_due(self, rest: Rest = no_rest) -> tuple[Grant, ...]:
        """Record a reminder for every approved request whose access ends soon. Returns those that this call recorded.

        It is an entry ACCESS_ENDING_SOON in the chain of one of the request's grants (`GRANT#…`; details `source` and
        `ends_at`), once for each request, however many instances do this. Raises StoreUnavailable.
        """
        raise NotImplementedError

"""The use cases of devices: recognise one by its token, list a person's own, and end them.

Invariant: a token is judged whole at each call: its secret, the device's status and age, the policy in force, and
whether its person is still a member. Whatever can't be said is a no.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from core.access.device import Device, DeviceUser
from core.actor import Actor, UserId
from core.clock import Clock
from core.directory import Directory, UnknownDirectory
from core.policy import PolicySource
from core.services.due import Rest, no_rest
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.stores.base import Stores


@dataclass(frozen=True, slots=True)
class DeviceEnds:
    """What became of a person's devices: those that were revoked, and the ids of those that couldn't be, with why."""

    revoked: tuple[Device, ...]
    failed: tuple[tuple[str, str], ...] = ()


class DeviceService:
    """Recognise and end devices. Safe for threads, and for any number of processes."""

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

    def authenticate(self, token: SecretStr) -> DeviceUser:
        """Who calls with this token.

        Raises TokenRefused for anything that is no token; DeviceEnded when the device's time is over; NotAllowed, and
        its subclass NotKnown, when its person is no member or its service isn't theirs (any more); StoreError.
        """
        raise NotImplementedError

    def list_own(self, person: Actor) -> tuple[Device, ...]:
        """The person's active devices, with all of their ids, newest first. Raises StoreUnavailable."""
        raise NotImplementedError

    def revoke(self, device_id: str, by: Actor) -> Device:
        """End a device of one's own; admins end any. Idempotent.

        Raises DeviceNotFound, NotAllowed, InvalidStateTransition when it has expired, StoreError.
        """
        raise NotImplementedError

    def revoke_all(self, person: UserId, by: Actor) -> DeviceEnds:
        """End all devices of a person, with all of their ids: one's own, or, for admins, anybody's.

        One that fails stops no other. Raises NotAllowed, StoreUnavailable when they can't be listed.
        """
        raise NotImplementedError

    def end_departed(self, person: UserId) -> DeviceEnds:
        """End all devices of this id, because its account was deactivated in Slack. By the clock."""
        raise NotImplementedError

    def expire_due(self, rest: Rest = no_rest) -> tuple[Device, ...]:
        """Record the end of every device whose time has passed. Returns those that this call recorded."""
        raise NotImplementedError

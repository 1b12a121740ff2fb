"""The use cases of pairing: a machine asks, its person types the code in Slack, the machine fetches its token.

Invariant: nobody but the machine that holds the device code gets the token; it is made when it is fetched, and never
stored. The person is judged when they confirm, and again when the token is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr

from core.access.device import Device
from core.access.pairing import Pairing
from core.actor import Actor
from core.clock import Clock
from core.directory import Directory, UnknownDirectory
from core.policy import PolicySource
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.stores.base import Stores


@dataclass(frozen=True, slots=True)
class StartedPairing:
    """What a machine gets when it asks to be paired. It shows the user code, and keeps the device code to itself."""

    device_code: SecretStr
    user_code: str
    expires_in: timedelta
    interval: timedelta


@dataclass(frozen=True, slots=True)
class IssuedDevice:
    """A device and its token, which is in no store and can't be had again."""

    token: SecretStr = field(repr=False)
    device: Device


class PairingService:
    """Pair terminals with people. Safe for threads, and for any number of processes."""

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

    def start(self, name: str, agent: str, address: str, service: str | None = None) -> StartedPairing:
        """Begin: nobody is known yet. Raises InvalidInput, LimitReached, StoreError."""
        raise NotImplementedError

    def find(self, user_code: str, person: Actor) -> Pairing:
        """The pairing with this code, for its form. A wrong code is counted.

        Raises InvalidInput, PairingUnknown, PairingExpired, PairingRefused, NotAllowed, LimitReached, StoreError.
        """
        raise NotImplementedError

    def confirm(self, user_code: str, person: Actor) -> Pairing:
        """Bind the machine that shows this code to this person. Idempotent. Raises like `find`."""
        raise NotImplementedError

    def refuse(self, user_code: str, person: Actor) -> Pairing:
        """The machine that shows this code gets nothing. Idempotent. Raises like `find`."""
        raise NotImplementedError

    def exchange(self, device_code: SecretStr, address: str) -> IssuedDevice:
        """Give the machine its token, once.

        Raises PairingWaiting, PairingTooFast, PairingExpired, PairingRefused, NotKnown, StoreError.
        """
        raise NotImplementedError

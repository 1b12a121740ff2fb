"""What the HTTP API needs of the services for devices and credentials.

Invariant: nothing here does anything; core/services implements it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import SecretStr

from core.access.device import Device, DeviceUser
from core.access.session import Session
from core.actor import Actor, DeciderId, UserId
from core.services.issuing import IssuedCredentials
from core.services.pairing import IssuedDevice, StartedPairing


class Credentials(Protocol):
    """Issues credentials, such as SessionService. Safe for threads."""

    def issue(self, user: DeviceUser, profile: str, *, target: str | None = None) -> IssuedCredentials:
        """Credentials for access that is open. Raises CountersignError."""
        ...

    def end_device(self, person: UserId, device_id: str, by: DeciderId) -> Sequence[Session]:
        """Revoke every session of a device that was ended."""
        ...


class Pairings(Protocol):
    """Pairs terminals, such as PairingService. Safe for threads."""

    def start(self, name: str, agent: str, address: str, service: str | None = None) -> StartedPairing:
        """Begin."""
        ...

    def exchange(self, device_code: SecretStr, address: str) -> IssuedDevice:
        """Give the machine its token, once."""
        ...


class Devices(Protocol):
    """Knows devices, such as DeviceService. Safe for threads."""

    def authenticate(self, token: SecretStr) -> DeviceUser:
        """Who calls with this token."""
        ...

    def list_own(self, person: Actor) -> tuple[Device, ...]:
        """The person's active devices."""
        ...

    def revoke(self, device_id: str, by: Actor) -> Device:
        """End a device."""
        ...
